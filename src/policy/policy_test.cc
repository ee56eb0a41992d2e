// The whole way through the public door, against what PyTorch gave.
#include "pi0/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <memory>
#include <stop_token>
#include <thread>
#include <utility>

#include "base/test_support.h"
#include "files/safetensors.h"

namespace pi0 {
namespace {

const std::filesystem::path kSource = PI0_SOURCE_DIR;
const std::filesystem::path kPolicy = kSource / "examples/policy";
const std::filesystem::path kFrames = kSource / "examples/frames";

DeviceOptions reference() {
  DeviceOptions options;
  options.device = "reference";
  return options;
}

class Recorded {
 public:
  std::vector<float> values(const std::string& name) const {
    const SafeTensor* tensor = file_.find(name);
    if (tensor == nullptr) throw std::runtime_error("no tensor " + name);
    std::vector<float> values(tensor->bytes.size() / sizeof(float));
    std::memcpy(values.data(), tensor->bytes.data(), tensor->bytes.size());
    return values;
  }
  Image image(const std::string& name) const {
    const SafeTensor* tensor = file_.find(name);
    if (tensor == nullptr) throw std::runtime_error("no tensor " + name);
    const auto* pixels = reinterpret_cast<const std::uint8_t*>(tensor->bytes.data());
    return {static_cast<int>(tensor->shape[0]),
            static_cast<int>(tensor->shape[1]),
            {pixels, pixels + tensor->bytes.size()}};
  }

 private:
  SafeTensors file_ = SafeTensors::open(kPolicy / "recorded.safetensors");
};

// 1e-4 times the largest action where that is above 1.
void expect_actions(const std::vector<float>& expected, const ActionChunk& chunk) {
  ASSERT_EQ(chunk.actions.size(), expected.size());
  float magnitude = 1;
  for (const float value : expected) magnitude = std::max(magnitude, std::abs(value));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(chunk.actions[i], expected[i], 1e-4 * magnitude) << i;
  }
}

Observation frame(const Recorded& recorded, const std::string& name, const std::string& prompt) {
  Observation observation;
  observation.images["base_0_rgb"] = load_image(kFrames / (name + "_corner.png"));
  observation.state = recorded.values(name + ".state");
  observation.prompt = prompt;
  return observation;
}

SampleOptions with_noise(std::vector<float> noise) {
  SampleOptions options;
  options.noise = std::move(noise);
  return options;
}

class PolicyTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { policy = new Policy(Policy::load(kPolicy, reference())); }
  static void TearDownTestSuite() { delete policy; }
  Observation observation() const { return frame(recorded, "drawer_open", "open the drawer"); }
  Recorded recorded;
  static Policy* policy;
};
Policy* PolicyTest::policy = nullptr;

TEST_F(PolicyTest, FramesGiveTheActionsThatPyTorchGave) {
  const std::pair<const char*, const char*> frames[] = {
      {"drawer_open", "open the drawer"}, {"button_press_topdown", "press the button"}};
  for (const auto& [name, prompt] : frames) {
    SCOPED_TRACE(name);
    const ActionChunk chunk = policy->infer(
        frame(recorded, name, prompt), with_noise(recorded.values(name + std::string(".noise"))));
    expect_actions(recorded.values(name + std::string(".actions")), chunk);
  }
}

TEST_F(PolicyTest, EpisodesGiveTheActionsThatPyTorchGave) {
  for (const char* task : {"open the drawer", "press the button", "close the drawer"}) {
    std::string words = task;
    std::replace(words.begin(), words.end(), ' ', '_');
    for (int moment = 0; moment < 3; ++moment) {
      const std::string name = "episode." + words + "." + std::to_string(moment);
      SCOPED_TRACE(name);
      Observation observation;
      observation.images["base_0_rgb"] = recorded.image(name + ".image");
      observation.state = recorded.values(name + ".state");
      observation.prompt = task;
      expect_actions(recorded.values(name + ".actions"),
                     policy->infer(observation, with_noise(recorded.values(name + ".noise"))));
    }
  }
}

