// A caller's `progress` that throws, on every device: what it throws comes out, and what is called
// afterwards gives what a policy that was never cancelled gives.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/test_support.h"
#include "pi0/policy.h"

namespace pi0 {
namespace {

const std::filesystem::path kSource = PI0_SOURCE_DIR;
const std::filesystem::path kPolicy = kSource / "examples/policy";

struct Cancelled {
  std::string stage;
};

// Throws at the report of that number, counted from 0.
std::function<void(const Progress&)> cancel_at(int report, int& count) {
  count = 0;
  return [report, &count](const Progress& progress) {
    if (count++ == report) throw Cancelled{std::string(progress.stage)};
  };
}

Observation observation(const char* frame) {
  Observation observation;
  observation.images["base_0_rgb"] = load_image(kSource / "examples/frames" / frame);
  observation.state = {-0.0066f, 0.6386f, 0.2493f, 1.0f};
  observation.prompt = "open the drawer";
  return observation;
}

class CancelTest : public testing::TestWithParam<const char*> {
 protected:
  static DeviceOptions options() {
    DeviceOptions options;
    options.device = GetParam();
    return options;
  }
  static SampleOptions sample() { return {.steps = 2, .seed = 7}; }
  static int reports_of(const Policy& policy, const Observation& observation) {
    int count = 0;
    SampleOptions options = sample();
    options.progress = cancel_at(-1, count);
    policy.infer(observation, options);
    return count;
  }

  const Observation drawer_ = observation("drawer_open_corner.png");
  const Observation button_ = observation("button_press_topdown_corner.png");
};

// At a shape's first call, its second (which a card records) and its third (which is replayed).
TEST_P(CancelTest, ACallThatWasCancelledLeavesNothing) {
  const Policy fresh = Policy::load(kPolicy, options());
  const std::vector<float> drawer = fresh.infer(drawer_, sample()).actions;
  const std::vector<float> button = fresh.infer(button_, sample()).actions;
  const Policy policy = Policy::load(kPolicy, options());
  for (const int calls_before : {0, 1, 2}) {
    std::vector<std::string> stages;
    const Policy counted = Policy::load(kPolicy, options());
    for (int i = 0; i < calls_before; ++i) counted.infer(drawer_, sample());
    const int reports = reports_of(counted, drawer_);
    ASSERT_GE(reports, 3);  // of vision, prefix and denoising
    for (const int report : {0, reports / 2, reports - 1}) {
      SCOPED_TRACE(std::to_string(calls_before) + " calls before, cancelled at report " +
                   std::to_string(report) + " of " + std::to_string(reports));
      Session session = policy.session();  // which has recorded nothing
      for (int i = 0; i < calls_before; ++i) {
        EXPECT_EQ(session.infer(drawer_, sample()).actions, drawer);
      }
      int count = 0;
      SampleOptions cancelled = sample();
      cancelled.progress = cancel_at(report, count);
      try {
        session.infer(drawer_, cancelled);
        ADD_FAILURE() << "not cancelled";
      } catch (const Cancelled& thrown) {
        stages.push_back(thrown.stage);
      }
      EXPECT_EQ(session.infer(button_, sample()).actions, button);
      EXPECT_EQ(session.infer(drawer_, sample()).actions, drawer);
    }
    EXPECT_EQ(stages.front(), "vision");
    EXPECT_EQ(stages.back(), "denoising");
  }
}

// Also where the next one's images are on the device already: from the prefix on.
TEST_P(CancelTest, ABatchThatWasCancelledLeavesNothing) {
  const std::vector<Observation> batch{drawer_, button_, drawer_};
  const Policy fresh = Policy::load(kPolicy, options());
  const std::vector<ActionChunk> expected = fresh.infer(batch, sample());
  const Policy policy = Policy::load(kPolicy, options());
  for (const auto& [observation, stage] :
       {std::pair{0, "prefix"}, {1, "vision"}, {1, "prefix"}, {1, "denoising"}, {2, "denoising"}}) {
    SCOPED_TRACE("in observation " + std::to_string(observation) + ", " + stage);
    int at = 0;
    std::string last;
    SampleOptions cancelled = sample();
    cancelled.progress = [&, observation = observation, stage = stage](const Progress& progress) {
      if (last == "denoising" && progress.stage == "vision") ++at;
      last = progress.stage;
      if (at == observation && last == stage) throw Cancelled{last};
    };
    EXPECT_THROW(policy.infer(batch, cancelled), Cancelled);
    EXPECT_EQ(policy.infer(drawer_, sample()).actions, expected[0].actions);
    const std::vector<ActionChunk> chunks = policy.infer(batch, sample());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      EXPECT_EQ(chunks[i].actions, expected[i].actions) << i;
    }
  }
}

TEST_P(CancelTest, ALoadThatWasCancelledLeavesNothing) {
  const std::vector<float> expected =
      Policy::load(kPolicy, options()).infer(drawer_, sample()).actions;
  int reports = 0;
  DeviceOptions counted = options();
  counted.progress = cancel_at(-1, reports);
  Policy::load(kPolicy, counted);
  for (const int report : {0, reports / 2, reports - 1}) {
    int count = 0;
    DeviceOptions cancelled = options();
    cancelled.progress = cancel_at(report, count);
    EXPECT_THROW(Policy::load(kPolicy, cancelled), Cancelled);
    EXPECT_EQ(count, report + 1);
  }
  EXPECT_EQ(Policy::load(kPolicy, options()).infer(drawer_, sample()).actions, expected);
}

INSTANTIATE_TEST_SUITE_P(Devices, CancelTest, testing::Values("reference", "cpu", "ttnn-emulated"));

TEST(CancelCacheTest, ALoadThatWasCancelledKeepsNoWeights) {
  const TemporaryDirectory folder;
  DeviceOptions options;
  options.device = "cpu";
  options.cache = folder / "cache";
  int reports = 0;
  DeviceOptions cancelled = options;
  cancelled.progress = cancel_at(50, reports);
  EXPECT_THROW(Policy::load(kPolicy, cancelled), Cancelled);
  EXPECT_TRUE(std::filesystem::is_empty(options.cache));
  EXPECT_EQ(Policy::load(kPolicy, options).network().info().warnings, std::vector<std::string>());
  EXPECT_FALSE(std::filesystem::is_empty(options.cache));
}

}  // namespace
}  // namespace pi0
