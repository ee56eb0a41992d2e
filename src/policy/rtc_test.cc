// Chunks of a session that continue one another.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/test_support.h"
#include "pi0/policy.h"
#include "policy/pipeline.h"

namespace pi0 {
namespace {

const std::filesystem::path kTestdata = std::filesystem::path(PI0_SOURCE_DIR) / "testdata";
const std::filesystem::path kTokenizer = kTestdata / "golden/preprocess/tokenizer.json";

// Two moments of a robot that the golden policy `name` fits.
Observation moment(const CheckpointData& checkpoint, float at) {
  Observation observation;
  for (const Camera& camera : checkpoint.cameras) {
    Image image{8, 8, std::vector<std::uint8_t>(8 * 8 * 3)};
    for (std::size_t i = 0; i < image.rgb.size(); ++i) {
      image.rgb[i] = static_cast<std::uint8_t>(i * 7 + static_cast<std::size_t>(at * 50));
    }
    if (!camera.empty) observation.images[camera.name] = image;
  }
  observation.state.assign(static_cast<std::size_t>(checkpoint.state_dims), at);
  observation.prompt = "pick up the red block";
  return observation;
}

struct RtcTest : testing::Test {
  const std::filesystem::path directory = kTestdata / "golden/pi0_tiny";
  const CheckpointData data = open_checkpoint(directory);
  const Policy policy = Policy::load(directory, {.device = "cpu", .dtype = "fp32"},
                                     {.tokenizer = kTokenizer, .raw = true});
  const Observation first = moment(data, 0.1f), second = moment(data, 0.3f);
};

// Raw actions are the network's: what the session keeps of them is what one gives it.
TEST_F(RtcTest, ASessionKnowsWhatIsLeftOfItsLastChunk) {
  Session session = policy.session();
  const ActionChunk before = session.infer(first, {.seed = 1});
  SampleOptions options{.seed = 2};
  const ActionChunk free = policy.infer(second, options);
  options.rtc = {.inference_delay = 2, .execution_horizon = 6};
  options.rtc->executed = 3;
  const ActionChunk continued = session.infer(second, options);
  options.rtc->executed.reset();
  options.rtc->dims = before.dims;
  options.rtc->prev_chunk_left_over.assign(before.actions.begin() + 3 * before.dims,
                                           before.actions.end());
  EXPECT_EQ(continued.actions, policy.infer(second, options).actions);
  ASSERT_NE(continued.actions, free.actions);
  // It begins as the other would have gone on, and the free one does not.
  double apart = 0, free_apart = 0;
  for (int i = 0; i < before.dims; ++i) {
    apart += std::abs(continued.row(0)[i] - before.row(3)[i]);
    free_apart += std::abs(free.row(0)[i] - before.row(3)[i]);
  }
  EXPECT_LT(apart, free_apart / 2);
}

TEST_F(RtcTest, WithoutAChunkBeforeNothingIsGuided) {
  SampleOptions options{.seed = 2};
  const std::vector<float> expected = policy.infer(second, options).actions;
  options.rtc = {.executed = 0};
  Session session = policy.session();
  EXPECT_EQ(session.infer(second, options).actions, expected);
  options.rtc->executed = policy.info().action_horizon;  // all of it: nothing is left
  EXPECT_EQ(session.infer(second, options).actions, expected);
}

TEST_F(RtcTest, WhatIsNotLeftIsTheLastAction) {
  const int horizon = policy.info().action_horizon;
  for (const int executed : {horizon - 2, horizon}) {
    Session session = policy.session();
    const ActionChunk before = session.infer(first, {.seed = 1});
    SampleOptions options{.seed = 2};
    options.rtc = {.executed = executed, .inference_delay = 4};
    const ActionChunk continued = session.infer(second, options);
    options.rtc->executed.reset();
    options.rtc->dims = before.dims;
    for (int row = executed; row < executed + 4; ++row) {
      const std::span<const float> left = before.row(std::min(row, horizon - 1));
      std::vector<float>& prev = options.rtc->prev_chunk_left_over;
      prev.insert(prev.end(), left.begin(), left.end());
    }
    EXPECT_EQ(continued.actions, policy.infer(second, options).actions) << executed;
  }
}

// Also where nothing is guided, and in the robot's own terms.
TEST_F(RtcTest, TellsTheSeam) {
  Session session = policy.session();
  const ActionChunk before = session.infer(first, {.seed = 1});
  EXPECT_FALSE(before.seam);
  SampleOptions options{.seed = 2};
  const std::vector<float> free = policy.infer(second, options).actions;
  options.rtc = {.executed = 3, .inference_delay = 2, .max_guidance_weight = 0};
  const ActionChunk chunk = session.infer(second, options);
  EXPECT_EQ(chunk.actions, free);
  ASSERT_TRUE(chunk.seam);
  EXPECT_EQ(chunk.seam->delay, 2);
  EXPECT_EQ(chunk.seam->row, 2);
  ASSERT_EQ(chunk.seam->jump.size(), static_cast<std::size_t>(chunk.dims));
  for (int i = 0; i < chunk.dims; ++i) {
    EXPECT_FLOAT_EQ(chunk.seam->jump[i], chunk.row(2)[i] - before.row(5)[i]);
    const float velocity = before.row(4)[i] - before.row(3)[i];
    EXPECT_NEAR(chunk.seam->velocity_change[i], chunk.row(2)[i] - before.row(4)[i] - velocity,
                1e-5);
  }
  // The row of the chunk before that went out last is what the next seam is counted from.
  options.rtc->inference_delay = 0;
  const ActionChunk next = session.infer(first, options);
  for (int i = 0; i < chunk.dims; ++i) {
    const float velocity = chunk.row(2)[i] - before.row(4)[i];
    EXPECT_NEAR(next.seam->velocity_change[i], next.row(0)[i] - chunk.row(2)[i] - velocity, 1e-5);
  }
}

TEST_F(RtcTest, OverALimitTheLastChunkStaysTheOneBefore) {
  SampleOptions options{.seed = 2, .rtc = RealTimeChunking{.executed = 3, .inference_delay = 2}};
  Session session = policy.session(), disturbed = policy.session();
  session.infer(first, {.seed = 1});
  disturbed.infer(first, {.seed = 1});
  SampleOptions limited{.seed = 5, .rtc = options.rtc};
  limited.rtc->max_guidance_weight = 0;
  limited.rtc->max_jump = {1e-6f};
  expect_error(ErrorCode::kLimit, {"jump of action_0", "at most 1e-06"},
               [&] { disturbed.infer(second, limited); });
  limited.rtc->max_jump = {};
  limited.rtc->max_velocity_change.assign(static_cast<std::size_t>(policy.info().action_dims),
                                          9e9f);
  limited.rtc->max_velocity_change.back() = 0;
  expect_error(ErrorCode::kLimit, {"change of velocity of action_13", "at most 0"},
               [&] { disturbed.infer(second, limited); });
  EXPECT_EQ(disturbed.infer(second, options).actions, session.infer(second, options).actions);
}

TEST_F(RtcTest, NamesWhatDoesNotFit) {
  Session session = policy.session();
  const Checkpoint checkpoint = Checkpoint::open(directory, {.tokenizer = kTokenizer, .raw = true});
  const auto refused = [&](const RealTimeChunking& rtc, const char* words) {
    expect_error(ErrorCode::kInvalidInput, {"rtc", words},
                 [&] { session.infer(first, {.rtc = rtc}); });
    expect_error(ErrorCode::kInvalidInput, {"rtc", words}, [&] { checkpoint.check(first, rtc); });
  };
  refused({.executed = -1}, "executed is -1");
  RealTimeChunking beyond{.executed = policy.info().action_horizon + 1};
  expect_error(ErrorCode::kInvalidInput, {"rtc", "executed is 11, expected 0 to 10, the rows"},
               [&] { session.infer(first, {.rtc = beyond}); });
  checkpoint.check(first, beyond);  // a session may have been given a longer one
  refused({.executed = 1, .execution_horizon = 0}, "execution_horizon is 0");
  refused({.prev_chunk_left_over = {1}, .executed = 1}, "expected one of them");
  refused({.executed = 1, .inference_delay = -1}, "inference_delay is -1");
  refused({.executed = 1, .inference_delay = policy.info().action_horizon},
          "inference_delay is 10, expected 0 to 9");
  refused({.executed = 1, .max_jump = {1, 2}}, "max_jump has 2 values, expected one, or one for");
  refused({.executed = 1, .max_velocity_change = {-1}}, "max_velocity_change is -1");
  refused({.executed = 1, .max_velocity_change = {NAN}}, "max_velocity_change is nan");
  refused({.executed = 1, .roll_state_forward = true}, "raw");
  refused({.max_jump = {1}}, "given executed");
  refused({.max_velocity_change = {1}}, "given executed");
  refused({.roll_state_forward = true}, "given executed");
  const Observation both[] = {first, second};
  SampleOptions options;
  options.rtc.emplace();
  expect_error(ErrorCode::kInvalidInput, {"rtc", "not of a batch"},
               [&] { policy.infer(both, options); });
}

// A trained policy with its statistics, whose state is as long as its actions.
struct RtcWholeWayTest : testing::Test {
  static constexpr int kExecuted = 5, kDelay = 3;
  const std::filesystem::path directory = std::filesystem::path(PI0_SOURCE_DIR) / "examples/policy";
  const CheckpointData data = open_checkpoint(directory);
  const Policy policy = Policy::load(directory, {.device = "cpu", .dtype = "fp32"});
  const Observation first = moment(data, 0.1f), second = moment(data, 0.3f);
  SampleOptions options{.seed = 2,
                        .rtc = RealTimeChunking{.executed = kExecuted, .inference_delay = kDelay}};
};

TEST_F(RtcWholeWayTest, TheStateIsRolledForwardToTheLastActionBeforeTheChunk) {
  Session session = policy.session();
  const ActionChunk before = session.infer(first, {.seed = 1});
  Observation ahead = second;
  const std::span<const float> reached = before.row(kExecuted + kDelay - 1);
  ahead.state.assign(reached.begin(), reached.end());
  options.rtc->roll_state_forward = true;
  session.prefetch(second);  // with another state
  const ActionChunk chunk = session.infer(second, options);
  EXPECT_EQ(chunk.seam->row, 0);
  // What is left counts from there too, and none of it goes out before the chunk.
  Session expecting = policy.session();
  expecting.infer(first, {.seed = 1});
  SampleOptions expected = options;
  expected.rtc = {.executed = kExecuted + kDelay};
  const ActionChunk as_expected = expecting.infer(ahead, expected);
  EXPECT_EQ(chunk.actions, as_expected.actions);
  EXPECT_EQ(chunk.seam->jump, as_expected.seam->jump);
  EXPECT_EQ(chunk.seam->velocity_change, as_expected.seam->velocity_change);
  // Beyond the chunk's end the robot is where it ends, and without a chunk or a delay where it is.
  options.rtc->max_guidance_weight = 0;
  options.rtc->inference_delay = 1000;
  Session late = policy.session();
  EXPECT_EQ(late.infer(second, options).actions, policy.infer(second, {.seed = 2}).actions);
  const ActionChunk again = late.infer(first, {.seed = 1});
  ahead.state.assign(again.actions.end() - again.dims, again.actions.end());
  EXPECT_EQ(late.infer(second, options).actions, policy.infer(ahead, {.seed = 2}).actions);
  options.rtc->inference_delay = 0;
  EXPECT_EQ(late.infer(second, options).actions, policy.infer(second, {.seed = 2}).actions);
  Observation longer = second;
  longer.state.push_back(0);
  expect_error(ErrorCode::kInvalidInput, {"rolled forward", "5 values and an action 4"},
               [&] { late.infer(longer, options); });
}

TEST_F(RtcWholeWayTest, AnothersChunkIsContinuedAsItsOwn) {
  Session session = policy.session(), other = policy.session();
  const ActionChunk before = session.infer(first, {.seed = 1});
  other.set_last_chunk({.actions = before.actions});
  const ActionChunk expected = session.infer(second, options), found = other.infer(second, options);
  const std::vector<float> free = policy.infer(second, {.seed = 2}).actions;
  double apart = 0;
  for (std::size_t i = 0; i < free.size(); ++i) {
    EXPECT_NEAR(found.actions[i], expected.actions[i], 1e-5) << i;
    apart = std::max<double>(apart, std::abs(free[i] - expected.actions[i]));
  }
  EXPECT_GT(apart, 0.01);
  ASSERT_TRUE(found.seam);
  for (int i = 0; i < found.dims; ++i) {
    EXPECT_NEAR(found.seam->jump[i], expected.seam->jump[i], 1e-5);
  }
  // It may be shorter, or longer than what can be left.
  other.set_last_chunk(
      {.actions = {before.actions.begin(), before.actions.begin() + 4 * before.dims}});
  expect_error(ErrorCode::kInvalidInput, {"executed is 5, expected 0 to 4"},
               [&] { other.infer(second, options); });
  std::vector<float> long_one(before.actions);
  for (int i = 0; i < 3; ++i) {
    long_one.insert(long_one.end(), before.actions.begin(), before.actions.end());
  }
  other.set_last_chunk({.actions = long_one});
  options.rtc->executed = 2;
  EXPECT_TRUE(other.infer(second, options).seam);
  other.set_last_chunk({});
  options.rtc->executed = kExecuted;
  const ActionChunk afresh = other.infer(second, options);
  EXPECT_EQ(afresh.actions, free);
  EXPECT_FALSE(afresh.seam);
  expect_error(ErrorCode::kInvalidInput, {"3 values, expected rows of 4"},
               [&] { other.set_last_chunk({.actions = std::vector<float>(3)}); });
  expect_error(ErrorCode::kInvalidInput, {"last chunk", "nan"},
               [&] { other.set_last_chunk({.actions = std::vector<float>(4, NAN)}); });
}

// A state that does not fit is refused as without a chunk before: here an arm of ALOHA's too few.
TEST(RtcStateTest, IsRefusedWhereItIsTooShort) {
  const std::filesystem::path directory = kTestdata / "golden_releases/pi0_0.3.3_aloha";
  const CheckpointData data = open_checkpoint(directory);
  const Policy policy =
      Policy::load(directory, {.device = "cpu", .dtype = "fp32"}, {.tokenizer = kTokenizer});
  Session session = policy.session();
  Observation observation = moment(data, 0.1f);
  session.infer(observation, {.seed = 1});
  observation.state.resize(7);
  expect_error(ErrorCode::kInvalidInput, {"state: 7 values, expected 14"},
               [&] { session.infer(observation, {.rtc = RealTimeChunking{.executed = 1}}); });
  expect_error(ErrorCode::kInvalidInput, {"rolled forward", "adapt_to_pi"}, [&] {
    session.infer(observation,
                  {.rtc = RealTimeChunking{.executed = 1, .roll_state_forward = true}});
  });
}

// What the trained form holds is what is executed meanwhile, to the bit.
TEST(RtcTrainedTest, ASessionHoldsWhatGoesOutMeanwhile) {
  const std::filesystem::path directory = kTestdata / "golden_extra/pi05_trained";
  const Policy policy = Policy::load(directory, {.device = "cpu", .dtype = "fp32"},
                                     {.tokenizer = kTokenizer, .raw = true});
  const int horizon = policy.info().action_horizon, dims = policy.info().action_dims;
  const int longest = policy.network().info().rtc_training_max_delay;
  ASSERT_EQ(longest, 33);
  const CheckpointData data = open_checkpoint(directory);
  const Observation first = moment(data, 0.1f), second = moment(data, 0.3f);
  struct Case {
    int executed, delay, held;
    const char* warning;  // null: none
  };
  for (const Case& one : {Case{3, 5, 5, nullptr},
                          {3, 0, 0, nullptr},
                          {31, 9, 4, "taken as 4"},
                          {0, 34, longest, "taken as 33"},
                          {horizon, 2, 0, "taken as 0"}}) {
    SCOPED_TRACE(one.executed);
    Session session = policy.session();
    const ActionChunk before = session.infer(first, {.seed = 1});
    SampleOptions options{.seed = 2};
    const ActionChunk free = policy.infer(second, options);
    options.rtc = {.mode = RtcMode::kTrained, .executed = one.executed};
    options.rtc->inference_delay = one.delay;
    const ActionChunk continued = session.infer(second, options);
    for (int i = 0; i < one.held * dims; ++i) {
      ASSERT_EQ(continued.actions[static_cast<std::size_t>(i)],
                before.actions[static_cast<std::size_t>(one.executed * dims + i)])
          << i;
    }
    EXPECT_EQ(continued.actions == free.actions, one.held == 0);
    const bool warned = continued.warnings.size() > free.warnings.size();
    ASSERT_EQ(warned, one.warning != nullptr);
    if (warned) {
      EXPECT_NE(continued.warnings.back().find(one.warning), std::string::npos)
          << continued.warnings.back();
    }
    // As one gives it what is left.
    if (one.held == 0) continue;
    options.rtc->executed.reset();
    options.rtc->inference_delay = one.held;
    options.rtc->dims = dims;
    options.rtc->prev_chunk_left_over.assign(before.actions.begin() + one.executed * dims,
                                             before.actions.end());
    EXPECT_EQ(continued.actions, policy.infer(second, options).actions);
  }
}

TEST_F(RtcTest, TheTrainedFormIsRefusedWithoutTheTraining) {
  Session session = policy.session();
  for (int call = 0; call < 2; ++call) {  // without a chunk before, and with one
    SampleOptions options;
    options.rtc = {.mode = RtcMode::kTrained, .executed = 1};
    expect_error(ErrorCode::kInvalidInput, {"rtc", "trained", "rtc_training_max_delay"},
                 [&] { session.infer(first, options); });
    session.infer(first);
  }
}

// Relative actions of another state's are the same motion: finished, they are where they were.
TEST(RtcPipelineTest, RelativeActionsAreCountedFromTheNewState) {
  for (const char* golden : {"golden_extra/pi05_relative", "golden/pi0_odd"}) {
    const CheckpointData data = open_checkpoint(kTestdata / golden);
    ASSERT_FALSE(data.relative_actions.empty());
    const Pipeline pipeline(data, {.tokenizer = kTokenizer});
    const auto width = static_cast<std::size_t>(data.model.action_dim);
    const auto dims = static_cast<std::size_t>(data.action_dims);
    std::vector<float> actions(3 * width);
    for (std::size_t i = 0; i < actions.size(); ++i) actions[i] = std::sin(static_cast<float>(i));
    std::vector<float> before(static_cast<std::size_t>(data.state_dims), 0.25f);
    std::vector<float> now = before;
    now[0] += 0.5f;
    now[1] -= 0.125f;
    const std::vector<float> seen = pipeline.seen_from(actions, before, now);
    ASSERT_EQ(seen.size(), 3 * dims);
    std::vector<float> padded(actions.size());
    for (std::size_t i = 0; i < seen.size(); ++i) padded[i / dims * width + i % dims] = seen[i];
    const std::vector<float> expected = pipeline.finish(actions, before);
    const std::vector<float> finished = pipeline.finish(padded, now);
    bool moved = false;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(finished[i], expected[i], 1e-5 * (1 + std::abs(expected[i]))) << golden << i;
      moved = moved || seen[i] != actions[i / dims * width + i % dims];
      if (!data.relative_actions[i % dims]) {
        EXPECT_EQ(seen[i], actions[i / dims * width + i % dims]);
      }
    }
    EXPECT_TRUE(moved) << golden;
  }
}

}  // namespace
}  // namespace pi0