TEST_F(PolicyTest, SaysWhatItIs) {
  const PolicyInfo& info = policy->info();
  EXPECT_EQ(info.kind, "pi0");
  EXPECT_EQ(info.family, "lerobot");
  ASSERT_EQ(info.cameras.size(), 1u);
  EXPECT_EQ(info.cameras[0].feature, "observation.images.base_0_rgb");
  EXPECT_EQ(info.state_dims, 4);
  EXPECT_EQ(info.action_dims, 4);
  EXPECT_EQ(info.action_horizon, 16);
  EXPECT_EQ(info.n_action_steps, 8);
  EXPECT_EQ(policy->network().device(), "reference (named)");
  const ActionChunk chunk = policy->infer(observation());
  EXPECT_EQ(chunk.horizon, 16);
  EXPECT_EQ(chunk.names.size(), 4u);
  EXPECT_EQ(chunk.row(15).size(), 4u);
  EXPECT_GT(chunk.timing.denoise_ms, 0);
  EXPECT_GE(chunk.timing.total_ms, chunk.timing.vision_ms + chunk.timing.denoise_ms);
}

TEST_F(PolicyTest, GivesTheRowsThatItHas) {
  const ActionChunk chunk = policy->infer(observation());
  for (const int step : {0, 15}) {
    ASSERT_EQ(chunk.row(step).size(), 4u);
    EXPECT_EQ(chunk.row(step).data(), chunk.actions.data() + step * 4);
  }
  for (const int step : {-1, 16, 1 << 30}) {
    expect_error(ErrorCode::kInvalidInput, {"row " + std::to_string(step), "16"},
                 [&] { chunk.row(step); });
  }
  expect_error(ErrorCode::kInvalidInput, {"row 0"}, [] { ActionChunk().row(0); });
}

TEST_F(PolicyTest, FeatureNamesAreTakenToo) {
  const std::vector<float> noise = recorded.values("drawer_open.noise");
  Observation full = observation();
  full.images["observation.images.base_0_rgb"] = full.images["base_0_rgb"];
  full.images.erase("base_0_rgb");
  EXPECT_EQ(policy->infer(full, with_noise(noise)).actions,
            policy->infer(observation(), with_noise(noise)).actions);
}

// As a camera's driver keeps it, each row in a place of 4096 bytes.
TEST_F(PolicyTest, AViewOfAnImageGivesWhatTheImageGives) {
  const SampleOptions sample = with_noise(recorded.values("drawer_open.noise"));
  Observation seen = observation();
  const Image image = seen.images.at("base_0_rgb");
  const std::size_t stride = 4096;
  const std::size_t row = std::size_t{3} * image.width;
  std::vector<std::uint8_t> frame(stride * image.height, 77);
  for (int y = 0; y < image.height; ++y) {
    std::copy_n(&image.rgb[row * y], row, &frame[stride * y]);
  }
  seen.images.clear();
  seen.views["base_0_rgb"] = {
      .data = frame.data(), .height = image.height, .width = image.width, .row_stride = stride};
  EXPECT_EQ(policy->infer(seen, sample).actions, policy->infer(observation(), sample).actions);
}

