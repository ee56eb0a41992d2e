// One policy on several devices, through the public classes.
#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <thread>

#include "base/test_support.h"
#include "device/registry/counting_testing.h"
#include "pi0/policy.h"

namespace pi0 {
namespace {

const std::filesystem::path kSource = PI0_SOURCE_DIR;
const std::filesystem::path kPolicy = kSource / "examples/policy";

Observation observation(float state) {
  static const Image frame = load_image(kSource / "examples/frames/drawer_open_corner.png");
  Observation observation;
  observation.images["base_0_rgb"] = frame;
  observation.state = {state, 0.6386f, 0.2493f, 1.0f};
  observation.prompt = "open the drawer";
  return observation;
}

std::vector<Observation> observations(int count) {
  std::vector<Observation> batch;
  for (int i = 0; i < count; ++i) batch.push_back(observation(0.1f * static_cast<float>(i)));
  return batch;
}

class SeveralDevicesThreadsTest : public testing::TestWithParam<const char*> {
 protected:
  static Policy load(const std::string& device) {
    return Policy::load(kPolicy, {.device = device, .threads = device.starts_with("cpu") ? 1 : 0});
  }
  static std::string twice() { return std::string(GetParam()) + "," + GetParam(); }
};

// In their order, each with its own noise, more or fewer than devices, and again.
TEST_P(SeveralDevicesThreadsTest, ABatchIsAsOnOne) {
  const Policy one = load(GetParam()), two = load(twice());
  for (const int count : {0, 1, 2, 5}) {
    const std::vector<Observation> batch = observations(count);
    const SampleOptions sample{.steps = 2, .seed = 11};
    const std::vector<ActionChunk> expected = one.infer(batch, sample);
    const std::vector<ActionChunk> chunks = two.infer(batch, sample);
    ASSERT_EQ(chunks.size(), batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      EXPECT_EQ(chunks[i].actions, expected[i].actions) << i << " of " << count;
    }
  }
  EXPECT_EQ(two.infer(observation(0.2f), {.steps = 2, .seed = 1}).actions,
            one.infer(observation(0.2f), {.steps = 2, .seed = 1}).actions);
}

// What follows a batch goes on from its last observation, wherever that was computed.
TEST_P(SeveralDevicesThreadsTest, ACallGoesOnFromABatch) {
  const Policy one = load(GetParam()), two = load(twice());
  const std::vector<Observation> batch = observations(4);
  SampleOptions next{.steps = 2, .seed = 5};
  next.rtc = RealTimeChunking{.executed = 3, .inference_delay = 1};
  one.infer(batch, {.steps = 2, .seed = 11});
  two.infer(batch, {.steps = 2, .seed = 11});
  const ActionChunk chunk = two.infer(observation(0.5f), next);
  ASSERT_TRUE(chunk.seam);
  EXPECT_EQ(chunk.actions, one.infer(observation(0.5f), next).actions);
}

// Progress comes from one thread at a time; what it throws ends the whole batch.
TEST_P(SeveralDevicesThreadsTest, ABatchIsCancelledAsAWhole) {
  const Policy two = load(twice());
  const std::vector<Observation> batch = observations(5);
  SampleOptions sample{.steps = 2, .seed = 3};
  std::set<std::thread::id> threads;
  int within = 0;
  sample.progress = [&](const Progress&) {
    EXPECT_EQ(within++, 0);
    threads.insert(std::this_thread::get_id());
    --within;
  };
  const std::vector<ActionChunk> expected = two.infer(batch, sample);
  EXPECT_EQ(threads.size(), 2u);
  struct Enough {};
  int reports = 0;
  sample.progress = [&](const Progress&) {
    if (++reports == 5) throw Enough{};  // of three a call, where a card replays
  };
  EXPECT_THROW(two.infer(batch, sample), Enough);
  sample.progress = {};
  const std::vector<ActionChunk> again = two.infer(batch, sample);
  for (std::size_t i = 0; i < batch.size(); ++i) EXPECT_EQ(again[i].actions, expected[i].actions);
}

TEST_P(SeveralDevicesThreadsTest, WhatIsRefusedLeavesNothing) {
  const Policy two = load(twice());
  std::vector<Observation> batch = observations(3);
  const std::vector<ActionChunk> expected = two.infer(batch, {.steps = 2, .seed = 3});
  std::vector<Observation> bad = batch;
  bad[1].state = {1.0f};
  expect_error(ErrorCode::kInvalidInput, {"state"},
               [&] { two.infer(bad, {.steps = 2, .seed = 3}); });
  const std::vector<ActionChunk> again = two.infer(batch, {.steps = 2, .seed = 3});
  for (std::size_t i = 0; i < batch.size(); ++i) EXPECT_EQ(again[i].actions, expected[i].actions);
}

INSTANTIATE_TEST_SUITE_P(Devices, SeveralDevicesThreadsTest,
                         testing::Values("cpu", "ttnn-emulated"), [](const auto& parameter) {
                           return parameter.param == std::string("cpu") ? "Cpu" : "Emulated";
                         });

TEST(SeveralDevicesTest, EachIsUsed) {
  counting();
  const Policy policy = Policy::load(kPolicy, {.device = "counting:a,counting:b"});
  EXPECT_EQ(policy.network().device(), "counting:a (named), counting:b (named)");
  const SampleOptions sample{.steps = 1, .seed = 1};
  EXPECT_EQ(asked_in([&] { policy.infer(observations(2), sample); }), std::pair(true, true));
  EXPECT_EQ(asked_in([&] { policy.infer(observation(0), sample); }), std::pair(true, false));

  // Sessions are made where the fewest are.
  std::optional<Session> first = policy.session(), second = policy.session();
  EXPECT_EQ(asked_in([&] { first->infer(observation(0), sample); }), std::pair(true, false));
  EXPECT_EQ(asked_in([&] { second->infer(observation(0), sample); }), std::pair(false, true));
  second.reset();
  Session third = policy.session();
  EXPECT_EQ(asked_in([&] { third.infer(observation(0), sample); }), std::pair(false, true));
  first.reset();
  std::optional<NetworkSession> fourth = policy.network().session();
  Session moved = std::move(third);
  Session fifth = policy.session();
  EXPECT_EQ(asked_in([&] { fifth.infer(observation(0), sample); }), std::pair(true, false));
}

TEST(SeveralDevicesTest, ProgressIsOfAll) {
  std::size_t last = 0, total = 0;
  const Policy policy = Policy::load(
      kPolicy, {.device = "cpu,cpu", .threads = 1, .progress = [&](const Progress& progress) {
                  if (progress.stage != "preparing weights") return;
                  EXPECT_GE(progress.done, last);
                  last = progress.done;
                  total = progress.total;
                }});
  EXPECT_EQ(last, total);
  EXPECT_GT(total, 0u);
}

TEST(SeveralDevicesTest, WhatIsWrongIsNamed) {
  const auto refused = [](ErrorCode code, const std::vector<std::string>& words,
                          const DeviceOptions& options) {
    expect_error(code, words, [&] { Policy::load(kPolicy, options); });
  };
  refused(ErrorCode::kUnsupported, {"cpu beside ttnn-emulated"}, {.device = "ttnn-emulated,cpu"});
  refused(ErrorCode::kUnsupported, {"gpu", "no such device"}, {.device = "gpu:0,gpu:1"});
  refused(ErrorCode::kInvalidInput, {"affinity", "3 cores for 2 devices"},
          {.device = "cpu,cpu", .affinity = {0, 1, 2}});
  refused(ErrorCode::kOutOfMemory, {"are allowed"},
          {.device = "cpu,cpu", .threads = 1, .memory_limit_bytes = 1000});
}

}  // namespace
}  // namespace pi0
