// Every golden of the public PyTorch code, stage by stage and the whole way.
#include "verify/verify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "pi0/error.h"
#include "runtime/loaded_network.h"

namespace pi0 {
namespace {

const std::filesystem::path kSource = PI0_SOURCE_DIR;
const std::filesystem::path kGolden = kSource / "testdata/golden";

DeviceOptions reference() { return {.device = "reference"}; }
CheckpointOptions with_tokenizer() { return {.tokenizer = kGolden / "preprocess/tokenizer.model"}; }

struct GoldenFile {
  const char* checkpoint;
  const char* file;
  std::size_t stages;  // that must have been compared: a stage dropped is a test lost
};

std::string test_name(const testing::TestParamInfo<GoldenFile>& info) {
  std::string name = std::string(info.param.checkpoint) + "_" + info.param.file;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
}

class VerifyGolden : public testing::TestWithParam<GoldenFile> {
 protected:
  std::filesystem::path checkpoint_path() const {
    return kSource / "testdata" / GetParam().checkpoint;
  }
};

void expect_all_pass(const Verification& verification) {
  for (const StageResult& stage : verification.stages) {
    EXPECT_TRUE(stage.passed()) << stage.stage << ": " << stage.largest_difference << ", allowed "
                                << stage.tolerance;
    EXPECT_GT(stage.correlation, 0.999999) << stage.stage;
  }
}

TEST_P(VerifyGolden, EveryStage) {
  const CheckpointData checkpoint = open_checkpoint(checkpoint_path());
  const Network network = load_network(checkpoint, reference());
  const PyTorchRecording recording =
      read_recording(checkpoint_path() / GetParam().file, checkpoint);
  RecordedPipelines pipelines(checkpoint_path(), with_tokenizer());
  std::size_t stages = 0;
  if (recording.network) {
    const Verification verification = verify_network(network, checkpoint.model, *recording.network,
                                                     recording.where, VerifyOptions());
    expect_all_pass(verification);
    stages += verification.stages.size();
  }
  for (const RecordedCase& one : recording.cases) {
    SCOPED_TRACE(one.name);
    const Verification verification =
        verify_case(network, one, recording.where, pipelines, VerifyOptions());
    expect_all_pass(verification);
    stages += verification.stages.size();
  }
  EXPECT_EQ(stages, GetParam().stages);
}

// π0: 9 stages of which keys and values come once a layer, x_t and v_t once a step. π0.5 has the
// conditioning too. The whole way has four: tokens, state, model actions, actions.
constexpr std::size_t network_stages(int layers, int steps, bool pi05) {
  return 8 + 2 * layers + 2 * steps + (pi05 ? 1 : 0);
}

INSTANTIATE_TEST_SUITE_P(
    Network, VerifyGolden,
    testing::Values(
        GoldenFile{"golden/pi0_tiny", "full.safetensors", network_stages(3, 10, false)},
        GoldenFile{"golden/pi0_tiny", "masked_last.safetensors", network_stages(3, 10, false)},
        GoldenFile{"golden/pi0_tiny", "masked_middle.safetensors", network_stages(3, 10, false)},
        GoldenFile{"golden/pi0_tiny", "one_camera_short.safetensors", network_stages(3, 10, false)},
        GoldenFile{"golden/pi05_tiny", "full.safetensors", network_stages(3, 10, true)},
        GoldenFile{"golden/pi05_tiny", "masked_last.safetensors", network_stages(3, 10, true)},
        GoldenFile{"golden/pi05_tiny", "masked_middle.safetensors", network_stages(3, 10, true)},
        GoldenFile{"golden/pi05_tiny", "one_camera_short.safetensors", network_stages(3, 10, true)},
        GoldenFile{"golden/pi0_tiny_224", "full.safetensors", network_stages(2, 10, false)},
        GoldenFile{"golden/pi0_tiny_224", "masked_middle.safetensors",
                   network_stages(2, 10, false)}),
    test_name);

// Actions of twelve calls each: every schedule, left-overs that are shorter and narrower, one step.
INSTANTIATE_TEST_SUITE_P(RealTimeChunking, VerifyGolden,
                         testing::Values(GoldenFile{"golden/pi0_tiny", "rtc.safetensors", 12},
                                         GoldenFile{"golden/pi05_tiny", "rtc.safetensors", 12},
                                         GoldenFile{"golden/pi0_tiny_224", "rtc.safetensors", 12}),
                         test_name);

// Eight calls in the trained form, and one guided.
INSTANTIATE_TEST_SUITE_P(TrainedRealTimeChunking, VerifyGolden,
                         testing::Values(GoldenFile{"golden_extra/pi05_trained", "rtc.safetensors",
                                                    9}),
                         test_name);

INSTANTIATE_TEST_SUITE_P(WholeWay, VerifyGolden,
                         testing::Values(GoldenFile{"golden/pi0_tiny", "policy.safetensors", 8},
                                         GoldenFile{"golden/pi05_tiny", "policy.safetensors", 8},
                                         GoldenFile{"golden/pi0_odd", "policy.safetensors", 20},
                                         GoldenFile{"golden/openpi_pi0", "policy.safetensors", 12},
                                         GoldenFile{"golden/openpi_pi05", "policy.safetensors",
                                                    12}),
                         test_name);

// What the goldens above leave untested: testdata/golden_extra/README.md says what is in each.
INSTANTIATE_TEST_SUITE_P(
    Extra, VerifyGolden,
    testing::Values(
        GoldenFile{"golden_extra/pi05_relative", "network.safetensors", network_stages(2, 3, true)},
        GoldenFile{"golden_extra/pi05_relative", "policy.safetensors", 20},
        GoldenFile{"golden_extra/pi0_visual", "network.safetensors", network_stages(2, 4, false)},
        GoldenFile{"golden_extra/pi0_visual", "policy.safetensors", 20},
        GoldenFile{"golden_extra/pi0_keys", "network.safetensors", network_stages(3, 12, false)},
        GoldenFile{"golden_extra/pi0_keys", "policy.safetensors", 16},
        GoldenFile{"golden_extra/pi05_plain", "network.safetensors", network_stages(1, 1, true)},
        GoldenFile{"golden_extra/pi05_plain", "policy.safetensors", 16},
        GoldenFile{"golden_extra/pi05_trained", "network.safetensors", network_stages(3, 4, true)},
        GoldenFile{"golden_extra/pi05_trained", "policy.safetensors", 4}),
    test_name);

class VerifyTest : public testing::Test {
 protected:
  const std::filesystem::path path = kGolden / "pi0_tiny";
  const CheckpointData checkpoint = open_checkpoint(path);
  const Network network = load_network(checkpoint, reference());
  NetworkRecording recording =
      *read_recording(path / "masked_middle.safetensors", checkpoint).network;
  Verification verify(const NetworkRecording& changed) {
    return verify_network(network, checkpoint.model, changed, "recording", VerifyOptions());
  }
};

// A difference anywhere is found, and in its stage alone.
TEST_F(VerifyTest, FindsADifferenceInEachStage) {
  for (const auto& [name, tensor] : recording.stages) {
    NetworkRecording changed = recording;
    changed.stages[name].values[0] += 0.01f * (1 + std::abs(tensor.values[0]));  // a valid row
    std::size_t failed = 0;
    for (const StageResult& stage : verify(changed).stages) {
      if (stage.passed()) continue;
      ++failed;
      EXPECT_EQ(stage.stage.rfind(name, 0), 0u) << name << " made " << stage.stage << " differ";
    }
    EXPECT_EQ(failed, 1u) << name;
  }
}

// The middle camera is masked: what a recording holds for it is meaningless.
TEST_F(VerifyTest, ExcludedRowsAreNotComparedAndDumpedAsZero) {
  const std::size_t excluded = 16 * 64 + 5;  // in the second camera of vision_output
  NetworkRecording changed = recording;
  changed.stages["vision_output"].values[excluded] = 1e6f;
  const Verification verification = verify(changed);
  expect_all_pass(verification);
  const RecordedTensor& dumped = verification.computed.at("vision_output");
  EXPECT_EQ(dumped.shape, recording.stages["vision_output"].shape);
  EXPECT_EQ(dumped.values[excluded], 0);
  EXPECT_NE(dumped.values[0], 0);
}

// Dropping masked tokens changes nothing: not what the masked camera holds, nor whether it is
// there.
TEST_F(VerifyTest, AMaskedCameraHasNoInfluence) {
  SampleOptions sample;
  sample.noise = recording.noise;
  NetworkInput noisy = recording.input;
  const std::size_t camera = 3 * 56 * 56;
  for (std::size_t i = camera; i < 2 * camera; ++i) noisy.images[i] = static_cast<float>(i % 7);
  NetworkInput without = recording.input;
  without.images.erase(without.images.begin() + camera, without.images.begin() + 2 * camera);
  without.image_masks = {};
  without.tokens.clear();
  for (std::size_t i = 0; i < recording.input.tokens.size(); ++i) {
    if (recording.input.token_mask[i] != 0) without.tokens.push_back(recording.input.tokens[i]);
  }
  without.token_mask = {};
  const std::vector<float> expected = network.sample_actions(recording.input, sample);
  EXPECT_EQ(network.sample_actions(noisy, sample), expected);
  EXPECT_EQ(network.sample_actions(without, sample), expected);
}

TEST_F(VerifyTest, StagesThatARecordingLacksAreLeftOut) {
  NetworkRecording changed = recording;
  for (const char* stage : {"vision_output", "prefix_keys", "v_t", "time"}) {
    changed.stages.erase(stage);
  }
  changed.steps = 0;  // as when `time` is not there
  for (const StageResult& stage : verify(changed).stages) {
    EXPECT_TRUE(stage.passed());
    EXPECT_NE(stage.stage, "vision_output");
  }
  changed.stages.clear();
  EXPECT_THROW(verify(changed), Error);
}

TEST_F(VerifyTest, NamesATensorThatDoesNotFit) {
  NetworkRecording changed = recording;
  changed.stages["prefix_keys"].shape = {3, 1, 63, 32};
  try {
    verify(changed);
    FAIL() << "accepted";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("prefix_keys"), std::string::npos) << text;
    EXPECT_NE(text.find("[3, 1, 63, 32]"), std::string::npos) << text;
    EXPECT_NE(text.find("[3, 1, 64, 32]"), std::string::npos) << text;
  }
}

TEST_F(VerifyTest, InputsOfTheNetworkAreChecked) {
  const auto expect = [&](const std::string& word, auto&& change) {
    NetworkInput input = recording.input;
    change(input);
    try {
      network.sample_actions(input, {});
      FAIL() << "accepted, expected an error about " << word;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
    }
  };
  expect("images", [](NetworkInput& i) { i.images.pop_back(); });
  expect("image_masks", [](NetworkInput& i) { i.image_masks.push_back(1); });
  expect("no camera", [](NetworkInput& i) { i.image_masks = {0, 0, 0}; });
  expect("no camera", [](NetworkInput& i) {
    i.images.clear();
    i.image_masks.clear();
  });
  expect("images: 4 cameras", [](NetworkInput& i) { i.images.resize(4 * 3 * 56 * 56); });
  expect("images: value 7", [](NetworkInput& i) { i.images[7] = NAN; });
  expect("token 2", [](NetworkInput& i) { i.tokens[2] = 512; });
  expect("token 2", [](NetworkInput& i) { i.tokens[2] = -1; });
  expect("tokens: 17", [](NetworkInput& i) { i.tokens.resize(17); });
  expect("token_mask", [](NetworkInput& i) { i.token_mask.pop_back(); });
  expect("state", [](NetworkInput& i) { i.state.pop_back(); });
}

}  // namespace
}  // namespace pi0
