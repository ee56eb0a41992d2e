// Chunks of a session that continue one another.
#include <gtest/gtest.h>

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

TEST_F(RtcTest, NamesWhatDoesNotFit) {
  Session session = policy.session();
  const auto refused = [&](const RealTimeChunking& rtc, const char* words) {
    expect_error(ErrorCode::kInvalidInput, {"rtc", words},
                 [&] { session.infer(first, {.rtc = rtc}); });
  };
  refused({.executed = -1}, "executed is -1");
  refused({.executed = policy.info().action_horizon + 1}, "the rows of a chunk");
  refused({.prev_chunk_left_over = {1}, .executed = 1}, "expected one of them");
  const Observation both[] = {first, second};
  SampleOptions options;
  options.rtc.emplace();
  expect_error(ErrorCode::kInvalidInput, {"rtc", "not of a batch"},
               [&] { policy.infer(both, options); });
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
