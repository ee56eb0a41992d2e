#include "policy/last_chunk.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/test_support.h"

namespace pi0 {
namespace {

const std::filesystem::path kTestdata = std::filesystem::path(PI0_SOURCE_DIR) / "testdata";

// One dimension each; the squares have a velocity of their own at every row.
LastChunk squares() { return {.actions = {0, 1, 4, 9, 16}}; }
ActionChunk tens() {
  return {.horizon = 5, .dims = 1, .actions = {10, 20, 30, 40, 50}, .names = {"elbow"}};
}
RealTimeChunking after(int executed, int delay) {
  return {.executed = executed, .inference_delay = delay};
}

void expect_seam(const Seam& seam, int row, float jump, float velocity_change) {
  EXPECT_EQ(seam.row, row);
  EXPECT_EQ(seam.jump, std::vector<float>{jump});
  EXPECT_EQ(seam.velocity_change, std::vector<float>{velocity_change});
}

TEST(SeamTest, IsWhereTheRobotGoesOver) {
  // 1 and 4 go out, then 30 in place of 9: it went 3 a step, and goes 26.
  expect_seam(seam_between(squares(), after(1, 2), tens()), 2, 30 - 9, (30 - 4) - (4 - 1));
  expect_seam(seam_between(squares(), after(3, 0), tens()), 0, 10 - 9, (10 - 4) - (4 - 1));
  EXPECT_EQ(seam_between(squares(), after(1, 2), tens()).delay, 2);
}

TEST(SeamTest, AChunkHoldsItsLastAction) {
  expect_seam(seam_between(squares(), after(5, 0), tens()), 0, 10 - 16, (10 - 16) - (16 - 9));
  expect_seam(seam_between(squares(), after(4, 2), tens()), 2, 30 - 16, (30 - 16) - 0);
}

TEST(SeamTest, BeforeItsFirstRowIsTheChunkBeforeItOrRest) {
  expect_seam(seam_between(squares(), after(1, 0), tens()), 0, 10 - 1, (10 - 0) - 0);
  expect_seam(seam_between(squares(), after(0, 1), tens()), 1, 20 - 1, (20 - 0) - 0);
  expect_seam(seam_between(squares(), after(0, 0), tens()), 0, 10 - 0, (10 - 0) - 0);
  // Its rows 0 and 1 never went out: what did is 3, of another chunk.
  LastChunk taken_over = squares();
  taken_over.begun = 2;
  taken_over.preceding = {3};
  expect_seam(seam_between(taken_over, after(3, 0), tens()), 0, 10 - 9, (10 - 4) - (4 - 3));
  expect_seam(seam_between(taken_over, after(4, 0), tens()), 0, 10 - 16, (10 - 9) - (9 - 4));
}

TEST(SeamTest, WithTheStateRolledForwardRowZeroGoesOutFirst) {
  RealTimeChunking rtc = after(1, 2);
  rtc.roll_state_forward = true;
  const Seam seam = seam_between(squares(), rtc, tens());
  expect_seam(seam, 0, 10 - 9, (10 - 4) - (4 - 1));
  EXPECT_EQ(seam.delay, 2);
}

TEST(SeamTest, IsRefusedOverALimit) {
  const Seam seam{.jump = {0.5f, -2}, .velocity_change = {-1, 3}};
  const auto check = [&](std::vector<float> jump, std::vector<float> velocity_change) {
    require_within_limits(seam, {.max_jump = jump, .max_velocity_change = velocity_change},
                          {"elbow", "wrist"});
  };
  check({}, {});
  check({2}, {3});
  check({0.5f, 2}, {1, 3});
  expect_error(ErrorCode::kLimit, {"jump of wrist", "is -2", "at most 1.5", "max_jump"},
               [&] { check({1.5f}, {}); });
  expect_error(ErrorCode::kLimit, {"jump of elbow", "is 0.5", "at most 0.25"}, [&] {
    check({0.25f, 2}, {});
  });
  expect_error(ErrorCode::kLimit, {"change of velocity of elbow", "is -1", "max_velocity_change"},
               [&] {
                 check({2}, {0.5f, 3});
               });
}

// As many rows as go out meanwhile, each where the last action was in the robot's units.
TEST(LeftOverTest, IsPaddedWithTheLastActionWhereverItIsSeenFrom) {
  const CheckpointData data = open_checkpoint(kTestdata / "golden_extra/pi05_relative");
  const Pipeline pipeline(data, {.tokenizer = kTestdata / "golden/preprocess/tokenizer.json"});
  const auto width = static_cast<std::size_t>(data.model.action_dim);
  const auto dims = static_cast<std::size_t>(data.action_dims);
  const int horizon = data.model.action_horizon;
  LastChunk last;
  last.model_actions.resize(horizon * width);
  for (std::size_t i = 0; i < last.model_actions.size(); ++i) {
    last.model_actions[i] = std::sin(static_cast<float>(i));
  }
  last.state.assign(static_cast<std::size_t>(data.state_dims), 0.25f);
  last.actions = pipeline.finish(last.model_actions, last.state);
  std::vector<float> now = last.state;
  now[0] += 0.5f;

  const auto expect_rows = [&](RealTimeChunking rtc, const std::vector<int>& rows, int delay) {
    const RealTimeChunking found = towards_left_over(last, rtc, pipeline, now);
    ASSERT_EQ(found.prev_chunk_left_over.size(), rows.size() * dims);
    EXPECT_EQ(found.dims, data.action_dims);
    EXPECT_EQ(found.inference_delay, delay);
    EXPECT_FALSE(found.executed);
    std::vector<float> padded(rows.size() * width);
    for (std::size_t i = 0; i < rows.size() * dims; ++i) {
      padded[i / dims * width + i % dims] = found.prev_chunk_left_over[i];
    }
    const std::vector<float> finished = pipeline.finish(padded, now);
    for (std::size_t i = 0; i < finished.size(); ++i) {
      const float expected = last.actions[rows[i / dims] * dims + i % dims];
      EXPECT_NEAR(finished[i], expected, 1e-5 * (1 + std::abs(expected))) << i;
    }
  };
  ASSERT_EQ(horizon, 5);
  expect_rows(after(2, 1), {2, 3, 4}, 1);
  expect_rows(after(3, 4), {3, 4, 4, 4}, 4);
  expect_rows(after(5, 2), {4, 4}, 2);
  expect_rows(after(5, 0), {}, 0);
  RealTimeChunking rolled = after(1, 2);
  rolled.roll_state_forward = true;
  expect_rows(rolled, {3, 4}, 0);
  rolled.inference_delay = 2'000'000'000;
  expect_rows(rolled, {}, 0);
}

}  // namespace
}  // namespace pi0