// What the camera has written since is what is seen.
TEST_F(PolicyTest, APrefetchedViewIsKnownByItsPixels) {
  const SampleOptions sample = with_noise(recorded.values("drawer_open.noise"));
  Observation seen = observation();
  Image image = std::exchange(seen.images, {}).at("base_0_rgb");
  seen.views["base_0_rgb"] = {
      .data = image.rgb.data(), .height = image.height, .width = image.width};
  const std::vector<float> before = policy->infer(seen, sample).actions;
  Session session = policy->session();
  session.prefetch(seen);
  for (std::uint8_t& value : image.rgb) value = 255 - value;
  const std::vector<float> after = session.infer(seen, sample).actions;
  EXPECT_EQ(after, policy->infer(seen, sample).actions);
  EXPECT_NE(after, before);
  for (std::uint8_t& value : image.rgb) value = 255 - value;
  EXPECT_EQ(session.infer(seen, sample).actions, before) << "as it was prefetched";
  // A buffer that is gone is refused, not compared.
  session.prefetch(seen);
  seen.views["base_0_rgb"].data = nullptr;
  expect_error(ErrorCode::kInvalidInput, {"camera base_0_rgb", "null pointer"},
               [&] { session.infer(seen, sample); });
}

// Every input matters, and none of an earlier call is left.
TEST_F(PolicyTest, EachInputChangesTheActions) {
  SampleOptions sample;
  sample.seed = 5;
  const std::vector<float> before = policy->infer(observation(), sample).actions;
  Observation image = observation();
  for (std::uint8_t& value : image.images["base_0_rgb"].rgb) value = 255 - value;
  EXPECT_NE(policy->infer(image, sample).actions, before);
  Observation state = observation();
  state.state[0] += 0.05f;
  EXPECT_NE(policy->infer(state, sample).actions, before);
  Observation prompt = observation();
  prompt.prompt = "press the button";
  EXPECT_NE(policy->infer(prompt, sample).actions, before);
  SampleOptions steps = sample;
  steps.steps = 3;
  EXPECT_NE(policy->infer(observation(), steps).actions, before);
  EXPECT_EQ(policy->infer(observation(), sample).actions, before);
}

TEST_F(PolicyTest, NoiseIsNewAtEveryCallUnlessSeeded) {
  EXPECT_NE(policy->infer(observation()).actions, policy->infer(observation()).actions);
}

TEST_F(PolicyTest, ABatchIsItsObservationsOneByOne) {
  const std::vector<Observation> batch{observation(),
                                       frame(recorded, "button_press_topdown", "press the button")};
  std::vector<float> noise = recorded.values("drawer_open.noise");
  const std::vector<float> second = recorded.values("button_press_topdown.noise");
  noise.insert(noise.end(), second.begin(), second.end());
  const std::vector<ActionChunk> chunks = policy->infer(batch, with_noise(noise));
  ASSERT_EQ(chunks.size(), 2u);
  expect_actions(recorded.values("drawer_open.actions"), chunks[0]);
  expect_actions(recorded.values("button_press_topdown.actions"), chunks[1]);
  SampleOptions seeded;
  seeded.seed = 9;
  const std::vector<Observation> twice{observation(), observation()};
  const std::vector<ActionChunk> two = policy->infer(twice, seeded);
  EXPECT_NE(two[0].actions, two[1].actions);
  EXPECT_EQ(two[0].actions, policy->infer(observation(), seeded).actions);
  expect_error(ErrorCode::kInvalidInput, {"noise", "[2, 16, 8]"},
               [&] { policy->infer(batch, with_noise(second)); });
}

