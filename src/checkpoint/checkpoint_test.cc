// Every golden checkpoint opens with what its files say. The expected numbers were read from the
// JSON files by eye and from the safetensors with the reference implementation in Python.

#include "checkpoint/checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "checkpoint/test_support.h"

namespace pi0 {
namespace {

std::vector<std::string> camera_names(const CheckpointData& checkpoint) {
  std::vector<std::string> names;
  for (const Camera& camera : checkpoint.cameras) names.push_back(camera.name);
  return names;
}

const std::vector<std::string> kOpenpiCameras = {"base_0_rgb", "left_wrist_0_rgb",
                                                 "right_wrist_0_rgb"};

void expect_gemma(const GemmaConfig& gemma, int width, int depth, int mlp_dim, int num_heads,
                  int num_kv_heads, int head_dim) {
  EXPECT_EQ(gemma.width, width);
  EXPECT_EQ(gemma.depth, depth);
  EXPECT_EQ(gemma.mlp_dim, mlp_dim);
  EXPECT_EQ(gemma.num_heads, num_heads);
  EXPECT_EQ(gemma.num_kv_heads, num_kv_heads);
  EXPECT_EQ(gemma.head_dim, head_dim);
}

TEST(Goldens, Pi0Tiny) {
  const CheckpointData checkpoint = open_checkpoint(kGolden / "pi0_tiny");
  EXPECT_EQ(checkpoint.directory, kGolden / "pi0_tiny");
  EXPECT_EQ(checkpoint.family, Family::kLerobot);
  const ModelConfig& model = checkpoint.model;
  EXPECT_EQ(model.kind, ModelKind::kPi0);
  EXPECT_EQ(model.vision.width, 64);
  EXPECT_EQ(model.vision.depth, 2);
  EXPECT_EQ(model.vision.mlp_dim, 128);
  EXPECT_EQ(model.vision.num_heads, 4);
  EXPECT_EQ(model.vision.patch_size, 14);
  expect_gemma(model.language, 64, 3, 128, 8, 1, 32);
  expect_gemma(model.expert, 32, 3, 64, 8, 1, 32);
  EXPECT_EQ(model.vocab_size, 512);
  EXPECT_EQ(model.image_size, 56);
  EXPECT_EQ(model.num_cameras, 3);
  EXPECT_EQ(model.max_tokens, 16);
  EXPECT_EQ(model.state_dim, 32);
  EXPECT_EQ(model.action_dim, 32);
  EXPECT_EQ(model.action_horizon, 10);
  EXPECT_EQ(model.num_steps, 10);
  EXPECT_EQ(model.min_period, 0.004);
  EXPECT_EQ(model.max_period, 4.0);
  EXPECT_EQ(camera_names(checkpoint), kOpenpiCameras);
  EXPECT_EQ(checkpoint.cameras[1].feature, "observation.images.left_wrist_0_rgb");
  EXPECT_TRUE(checkpoint.rename_map.empty());
  EXPECT_EQ(checkpoint.prompt_format, PromptFormat::kPi0);
  EXPECT_EQ(checkpoint.state_dims, 14);
  EXPECT_EQ(checkpoint.action_dims, 14);
  EXPECT_EQ(checkpoint.n_action_steps, 10);
  EXPECT_TRUE(checkpoint.has_statistics);
  EXPECT_EQ(checkpoint.state.mode, NormalizationMode::kMeanStd);
  EXPECT_EQ(checkpoint.state.eps, 1e-8);
  ASSERT_EQ(checkpoint.state.first.size(), 14u);
  EXPECT_EQ(checkpoint.state.first[0], -0.6624780893325806);
  EXPECT_EQ(checkpoint.state.second[13], 1.0584903955459595);
  EXPECT_EQ(checkpoint.action.mode, NormalizationMode::kMeanStd);
  EXPECT_TRUE(checkpoint.relative_actions.empty());
  EXPECT_TRUE(checkpoint.action_names.empty());
  EXPECT_EQ(checkpoint.dtype, "f32");
  EXPECT_TRUE(checkpoint.warnings.empty());
  EXPECT_NE(checkpoint.weights, nullptr);
}

TEST(Goldens, Pi0Tiny224HasNoStatistics) {
  const CheckpointData checkpoint = open_checkpoint(kGolden / "pi0_tiny_224");
  EXPECT_EQ(checkpoint.model.image_size, 224);
  EXPECT_EQ(checkpoint.model.patches(), 256);
  EXPECT_EQ(checkpoint.model.max_tokens, 48);
  EXPECT_EQ(checkpoint.model.action_horizon, 50);
  EXPECT_EQ(checkpoint.model.vision.head_dim(), 72);
  EXPECT_EQ(checkpoint.state_dims, 7);
  EXPECT_EQ(checkpoint.action_dims, 7);
  EXPECT_FALSE(checkpoint.has_statistics);
  EXPECT_EQ(checkpoint.state.mode, NormalizationMode::kIdentity);
  EXPECT_EQ(checkpoint.action.mode, NormalizationMode::kIdentity);
  for (const char* word : {"policy_preprocessor.json is absent", "observation.state"}) {
    EXPECT_NE(checkpoint.statistics_missing.find(word), std::string::npos)
        << checkpoint.statistics_missing;
  }
}

TEST(Goldens, Pi05Tiny) {
  const CheckpointData checkpoint = open_checkpoint(kGolden / "pi05_tiny");
  EXPECT_EQ(checkpoint.family, Family::kLerobot);
  EXPECT_EQ(checkpoint.model.kind, ModelKind::kPi05);
  EXPECT_EQ(checkpoint.model.max_tokens, 24);
  EXPECT_EQ(checkpoint.prompt_format, PromptFormat::kPi05);
  EXPECT_EQ(checkpoint.state.mode, NormalizationMode::kQuantiles);
  EXPECT_EQ(checkpoint.action.mode, NormalizationMode::kQuantiles);
  ASSERT_EQ(checkpoint.action.first.size(), 14u);
  EXPECT_EQ(checkpoint.action.first[0], -1.8754417896270752);
  EXPECT_EQ(checkpoint.action.second[13], 1.6612684726715088);
}

TEST(Goldens, Pi0Odd) {
  const CheckpointData checkpoint = open_checkpoint(kGolden / "pi0_odd");
  const ModelConfig& model = checkpoint.model;
  EXPECT_EQ(model.vision.width, 48);
  EXPECT_EQ(model.vision.num_heads, 3);
  expect_gemma(model.language, 56, 2, 112, 4, 1, 32);
  expect_gemma(model.expert, 40, 2, 72, 4, 1, 32);
  EXPECT_EQ(model.image_size, 42);
  EXPECT_EQ(model.num_cameras, 4);
  EXPECT_EQ(model.max_tokens, 18);
  EXPECT_EQ(model.state_dim, 20);
  EXPECT_EQ(model.action_dim, 24);
  EXPECT_EQ(model.action_horizon, 6);
  EXPECT_EQ(model.num_steps, 7);
  EXPECT_EQ(checkpoint.n_action_steps, 4);
  EXPECT_EQ(camera_names(checkpoint),
            (std::vector<std::string>{"wrist_left", "top", "arm_right", "empty_camera_0"}));
  EXPECT_EQ(checkpoint.cameras[0].feature, "observation.images.wrist_left");
  EXPECT_FALSE(checkpoint.cameras[2].empty);
  EXPECT_TRUE(checkpoint.cameras[3].empty);
  EXPECT_EQ(checkpoint.rename_map, (std::map<std::string, std::string>{
                                       {"observation.images.cam_high", "observation.images.top"}}));
  EXPECT_EQ(checkpoint.state_dims, 9);
  EXPECT_EQ(checkpoint.action_dims, 7);
  EXPECT_TRUE(checkpoint.has_statistics);
  EXPECT_EQ(checkpoint.state.mode, NormalizationMode::kMinMax);
  EXPECT_EQ(checkpoint.state.first.front(), -2.4541571140289307);
  EXPECT_EQ(checkpoint.state.second.back(), 1.8839895725250244);
  EXPECT_EQ(checkpoint.action.mode, NormalizationMode::kQuantile10);
  EXPECT_EQ(checkpoint.action.first.front(), -0.9840945601463318);
  EXPECT_EQ(checkpoint.action.second.back(), 0.7763901948928833);
  // "Left_Gripper.pos" and "gripper" hold the word "gripper".
  EXPECT_EQ(checkpoint.relative_actions,
            (std::vector<bool>{true, true, false, true, true, false, true}));
  EXPECT_EQ(checkpoint.action_names,
            (std::vector<std::string>{"shoulder_pan.pos", "elbow.pos", "Left_Gripper.pos",
                                      "wrist.pos", "roll.pos", "gripper", "lift.pos"}));
  EXPECT_EQ(checkpoint.dtype, "bf16, f32");
}

TEST(Goldens, OpenpiPi0) {
  const CheckpointData checkpoint = open_checkpoint(kGolden / "openpi_pi0");
  EXPECT_EQ(checkpoint.family, Family::kOpenpi);
  const ModelConfig& model = checkpoint.model;
  EXPECT_EQ(model.kind, ModelKind::kPi0);
  expect_gemma(model.language, 64, 2, 112, 4, 1, 32);
  EXPECT_EQ(model.vocab_size, 512);
  EXPECT_EQ(model.image_size, 56);
  EXPECT_EQ(model.max_tokens, 48);
  EXPECT_EQ(model.state_dim, 32);
  EXPECT_EQ(model.action_dim, 32);
  EXPECT_EQ(model.action_horizon, 8);
  EXPECT_EQ(model.num_steps, 10);
  EXPECT_EQ(camera_names(checkpoint), kOpenpiCameras);
  EXPECT_EQ(checkpoint.cameras[0].feature, "base_0_rgb");
  EXPECT_EQ(checkpoint.prompt_format, PromptFormat::kPi0);
  EXPECT_EQ(checkpoint.asset, "my_robot");
  EXPECT_TRUE(checkpoint.has_statistics);
  EXPECT_EQ(checkpoint.state_dims, 7);
  EXPECT_EQ(checkpoint.action_dims, 7);
  EXPECT_EQ(checkpoint.n_action_steps, 8);
  EXPECT_EQ(checkpoint.state.mode, NormalizationMode::kMeanStd);
  EXPECT_EQ(checkpoint.state.eps, 1e-6);
  EXPECT_EQ(checkpoint.state.first[0], -0.39530128858657);
  EXPECT_EQ(checkpoint.action.second[6], 0.9067158644579745);
  EXPECT_TRUE(checkpoint.relative_actions.empty());
  EXPECT_EQ(checkpoint.dtype, "bf16");
  EXPECT_TRUE(checkpoint.warnings.empty());
}

TEST(Goldens, OpenpiPi05) {
  const CheckpointData checkpoint = open_checkpoint(kGolden / "openpi_pi05");
  EXPECT_EQ(checkpoint.model.kind, ModelKind::kPi05);
  EXPECT_EQ(checkpoint.model.max_tokens, 200);
  EXPECT_EQ(checkpoint.prompt_format, PromptFormat::kPi05);
  EXPECT_EQ(checkpoint.asset, "droid");
  EXPECT_EQ(checkpoint.state.mode, NormalizationMode::kQuantiles);
  EXPECT_EQ(checkpoint.state.first[0], -1.4084573614881402);   // q01
  EXPECT_EQ(checkpoint.action.second[6], 1.3840797845212176);  // q99
}

TEST(Goldens, ExamplePolicy) {
  const CheckpointData checkpoint =
      open_checkpoint(std::filesystem::path(PI0_SOURCE_DIR) / "examples/policy");
  EXPECT_EQ(checkpoint.model.image_size, 112);
  EXPECT_EQ(checkpoint.model.state_dim, 8);
  EXPECT_EQ(checkpoint.model.action_horizon, 16);
  EXPECT_EQ(checkpoint.n_action_steps, 8);
  EXPECT_EQ(camera_names(checkpoint), std::vector<std::string>{"base_0_rgb"});
  EXPECT_EQ(checkpoint.state_dims, 4);
  EXPECT_TRUE(checkpoint.has_statistics);
  EXPECT_EQ(checkpoint.dtype, "bf16");
}

TEST(Goldens, WeightsAreThoseOfTheFile) {
  const CheckpointData checkpoint = open_checkpoint(kGolden / "pi0_odd");
  const std::vector<TensorSpec> specs = architecture(checkpoint.model);
  for (const TensorSpec& spec : specs) {
    const HostTensor tensor = checkpoint.weights->tensor(spec.name);
    if (!spec.optional) {
      EXPECT_EQ(tensor.shape, spec.shape) << spec.name;
    }
    EXPECT_NO_THROW(require_finite(tensor));
  }
  const HostTensor bias = checkpoint.weights->tensor("action_in_proj.bias");
  EXPECT_EQ(bias.name, "model.action_in_proj.bias in " +
                           (kGolden / "pi0_odd/model-00001-of-00003.safetensors").string());
  const SafeTensors shard = SafeTensors::open(kGolden / "pi0_odd/model-00001-of-00003.safetensors");
  const auto expected = shard.find("model.action_in_proj.bias")->bytes;
  EXPECT_EQ(std::memcmp(bias.data, expected.data(), expected.size()), 0);
}

TEST(Goldens, TensorsOutliveTheCheckpoint) {
  HostTensor tensor;
  {
    const CheckpointData checkpoint = open_checkpoint(kGolden / "pi0_tiny");
    tensor = checkpoint.weights->tensor(std::string(kEmbedTokens));
  }
  EXPECT_EQ(tensor.shape, (Shape{512, 64}));
  for (const float value : tensor.to_floats()) ASSERT_TRUE(std::isfinite(value));
}

TEST(Inspect, CountsParametersAndTypes) {
  struct Expected {
    const char* name;
    std::int64_t parameters, bytes;
    std::map<std::string, int> types;
  };
  const Expected expected[] = {
      {"pi0_tiny", 407680, 1632000, {{"f32", 107}}},
      {"pi0_tiny_224", 351552, 1408000, {{"f32", 73}}},
      {"pi05_tiny", 427552, 1711488, {{"f32", 112}}},
      {"pi0_odd", 219512, 499104, {{"bf16", 66}, {"f32", 23}}},
      {"openpi_pi0", 257920, 582016, {{"bf16", 90}}},
      {"openpi_pi05", 271520, 609216, {{"bf16", 93}}},
  };
  for (const Expected& golden : expected) {
    const Inspection inspection = inspect_checkpoint(kGolden / golden.name);
    EXPECT_EQ(inspection.tensors.parameters, golden.parameters) << golden.name;
    EXPECT_EQ(inspection.tensors.bytes, golden.bytes) << golden.name;
    EXPECT_EQ(inspection.tensors.types, golden.types) << golden.name;
    EXPECT_TRUE(inspection.tensors.missing.empty()) << golden.name;
    EXPECT_TRUE(inspection.tensors.wrong.empty()) << golden.name;
    EXPECT_NE(inspection.checkpoint.weights, nullptr) << golden.name;
  }
}

// What open_checkpoint throws is told, and the network all the same.
TEST(Inspect, WhatSurroundsTheNetworkMayBeUnreadable) {
  EditableCheckpoint lerobot("pi0_tiny");
  lerobot.set("policy_preprocessor.json", "/steps/1/registry_name", "libero_processor");
  EditableCheckpoint openpi("openpi_pi0");
  std::filesystem::copy(openpi / "assets/my_robot", openpi / "assets/other",
                        std::filesystem::copy_options::recursive);
  for (const auto& [checkpoint, word] :
       {std::pair(&lerobot, "libero_processor"), std::pair(&openpi, "several assets")}) {
    const Inspection inspection = inspect_checkpoint(checkpoint->path());
    ASSERT_EQ(inspection.refused.size(), 1u);
    EXPECT_NE(inspection.refused[0].find(word), std::string::npos) << inspection.refused[0];
    EXPECT_TRUE(inspection.network_alone);
    EXPECT_FALSE(inspection.checkpoint.has_statistics);
    EXPECT_NE(inspection.checkpoint.weights, nullptr);
    EXPECT_GT(inspection.tensors.parameters, 0);
    try {
      checkpoint->open();
      FAIL() << "opened";
    } catch (const Error& error) {
      EXPECT_EQ(error.what(), inspection.refused[0]);
    }
  }
  lerobot.set("config.json", "/chunk_size", -1);  // of the network itself
  EXPECT_THROW(inspect_checkpoint(lerobot.path()), Error);
}

// Whose keys say other things than openpi's: num_inference_steps, chunk_size, no action_horizon.
TEST(Inspect, TransformersOwnFormIsRefusedByName) {
  EditableCheckpoint checkpoint("openpi_pi0");
  checkpoint.set("config.json", "/model_type", "pi0");
  checkpoint.expect_refused(ErrorCode::kUnsupported,
                            {"config.json", "PI0ForConditionalGeneration", "lerobot or openpi"});
  EditableCheckpoint lerobot("pi0_tiny");  // its "type" says whose it is
  lerobot.set("config.json", "/model_type", "pi0");
  EXPECT_EQ(lerobot.open().family, Family::kLerobot);
}

// lerobot 0.3's, with a configuration of a later release.
TEST(Statistics, AmongTheWeightsAreSaid) {
  EditableCheckpoint checkpoint("pi0_tiny");
  std::filesystem::remove(checkpoint / "policy_preprocessor.json");
  std::filesystem::remove(checkpoint / "policy_postprocessor.json");
  EXPECT_EQ(checkpoint.open().statistics_missing.find("0.3"), std::string::npos);
  checkpoint.put_tensor("model.safetensors",
                        float_tensor("normalize_inputs.buffer_observation_state.mean", {1}, {0}));
  const std::string missing = checkpoint.open().statistics_missing;
  for (const char* word :
       {"policy_preprocessor.json is absent", "lerobot 0.3's form",
        "normalize_inputs.buffer_observation_state.mean", "migrate_policy_normalization.py"}) {
    EXPECT_NE(missing.find(word), std::string::npos) << missing;
  }
  EditableCheckpoint of_0_3("../golden_releases/pi0_0.3.3");  // which takes them from there
  of_0_3.erase_tensor("model.safetensors", "normalize_inputs.buffer_observation_state.mean");
  of_0_3.erase_tensor("model.safetensors", "normalize_inputs.buffer_observation_state.std");
  const std::string own = of_0_3.open().statistics_missing;
  EXPECT_NE(own.find("no statistics of observation.state"), std::string::npos) << own;
  EXPECT_EQ(own.find("migrate"), std::string::npos) << own;
}

TEST(Inspect, ListsFilesAndWhatIsUnused) {
  const TensorReport odd = inspect_checkpoint(kGolden / "pi0_odd").tensors;
  EXPECT_EQ(odd.files, (std::vector<std::string>{"model-00001-of-00003.safetensors",
                                                 "model-00002-of-00003.safetensors",
                                                 "model-00003-of-00003.safetensors"}));
  const TensorReport openpi = inspect_checkpoint(kGolden / "openpi_pi0").tensors;
  EXPECT_EQ(openpi.files, std::vector<std::string>{"model.safetensors"});
  EXPECT_EQ(openpi.unused,
            (std::vector<std::string>{
                "paligemma_with_expert.gemma_expert.lm_head.weight",
                "paligemma_with_expert.paligemma.lm_head.weight",
                "paligemma_with_expert.paligemma.model.language_model.norm.weight"}));
}

}  // namespace
}  // namespace pi0
