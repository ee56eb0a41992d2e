#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "base/test_support.h"
#include "device/registry/registry.h"
#include "pi0/policy.h"
#include "runtime/loaded_network.h"
#include "runtime/random_input.h"

namespace pi0 {
namespace {

const std::filesystem::path kSource = PI0_SOURCE_DIR;
const std::filesystem::path kGolden = kSource / "testdata/golden";

// A small network that takes prompts of several tiles.
CheckpointData small_network() {
  CheckpointData checkpoint = open_checkpoint(kGolden / "pi0_tiny");
  checkpoint.model.max_tokens = 70;
  return checkpoint;
}

class SessionsTest : public testing::TestWithParam<const char*> {
 protected:
  static DeviceOptions options() {
    DeviceOptions options;
    options.device = GetParam();
    return options;
  }
  // The i-th of calls that differ in everything, with so many cameras and tokens.
  NetworkCall call(std::size_t i, std::size_t cameras = 3, std::size_t tokens = 3) const {
    const ModelConfig& config = checkpoint.model;
    NetworkCall result;
    result.input.images.resize(cameras * 3 * config.image_size * config.image_size);
    for (std::size_t p = 0; p < result.input.images.size(); ++p) {
      result.input.images[p] = static_cast<float>((p * (i + 3) + i) % 17) / 8 - 1;
    }
    result.input.tokens.assign(tokens, static_cast<std::int32_t>(i) + 7);
    result.input.state.resize(static_cast<std::size_t>(config.state_dim), 0.1f * i);
    result.options.seed = i;
    result.options.steps = 2;
    return result;
  }
  std::vector<float> alone(const NetworkCall& one) const {
    const Network fresh = load_network(checkpoint, options());
    return fresh.sample_actions(one.input, one.options);
  }

  const CheckpointData checkpoint = small_network();
};

// The next call's images go up while one computes: what was announced comes, or something else.
TEST_P(SessionsTest, PrefetchedOrNotACallIsWhatItIsAlone) {
  NetworkSession session = load_network(checkpoint, options()).session();
  for (std::size_t i = 0; i < 6; ++i) {  // beyond those that capture traces
    session.prefetch(call(i == 3 ? 9 : i + 1).input);
    const NetworkCall one = call(i);
    EXPECT_EQ(session.sample_actions(one.input, one.options), alone(one)) << i;
  }
  // A call that is refused in between leaves nothing behind.
  NetworkCall bad = call(1);
  bad.input.tokens = {-1};
  session.prefetch(call(1).input);
  EXPECT_THROW(session.sample_actions(bad.input, bad.options), Error);
  const NetworkCall after = call(4);
  EXPECT_EQ(session.sample_actions(after.input, after.options), alone(after));
}

// What observes a call may end it; nothing of it is left, and observing changes no value.
TEST_P(SessionsTest, AnObserverSeesStagesAndMayThrow) {
  const Network network = load_network(checkpoint, options());
  NetworkCall one = call(2);
  const std::vector<float> expected = network.sample_actions(one.input, one.options);
  std::map<std::string, int> seen;
  one.options.observe = [&](const Stage& stage) {
    std::size_t size = 1;
    for (const std::int64_t side : stage.shape) size *= static_cast<std::size_t>(side);
    EXPECT_EQ(stage.values.size(), size) << stage.name;
    EXPECT_EQ(stage.index, seen[std::string(stage.name)]++) << stage.name;
  };
  EXPECT_EQ(network.sample_actions(one.input, one.options), expected);
  EXPECT_EQ(seen["v_t"], one.options.steps);
  EXPECT_EQ(seen["prefix_keys"], checkpoint.model.language.depth);
  EXPECT_EQ(seen["image_embeddings"], 1);
  one.options.observe = [](const Stage& stage) {
    if (stage.name == "v_t") throw std::runtime_error("enough");
  };
  EXPECT_THROW(network.sample_actions(one.input, one.options), std::runtime_error);
  one.options.observe = {};
  EXPECT_EQ(network.sample_actions(one.input, one.options), expected);
}

// Pixels in either order are the same call, with a camera masked too.
TEST_P(SessionsTest, ChannelsMayComeLast) {
  const Network network = load_network(checkpoint, options());
  NetworkCall planar = call(1);
  NetworkCall last = planar;
  last.input.layout = PixelLayout::kHwc;
  const auto size = static_cast<std::size_t>(checkpoint.model.image_size);
  for (std::size_t i = 0; i < planar.input.images.size(); ++i) {
    const std::size_t camera = i / (3 * size * size), channel = i / (size * size) % 3;
    last.input.images[(camera * size * size + i % (size * size)) * 3 + channel] =
        planar.input.images[i];
  }
  ASSERT_NE(last.input.images, planar.input.images);
  for (const std::vector<std::uint8_t>& masks :
       {std::vector<std::uint8_t>{}, std::vector<std::uint8_t>{1, 0, 1}}) {
    planar.input.image_masks = last.input.image_masks = masks;
    EXPECT_EQ(network.sample_actions(last.input, last.options),
              network.sample_actions(planar.input, planar.options));
  }
  last.input.images.pop_back();
  const std::string side = std::to_string(size);
  expect_error(ErrorCode::kInvalidInput, {"[cameras, " + side + ", " + side + ", 3]"},
               [&] { network.sample_actions(last.input, last.options); });
}

// Shapes that alternate, more than are kept, of two sessions that take turns: on a card each has
// traces, which write where others' memory might be.
TEST_P(SessionsTest, ShapesAlternateBetweenSessions) {
  const Network network = load_network(checkpoint, options());
  NetworkSession first = network.session(), second = network.session();
  const std::pair<std::size_t, std::size_t> shapes[] = {{3, 3}, {3, 40}, {1, 3}, {2, 70}, {1, 40}};
  std::vector<std::vector<float>> expected;
  for (std::size_t i = 0; i < std::size(shapes); ++i) {
    expected.push_back(alone(call(i, shapes[i].first, shapes[i].second)));
  }
  const auto expect_same = [&](NetworkSession& session, std::size_t i) {
    const NetworkCall one = call(i, shapes[i].first, shapes[i].second);
    EXPECT_EQ(session.sample_actions(one.input, one.options), expected[i]) << i;
  };
  for (int round = 0; round < 4; ++round) {  // two shapes each, until all is replayed
    for (const std::size_t i : {0, 1}) {
      expect_same(first, i);
      expect_same(second, i + 2);
    }
  }
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < std::size(shapes); ++i) expect_same(first, i);
  }
  for (int round = 0; round < 3; ++round) expect_same(second, 3);
}