TEST_F(PolicyTest, NamesWhatInAnObservationDoesNotFit) {
  const auto expect = [&](const std::vector<std::string>& words, auto&& change) {
    Observation changed = observation();
    change(changed);
    expect_error(ErrorCode::kInvalidInput, words, [&] { policy->infer(changed); });
  };
  expect({"camera wrist", "base_0_rgb"},
         [](Observation& o) { o.images["wrist"] = o.images["base_0_rgb"]; });
  expect({"no image", "base_0_rgb"}, [](Observation& o) { o.images.clear(); });
  expect({"base_0_rgb", "second"}, [](Observation& o) {
    o.images["observation.images.base_0_rgb"] = o.images["base_0_rgb"];
  });
  expect({"base_0_rgb", "480 x 0"}, [](Observation& o) { o.images["base_0_rgb"] = {0, 480, {}}; });
  expect({"base_0_rgb", "bytes"}, [](Observation& o) { o.images["base_0_rgb"].rgb.pop_back(); });
  const std::vector<float> loud(12, 200);
  const ImageView view = {
      .data = loud.data(), .height = 2, .width = 2, .type = PixelType::kFloatUnit};
  for (const char* const name : {"base_0_rgb", "observation.images.base_0_rgb"}) {
    expect({"base_0_rgb", "second"}, [&](Observation& o) { o.views[name] = view; });
  }
  expect({"base_0_rgb", "second"}, [&](Observation& o) {
    o.images.clear();
    o.views = {{"base_0_rgb", view}, {"observation.images.base_0_rgb", view}};
  });
  expect({"camera wrist", "base_0_rgb"}, [&](Observation& o) { o.views["wrist"] = view; });
  expect({"camera base_0_rgb", "200", "0 to 255"}, [&](Observation& o) {
    o.images.clear();
    o.views["base_0_rgb"] = view;
  });
  expect({"camera base_0_rgb", "null pointer"}, [&](Observation& o) {
    o.images.clear();
    o.views["base_0_rgb"] = {.height = 480, .width = 640};
  });
  expect({"state", "3 values", "expected 4"}, [](Observation& o) { o.state.pop_back(); });
  expect({"state", "5 values", "expected 4"}, [](Observation& o) { o.state.push_back(0); });
  expect({"state", "value 2", "nan"}, [](Observation& o) { o.state[2] = NAN; });
  expect({"state", "value 1", "inf"}, [](Observation& o) { o.state[1] = INFINITY; });
  expect({"no state", "expected 4"}, [](Observation& o) { o.state.clear(); });
  expect({"no prompt", "Observation::prompt"}, [](Observation& o) { o.prompt.reset(); });
  expect({"UTF-8"}, [](Observation& o) { o.prompt = "open \xff the drawer"; });
}

TEST_F(PolicyTest, NamesWhatInTheOptionsDoesNotFit) {
  const auto expect = [&](const std::vector<std::string>& words, auto&& change) {
    SampleOptions options;
    change(options);
    expect_error(ErrorCode::kInvalidInput, words, [&] { policy->infer(observation(), options); });
  };
  expect({"noise", "[16, 8]"}, [](SampleOptions& o) { o.noise.assign(5, 0); });
  expect({"noise", "value 7"}, [](SampleOptions& o) {
    o.noise.assign(128, 0);
    o.noise[7] = NAN;
  });
  expect({"seed and noise", "both given"}, [](SampleOptions& o) {
    o.noise.assign(128, 0);
    o.seed = 1;
  });
  expect({"steps", "-1"}, [](SampleOptions& o) { o.steps = -1; });
  expect({"steps", "2000000"}, [](SampleOptions& o) { o.steps = 2000000; });
}

TEST_F(PolicyTest, LegalButWorthSaying) {
  Observation empty = observation();
  empty.prompt = "";
  EXPECT_FALSE(policy->infer(empty).warnings.empty());
  Observation longer = observation();
  longer.prompt = "open the drawer and then close it again and then open it once more please";
  const ActionChunk cut = policy->infer(longer);
  ASSERT_FALSE(cut.warnings.empty());
  EXPECT_NE(cut.warnings[0].find("12"), std::string::npos) << cut.warnings[0];
}

TEST(PolicyLoadTest, AutoIsTheProcessorWhereNoCardIs) {
  const Policy policy = Policy::load(kPolicy);
  const std::string& device = policy.network().device();
  EXPECT_TRUE(device.starts_with("cpu (bf16 on ") || device.starts_with("ttnn ")) << device;
}

