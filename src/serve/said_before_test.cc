#include "serve/said_before.h"

#include <gtest/gtest.h>

namespace pi0 {
namespace {

TEST(SaidBeforeTest, ForgetsTheOldest) {
  SaidBefore said_before;
  EXPECT_FALSE(said_before("0"));
  EXPECT_TRUE(said_before("0"));
  for (std::size_t i = 1; i < SaidBefore::kMost; ++i) EXPECT_FALSE(said_before(std::to_string(i)));
  EXPECT_TRUE(said_before("0"));
  EXPECT_FALSE(said_before("one more"));
  EXPECT_TRUE(said_before("1"));
  EXPECT_FALSE(said_before("0"));  // the oldest it was
}

}  // namespace
}  // namespace pi0
