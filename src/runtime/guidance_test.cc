#include "runtime/guidance.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/test_support.h"

namespace pi0 {
namespace {

void expect_weights(const std::vector<float>& actual, const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-6) << i;
}

TEST(PrefixWeights, FallFromTheDelayToTheHorizon) {
  // linspace(1, 0, 6)[1:-1] between rows 2 and 6
  expect_weights(prefix_weights(RtcSchedule::kLinear, 2, 6, 8), {1, 1, .8, .6, .4, .2, 0, 0});
  const auto exp = [](double w) { return w * std::expm1(w) / (std::exp(1.0) - 1); };
  expect_weights(prefix_weights(RtcSchedule::kExp, 2, 6, 8),
                 {1, 1, exp(.8), exp(.6), exp(.4), exp(.2), 0, 0});
  expect_weights(prefix_weights(RtcSchedule::kOnes, 2, 6, 8), {1, 1, 1, 1, 1, 1, 0, 0});
  expect_weights(prefix_weights(RtcSchedule::kZeros, 2, 6, 8), {1, 1, 0, 0, 0, 0, 0, 0});
}

TEST(PrefixWeights, TheDelayIsAtMostTheHorizonAndThatTheChunk) {
  expect_weights(prefix_weights(RtcSchedule::kLinear, 7, 3, 5), {1, 1, 1, 0, 0});
  expect_weights(prefix_weights(RtcSchedule::kLinear, 0, 3, 3), {.75, .5, .25});
  expect_weights(prefix_weights(RtcSchedule::kLinear, 1, 9, 3), {1, 2.0 / 3, 1.0 / 3});
  expect_weights(prefix_weights(RtcSchedule::kOnes, 9, 9, 2), {1, 1});
}

TEST(RtcSchedules, HaveLerobotsNames) {
  EXPECT_EQ(parse_rtc_schedule("EXP", "here"), RtcSchedule::kExp);
  EXPECT_EQ(parse_rtc_schedule("linear", "here"), RtcSchedule::kLinear);
  expect_error(ErrorCode::kInvalidInput, {"here", "COSINE", "LINEAR, EXP, ONES or ZEROS"},
               [] { parse_rtc_schedule("COSINE", "here"); });
}

TEST(PackGuidance, PadsWithZerosAndRefusesWhatDoesNotFit) {
  const NetworkInfo info{.action_dim = 3, .action_horizon = 4};
  EXPECT_FALSE(pack_guidance({}, info));
  RealTimeChunking rtc{.prev_chunk_left_over = {1, 2, 3, 4}, .dims = 2, .inference_delay = 1};
  const std::optional<Pi0Guidance> packed = pack_guidance(rtc, info);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->target, (std::vector<float>{1, 2, 0, 3, 4, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(packed->weights, (std::vector<float>{1, 1, 1, .5, .5, .5, 0, 0, 0, 0, 0, 0}));
  const auto refused = [&](auto change, const char* words) {
    RealTimeChunking wrong = rtc;
    change(wrong);
    expect_error(ErrorCode::kInvalidInput, {"rtc", words}, [&] { pack_guidance(wrong, info); });
  };
  refused([](auto& wrong) { wrong.executed = 1; }, "policy's session");
  refused([](auto& wrong) { wrong.max_jump = {1}; }, "given executed");
  refused([](auto& wrong) { wrong.max_velocity_change = {1}; }, "given executed");
  refused([](auto& wrong) { wrong.roll_state_forward = true; }, "given executed");
  refused([](auto& wrong) { wrong.dims = 4; }, "dims is 4, expected 1 to 3");
  refused([](auto& wrong) { wrong.dims = -1; }, "dims is -1");
  refused([](auto& wrong) { wrong.dims = 3; }, "has 4 values, expected rows of 3");
  refused([](auto& wrong) { wrong.prev_chunk_left_over.resize(10); }, "at most 4 of them");
  refused([](auto& wrong) { wrong.inference_delay = -1; }, "inference_delay is -1");
  refused([](auto& wrong) { wrong.execution_horizon = 0; }, "execution_horizon is 0");
  refused([](auto& wrong) { wrong.max_guidance_weight = NAN; }, "max_guidance_weight is nan");
  refused([](auto& wrong) { wrong.prev_chunk_left_over[2] = INFINITY; }, "value 2 is inf");
  // Also before there is a chunk.
  refused([](auto& wrong) { wrong = {.execution_horizon = -1}; }, "execution_horizon is -1");
  rtc.max_guidance_weight = 0;
  EXPECT_FALSE(pack_guidance(rtc, info));
}

TEST(RtcModes, HaveLerobotsNames) {
  EXPECT_EQ(RealTimeChunking().mode, RtcMode::kGuided);
  EXPECT_EQ(parse_rtc_mode("guided", "here"), RtcMode::kGuided);
  EXPECT_EQ(parse_rtc_mode("trained", "here"), RtcMode::kTrained);
  expect_error(ErrorCode::kInvalidInput, {"here", "Trained", "guided or trained"},
               [] { parse_rtc_mode("Trained", "here"); });
}

TEST(PackHeldRows, TakesTheRowsOfTheDelayAndRefusesWhatDoesNotFit) {
  const NetworkInfo info{.action_dim = 3, .action_horizon = 4, .rtc_training_max_delay = 2};
  RealTimeChunking rtc{.mode = RtcMode::kTrained,
                       .prev_chunk_left_over = {1, 2, 3, 4},
                       .dims = 2,
                       .inference_delay = 1};
  // What only the guided form reads may be anything.
  rtc.execution_horizon = 0;
  rtc.max_guidance_weight = NAN;
  const std::optional<Pi0HeldRows> packed = pack_held_rows(rtc, info);
  ASSERT_TRUE(packed);
  EXPECT_EQ(packed->rows, 1);
  EXPECT_EQ(packed->actions, (std::vector<float>{1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
  const auto changed = [&](auto change) {
    RealTimeChunking other = rtc;
    change(other);
    return other;
  };
  EXPECT_FALSE(pack_held_rows(changed([](auto& other) { other.inference_delay = 0; }), info));
  EXPECT_FALSE(pack_held_rows(changed([](auto& other) { other.prev_chunk_left_over = {}; }), info));
  const auto refused = [&](auto change, const std::vector<std::string>& words) {
    expect_error(ErrorCode::kInvalidInput, words, [&] { pack_held_rows(changed(change), info); });
  };
  refused([](auto& wrong) { wrong.inference_delay = 3; },
          {"rtc", "inference_delay is 3", "at most 2", "rtc_training_max_delay"});
  refused(
      [](auto& wrong) {
        wrong.inference_delay = 2;
        wrong.prev_chunk_left_over.resize(2);
      },
      {"rtc", "inference_delay is 2", "has 1 rows"});
  refused([](auto& wrong) { wrong.inference_delay = -1; }, {"rtc", "inference_delay is -1"});
  refused([](auto& wrong) { wrong.prev_chunk_left_over[3] = NAN; }, {"rtc", "value 3 is nan"});
  refused([](auto& wrong) { wrong.executed = 1; }, {"rtc", "policy's session"});
}

// Whether there is a chunk before or not, as lerobot's RTCProcessor.
TEST(PackHeldRows, RefusesANetworkThatWasNotTrainedForIt) {
  for (const std::vector<float>& before : {std::vector<float>(), std::vector<float>(3)}) {
    expect_error(ErrorCode::kInvalidInput,
                 {"rtc", "mode is trained", "expected guided", "rtc_training_max_delay"}, [&] {
                   pack_held_rows({.mode = RtcMode::kTrained, .prev_chunk_left_over = before},
                                  {.action_dim = 3, .action_horizon = 4});
                 });
  }
}

}  // namespace
}  // namespace pi0