// Opened once, looked at without a weight being touched, and loaded as often as one likes.
TEST(PolicyLoadTest, ACheckpointIsOpenedCheckedAndLoaded) {
  const Recorded recorded;
  const Observation observation = frame(recorded, "drawer_open", "open the drawer");
  std::optional<Checkpoint> checkpoint = Checkpoint::open(kPolicy);
  EXPECT_EQ(checkpoint->info().kind, "pi0");
  EXPECT_EQ(checkpoint->info().action_units, "");
  EXPECT_TRUE(checkpoint->check(observation).empty());
  Observation wrong = observation;
  wrong.state.push_back(0);
  expect_error(ErrorCode::kInvalidInput, {"state: 5 values, expected 4"},
               [&] { checkpoint->check(wrong); });
  const Policy first = checkpoint->load({.device = "reference"});
  const Policy second = checkpoint->load({.device = "cpu", .dtype = "fp32"});
  EXPECT_EQ(first.network().info().action_horizon, checkpoint->network().action_horizon);
  const Checkpoint kept = std::move(*checkpoint);
  EXPECT_EQ(checkpoint->info().family, kept.info().family);  // none is ever empty
  checkpoint.reset();
  const SampleOptions sample = with_noise(recorded.values("drawer_open.noise"));
  const std::vector<float> a = first.infer(observation, sample).actions;
  const std::vector<float> b = second.infer(observation, sample).actions;
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-4) << i;
  EXPECT_EQ(Policy::load(kPolicy, {.device = "reference"}).infer(observation, sample).actions, a);
}

TEST(PolicyLoadTest, DevicesThatAreNotThere) {
  DeviceOptions options;
  options.device = "ttnn";
  expect_error(ErrorCode::kUnsupported, {"ttnn", "--device cpu"},
               [&] { Policy::load(kPolicy, options); });
  options.device = "reference";
  options.cache = "cache";
  expect_error(ErrorCode::kUnsupported, {"cache", "--device cpu"},
               [&] { Policy::load(kPolicy, options); });
  EXPECT_FALSE(std::filesystem::exists("cache"));
}

TEST(PolicyLoadTest, StopsBeforeItTakesMoreThanThereIs) {
  DeviceOptions options = reference();
  options.memory_limit_bytes = 1 << 20;
  expect_error(ErrorCode::kOutOfMemory, {"reference", "needs", "weights", "allowed"},
               [&] { Policy::load(kPolicy, options); });
}

TEST(PolicyLoadTest, RawValuesAreTheNetworksOwn) {
  const Recorded recorded;
  const Policy raw = Policy::load(kPolicy, reference(), {.raw = true});
  const Policy cooked = Policy::load(kPolicy, reference());
  const SafeTensors statistics =
      SafeTensors::open(kPolicy / "policy_preprocessor_step_6_normalizer_processor.safetensors");
  const auto value = [&](const char* name, int i) {
    float number;
    std::memcpy(&number, statistics.find(name)->bytes.data() + 4 * i, 4);
    return number;
  };
  // The state normalised by hand, and the actions un-normalised by hand.
  const Observation observation = frame(recorded, "drawer_open", "open the drawer");
  Observation normalised = observation;
  for (int i = 0; i < 4; ++i) {
    normalised.state[i] = (observation.state[i] - value("observation.state.mean", i)) /
                          (value("observation.state.std", i) + 1e-8f);
  }
  const SampleOptions sample = with_noise(recorded.values("drawer_open.noise"));
  const ActionChunk expected = cooked.infer(observation, sample);
  const ActionChunk chunk = raw.infer(normalised, sample);
  for (std::size_t i = 0; i < chunk.actions.size(); ++i) {
    const int dim = static_cast<int>(i % 4);
    EXPECT_NEAR(chunk.actions[i] * value("action.std", dim) + value("action.mean", dim),
                expected.actions[i], 1e-4);
  }
}