INSTANTIATE_TEST_SUITE_P(Devices, SessionsTest,
                         testing::Values("reference", "cpu", "ttnn-emulated"));

// A card does the work of a shape twice, and when others came between, once more; then it replays
// what it has of each.
TEST(SessionsOnACardTest, AlternatingShapesAreReplayed) {
  struct Log final : OperationLog {
    void mark(const Component&, int) override {}
    void record(OperationRecord operation) override { ++counts[operation.name]; }
    std::map<std::string, int> counts;
  } log;
  const CheckpointData checkpoint = small_network();
  const Network network =
      load_network(checkpoint, open_device({.name = "ttnn-emulated", .log = &log}));
  const ModelConfig& config = checkpoint.model;
  const auto call = [&](std::size_t cameras, std::size_t tokens) {
    NetworkInput input;
    input.images.resize(cameras * 3 * config.image_size * config.image_size);
    input.tokens.assign(tokens, 7);
    input.state.resize(static_cast<std::size_t>(config.state_dim));
    log.counts.clear();
    network.sample_actions(input, {.steps = 2});
    return log.counts["ttnn.linear"];
  };
  const std::pair<std::size_t, std::size_t> shapes[] = {{3, 3}, {3, 40}, {1, 3}, {2, 70}};
  for (int round = 0; round < 3; ++round) {
    for (const auto& [cameras, tokens] : shapes) {
      const int worked = call(cameras, tokens);
      EXPECT_EQ(worked == 0, round == 2) << round << " " << cameras << " " << tokens;
      EXPECT_EQ(log.counts["ttnn.execute_trace"] == 3, round > 0) << round;
    }
  }
  EXPECT_EQ(call(3, 32), 0);  // as many tiles as before
  EXPECT_EQ(call(2, 65), 0);
  EXPECT_GT(call(1, 70), 0);  // a fifth, which drives out the first
  EXPECT_GT(call(3, 3), 0);
}

// Sessions on threads of their own; `make threads` runs this under the thread sanitizer.
TEST(SessionsThreadsTest, TakeTurns) {
  const Policy policy = Policy::load(kSource / "examples/policy", {.device = "cpu"});
  Observation observation;
  observation.images["base_0_rgb"] = load_image(kSource / "examples/frames/drawer_open_corner.png");
  observation.state = {-0.0066f, 0.6386f, 0.2493f, 1.0f};
  observation.prompt = "open the drawer";
  const SampleOptions sample{.steps = 2, .seed = 7};
  const std::vector<float> expected = policy.infer(observation, sample).actions;
  std::vector<std::jthread> robots;
  std::atomic<int> same = 0;
  for (int robot = 0; robot < 4; ++robot) {
    robots.emplace_back([&, robot] {
      Session session = policy.session();
      Observation own = observation;
      if (robot % 2 == 1) own.prompt = "open";
      for (int i = 0; i < 5; ++i) {
        session.prefetch(own);
        const std::vector<float> actions = session.infer(own, sample).actions;
        same += (actions == expected) == (robot % 2 == 0) ? 1 : 0;
      }
    });
  }
  robots.clear();
  EXPECT_EQ(same, 20);
}

// What was moved from says so, and a session keeps its network.
TEST(SessionTest, OutlivesItsPolicy) {
  std::optional<Policy> policy = Policy::load(kSource / "examples/policy", {.device = "cpu"});
  Observation observation;
  observation.images["base_0_rgb"] = load_image(kSource / "examples/frames/drawer_open_corner.png");
  observation.state = {-0.0066f, 0.6386f, 0.2493f, 1.0f};
  observation.prompt = "open the drawer";
  const SampleOptions sample{.steps = 2, .seed = 7, .time_stages = false};
  const ActionChunk expected = policy->infer(observation, sample);
  EXPECT_EQ(expected.timing.vision_ms, 0);
  EXPECT_GT(expected.timing.total_ms, 0);
  Session session = policy->session();
  NetworkSession of_network = policy->network().session();
  policy.reset();
  EXPECT_EQ(session.infer(observation, sample).actions, expected.actions);
  Session moved = std::move(session);
  EXPECT_EQ(moved.infer(observation, sample).actions, expected.actions);
  expect_error(ErrorCode::kInvalidInput, {"this Session was moved from"},
               [&] { session.infer(observation); });
  observation.state.pop_back();
  expect_error(ErrorCode::kInvalidInput, {"state"}, [&] { moved.prefetch(observation); });
  const NetworkSession other = std::move(of_network);
  expect_error(ErrorCode::kInvalidInput, {"this NetworkSession was moved from"},
               [&] { of_network.sample_actions({}); });
}

}  // namespace
}  // namespace pi0
