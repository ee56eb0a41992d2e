// What a program has in its own memory, under a robot's keys.
#include <gtest/gtest.h>

#include "pi0/robot.h"
#include "robots/robots_testing.h"

namespace pi0 {
namespace {

TEST(KeysOfValuesTest, UsesPixelsWhereTheyLie) {
  const RobotKeys keys = RobotKeys::find("libero", openpi_policy());
  EXPECT_EQ(keys.images(),
            (std::vector<std::string>{"observation/image", "observation/wrist_image"}));
  EXPECT_EQ(keys.camera("observation/wrist_image"), "left_wrist_0_rgb");
  expect_error(ErrorCode::kInvalidInput, {"robot: observation/state is none of its images' keys"},
               [&] { keys.camera("observation/state"); });
  EXPECT_EQ(keys.state(), std::vector<std::string>{"observation/state"});
  EXPECT_EQ(keys.prompt(), "prompt");
  EXPECT_EQ(keys.action_dims(32), 7);
  const std::vector<std::uint8_t> first(3 * 4 * 5), second(3 * 6 * 2);
  const double state[] = {0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875};
  RobotValues values = {{"observation/image", ArrayView{"|u1", {4, 5, 3}, first.data()}},
                        {"observation/wrist_image", ArrayView{"|u1", {3, 6, 2}, second.data()}},
                        {"observation/state", ArrayView{"<f8", {8}, state}},
                        {"prompt", "open the drawer"}};
  const RobotObservation seen = keys.observation(values);
  EXPECT_TRUE(seen.pixels.empty());
  const ImageView& base = seen.observation.views.at("base_0_rgb");
  EXPECT_EQ(base.data, first.data());
  EXPECT_EQ(base.layout, PixelLayout::kHwc);
  EXPECT_EQ(seen.observation.views.at("left_wrist_0_rgb").data, second.data());
  EXPECT_EQ(seen.observation.views.at("left_wrist_0_rgb").layout, PixelLayout::kChw);
  EXPECT_EQ(seen.observation.state, std::vector<float>(std::begin(state), std::end(state)));
  EXPECT_EQ(seen.observation.prompt, "open the drawer");

  values.pop_back();
  EXPECT_EQ(keys.observation(values, "close it").observation.prompt, "close it");
  expect_error(ErrorCode::kInvalidInput, {"prompt", "absent"}, [&] { keys.observation(values); });
  values[0].second = ArrayView{"<c8", {4, 5, 3}, first.data()};
  expect_error(ErrorCode::kInvalidInput, {"observation/image", "<c8", "dtype"},
               [&] { keys.observation(values, ""); });
  values[0].second = ArrayView{"|u1", {4, 5, 2}, first.data()};
  expect_error(ErrorCode::kInvalidInput, {"observation/image", "4, 5, 2"},
               [&] { keys.observation(values, ""); });
}

}  // namespace
}  // namespace pi0