TEST(PolicyLoadTest, APolicyThatWasMovedFromSaysSo) {
  const Recorded recorded;
  const Observation observation = frame(recorded, "drawer_open", "open the drawer");
  const SampleOptions sample = with_noise(recorded.values("drawer_open.noise"));
  Policy first = Policy::load(kPolicy, reference());
  const std::vector<float> actions = first.infer(observation, sample).actions;
  Policy second = std::move(first);
  const auto expect = [](auto&& use) {
    expect_error(ErrorCode::kInvalidInput, {"this Policy was moved from"}, use);
  };
  expect([&] { first.info(); });
  expect([&] { first.network(); });
  expect([&] { first.infer(observation); });
  expect([&] { first.infer(std::vector<Observation>{observation}); });
  expect([&] { first.infer(std::vector<Observation>{}); });
  EXPECT_EQ(second.infer(observation, sample).actions, actions);
  first = std::move(second);
  EXPECT_EQ(first.infer(observation, sample).actions, actions);
  expect([&] { second.info(); });
}

TEST(NetworkLoadTest, ANetworkThatWasMovedFromSaysSo) {
  DeviceOptions options;
  options.device = "reference";
  Network first = Network::load(kPolicy, options);
  Network second = std::move(first);
  const auto expect = [](auto&& use) {
    expect_error(ErrorCode::kInvalidInput, {"this Network was moved from"}, use);
  };
  expect([&] { first.info(); });
  expect([&] { first.device(); });
  expect([&] { first.sample_actions({}); });
  first = std::move(second);
  EXPECT_EQ(first.device(), "reference (named)");
  expect([&] { second.info(); });
}

TEST(PolicyLoadTest, ReportsProgress) {
  DeviceOptions options = reference();
  std::size_t last = 0, total = 0;
  options.progress = [&](const Progress& progress) {
    EXPECT_GE(progress.done, last);
    last = progress.done;
    total = progress.total;
  };
  const Policy policy = Policy::load(kPolicy, options);
  EXPECT_EQ(last, total);
  EXPECT_GT(total, 100u);
}

// Several threads on several policies, and on one; run under the thread sanitizer.
TEST(PolicyThreadsTest, SeveralThreadsOnSeveralPolicies) {
  const Recorded recorded;
  const Observation observation = frame(recorded, "drawer_open", "open the drawer");
  const std::vector<float> noise = recorded.values("drawer_open.noise");
  const Policy first = Policy::load(kPolicy, reference());
  const Policy second = Policy::load(kPolicy, reference());
  std::vector<ActionChunk> chunks(4);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    threads.emplace_back([&, i] {
      SampleOptions sample = with_noise(noise);
      sample.steps = 2 + static_cast<int>(i / 2);  // two shapes of call on each policy
      chunks[i] = (i % 2 == 0 ? first : second).infer(observation, sample);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(chunks[0].actions, chunks[1].actions);
  EXPECT_EQ(chunks[2].actions, chunks[3].actions);
  EXPECT_NE(chunks[0].actions, chunks[2].actions);
}

// Threads of the program come and go while calls run: the actions are those of one thread.
TEST(PolicyThreadsTest, ThreadsOfTheProgramComputeTheSame) {
  const Recorded recorded;
  const Observation observation = frame(recorded, "drawer_open", "open the drawer");
  const SampleOptions sample = with_noise(recorded.values("drawer_open.noise"));
  DeviceOptions options;
  options.device = "cpu";
  options.threads = 1;
  const std::vector<float> expected =
      Policy::load(kPolicy, options).infer(observation, sample).actions;
  options.threads = 0;
  options.host_threads = std::make_shared<HostThreads>(3);
  std::jthread early([&](const std::stop_token& stop) { options.host_threads->lend(stop); });
  const Policy policy = Policy::load(kPolicy, options);
  std::jthread late;
  for (int call = 0; call < 6; ++call) {
    if (call == 1) {
      late = std::jthread([&](const std::stop_token& stop) { options.host_threads->lend(stop); });
    }
    if (call == 3) early.request_stop();
    EXPECT_EQ(policy.infer(observation, sample).actions, expected) << call;
  }
}

}  // namespace
}  // namespace pi0
