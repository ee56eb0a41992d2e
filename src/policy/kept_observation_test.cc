#include "policy/kept_observation.h"

#include <gtest/gtest.h>

#include "base/test_support.h"

namespace pi0 {
namespace {

class KeptObservationTest : public testing::Test {
 protected:
  std::vector<std::uint8_t> buffer = std::vector<std::uint8_t>(24, 100);
  Observation seen{
      .images = {{"top", {1, 1, {1, 2, 3}}}},
      .views = {{"wrist", {.data = buffer.data(), .height = 2, .width = 3, .row_stride = 12}}},
      .state = {0.5f},
      .prompt = "go"};
  const KeptObservation kept{seen};
};

TEST_F(KeptObservationTest, KnowsTheSamePixelsWhereverTheyLie) {
  EXPECT_TRUE(kept.says(seen));
  std::vector<std::uint8_t> elsewhere(18, 100);
  seen.views["wrist"] = {.data = elsewhere.data(), .height = 2, .width = 3};
  EXPECT_TRUE(kept.says(seen));
  elsewhere.back() = 101;
  EXPECT_FALSE(kept.says(seen));
}

TEST_F(KeptObservationTest, KeepsWhatTheBufferHeld) {
  buffer[9] = 0;  // between two rows
  EXPECT_TRUE(kept.says(seen));
  buffer[20] = 0;
  EXPECT_FALSE(kept.says(seen));
  buffer[20] = 100;
  EXPECT_TRUE(kept.says(seen));
}

TEST_F(KeptObservationTest, TellsAllElseApart) {
  const auto differs = [&](auto&& change) {
    Observation other = seen;
    change(other);
    return !kept.says(other);
  };
  EXPECT_FALSE(differs([](Observation&) {}));
  EXPECT_TRUE(differs([](Observation& o) { o.images["top"].rgb[2] = 4; }));
  EXPECT_TRUE(differs([](Observation& o) { o.state[0] = 1; }));
  EXPECT_TRUE(differs([](Observation& o) { o.prompt.reset(); }));
  EXPECT_TRUE(differs([](Observation& o) { o.renamed = true; }));
  EXPECT_TRUE(differs([](Observation& o) { o.views.clear(); }));
  EXPECT_TRUE(differs([](Observation& o) { o.views["left"] = o.views["wrist"]; }));
  EXPECT_TRUE(differs([](Observation& o) {
    o.views["left"] = o.views["wrist"];
    o.views.erase("wrist");
  }));
  EXPECT_TRUE(differs([](Observation& o) { o.views["wrist"].layout = PixelLayout::kChw; }));
}

TEST_F(KeptObservationTest, RefusesWhatItCannotRead) {
  seen.views["wrist"].data = nullptr;
  expect_error(ErrorCode::kInvalidInput, {"image for camera wrist", "null pointer"},
               [&] { kept.says(seen); });
}

}  // namespace
}  // namespace pi0
