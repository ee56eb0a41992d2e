#include "policy/runner.h"

#include <gtest/gtest.h>

#include "pi0/error.h"

namespace pi0 {
namespace {

const std::filesystem::path kGolden = std::filesystem::path(PI0_SOURCE_DIR) / "testdata/golden";

// Two calls with other images after another, and the same alone.
TEST(RunnerTest, ABatchOnACardIsItsCallsOneByOne) {
  const Checkpoint checkpoint = open_checkpoint(kGolden / "pi0_tiny");
  const ModelConfig& config = checkpoint.model;
  const auto call = [&](std::size_t i) {
    NetworkCall result;
    result.input.images.resize(static_cast<std::size_t>(3) * 3 * config.image_size *
                               config.image_size);
    for (std::size_t p = 0; p < result.input.images.size(); ++p) {
      result.input.images[p] = static_cast<float>((p * (i + 3) + i) % 17) / 8 - 1;
    }
    result.input.tokens = {2, 5, static_cast<std::int32_t>(i) + 7};
    result.input.state.resize(static_cast<std::size_t>(config.state_dim), 0.1f * i);
    result.options.seed = i;
    result.options.steps = 2;
    return result;
  };
  constexpr std::size_t kCalls = 5;  // beyond those that capture traces
  for (const char* device : {"ttnn-emulated", "reference"}) {
    SCOPED_TRACE(device);
    NetworkOptions options;
    options.device = device;
    std::vector<std::vector<float>> alone;
    for (std::size_t i = 0; i < kCalls; ++i) {
      Runner fresh(checkpoint, options);
      const NetworkCall one = call(i);
      alone.push_back(fresh.sample_actions(one.input, one.options, nullptr));
      if (i > 0) {
        EXPECT_NE(alone[i], alone[i - 1]);
      }
    }
    Runner runner(checkpoint, options);
    std::size_t done = 0;
    runner.sample_batch(kCalls, call,
                        [&](std::size_t i, std::vector<float> actions, const Timing&) {
                          EXPECT_EQ(i, done++);
                          EXPECT_EQ(actions, alone[i]) << i;
                        });
    EXPECT_EQ(done, kCalls);
    // A batch that stops between two calls leaves nothing behind.
    const auto failing = [&](std::size_t i) {
      NetworkCall result = call(i);
      if (i == 2) result.input.tokens = {-1};
      return result;
    };
    EXPECT_THROW(runner.sample_batch(kCalls, failing, [](std::size_t, auto&&, auto&&) {}), Error);
    const NetworkCall after = call(4);
    EXPECT_EQ(runner.sample_actions(after.input, after.options, nullptr), alone[4]);
  }
}

}  // namespace
}  // namespace pi0
