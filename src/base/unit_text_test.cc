#include "base/unit_text.h"

#include <gtest/gtest.h>

namespace pi0 {
namespace {

// Three figures: what is small is not 0.00 of what is large.
TEST(UnitText, BytesHaveTheUnitThatSuitsThem) {
  for (const auto& [bytes, text] : std::initializer_list<std::pair<std::uint64_t, const char*>>{
           {0, "0 B"},
           {999, "999 B"},
           {1000, "1.00 kB"},
           {9994, "9.99 kB"},
           {9996, "10.0 kB"},
           {98765, "98.8 kB"},
           {99960, "100 kB"},
           {999499, "999 kB"},
           {999501, "1.00 MB"},
           {4'370'000'000, "4.37 GB"},
           {17'340'000'000'000, "17.3 TB"},
           {2'000'000'000'000'000, "2000 TB"}}) {
    EXPECT_EQ(bytes_text(bytes), text);
  }
}

}  // namespace
}  // namespace pi0
