// lerobot's form of checkpoint: config.json, the processors' files and their statistics.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "checkpoint/lerobot/config.h"
#include "checkpoint/lerobot/processors.h"
#include "checkpoint/test_support.h"

namespace pi0 {
namespace {

constexpr auto kInvalid = ErrorCode::kInvalidCheckpoint;
constexpr auto kUnsupported = ErrorCode::kUnsupported;
constexpr const char* kConfig = "config.json";
constexpr const char* kWeights = "model.safetensors";
constexpr const char* kPre = "policy_preprocessor.json";
constexpr const char* kPost = "policy_postprocessor.json";
// Of pi0_tiny and pi0_odd both.
constexpr const char* kPreStatistics =
    "policy_preprocessor_step_6_normalizer_processor.safetensors";
constexpr const char* kPostStatistics =
    "policy_postprocessor_step_0_unnormalizer_processor.safetensors";

// ---- config.json ----

TEST(LerobotConfig, AnotherPolicyIsRefusedByName) {
  for (const char* type : {"pi0_fast", "act", "smolvla"}) {
    EditableCheckpoint checkpoint("pi0_tiny");
    checkpoint.set(kConfig, "/type", type);
    checkpoint.expect_refused(kUnsupported, {kConfig, "\"type\"", type, "pi0 and pi05"});
  }
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set(kConfig, "/type", 3);
  checkpoint.expect_refused(kInvalid, {kConfig, "\"type\" is 3", "a string"});
  checkpoint.edit_json(kConfig, [](Json& json) { json.erase("type"); });
  checkpoint.expect_refused(kInvalid, {kConfig, "\"type\" is missing"});
  std::filesystem::remove(checkpoint / kConfig);
  checkpoint.expect_refused(ErrorCode::kIo, {kConfig, "No such file"});
}

TEST(LerobotConfig, SettingsThatChangeTheNetworkAreRefused) {
  for (const char* key : {"use_visual_memory", "use_proprioceptive_memory"}) {
    EditableCheckpoint checkpoint("pi05_tiny");
    checkpoint.set(kConfig, std::string("/") + key, false);
    EXPECT_NO_THROW(checkpoint.open());
    checkpoint.set(kConfig, std::string("/") + key, true);
    checkpoint.expect_refused(kUnsupported, {kConfig, key, "not supported"});
  }
  for (const auto& [key, value] : {std::pair("n_obs_steps", 2), {"rtc_training_max_delay", 5}}) {
    EditableCheckpoint later("pi0_tiny");
    later.set(kConfig, std::string("/") + key, value);
    later.expect_refused(kUnsupported, {kConfig, key, "not supported"});
  }
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set(kConfig, "/paligemma_variant", "gemma_2b_lora");
  checkpoint.expect_refused(kUnsupported, {kConfig, "gemma_2b_lora", "openpi"});
  checkpoint.set(kConfig, "/paligemma_variant", "gemma_7b");
  checkpoint.expect_refused(kUnsupported, {"\"paligemma_variant\"", "gemma_7b", "gemma_2b"});
}

TEST(LerobotConfig, WholeWeightsHaveNoAdaptersLeft) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set(kConfig, "/use_peft", true);
  EXPECT_NO_THROW(checkpoint.open());
}

TEST(LerobotConfig, WhatAFeatureSaysBesideTypeAndShapeIsRefused) {
  for (const char* feature : {"/input_features/observation.state", "/output_features/action",
                              "/input_features/observation.images.base_0_rgb"}) {
    EditableCheckpoint checkpoint("pi0_tiny");
    const auto pointer = Json::json_pointer(feature);
    ASSERT_TRUE(read_json(checkpoint / "config.json").contains(pointer)) << feature;
    checkpoint.set("config.json", std::string(feature) + "/pose_representation", "rot6d");
    checkpoint.expect_refused(ErrorCode::kUnsupported,
                              {"config.json", "pose_representation", "only shape, type"});
  }
}

TEST(LerobotConfig, KeysThatNoReleaseWritesAreWarnedAbout) {
  EditableCheckpoint checkpoint("pi0_tiny");
  EXPECT_TRUE(checkpoint.open().warnings.empty());
  checkpoint.set(kConfig, "/brand_new_key", 1);
  checkpoint.set(kConfig, "/another", "x");
  const std::vector<std::string> warnings = checkpoint.open().warnings;
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("config.json: brand_new_key, another are not known"),
            std::string::npos)
      << warnings[0];
}

TEST(LerobotConfig, VariantsHaveOpenpisSizes) {
  const auto parse = [](const char* text) {
    Json json = Json::parse(text);
    json["type"] = "pi0";
    json["input_features"] = {{"top", {{"type", "VISUAL"}, {"shape", {3, 8, 8}}}}};
    return parse_lerobot_config(json, "config.json").model;
  };
  const ModelConfig full = parse("{}");
  EXPECT_EQ(full.language.width, 2048);
  EXPECT_EQ(full.expert.width, 1024);
  EXPECT_EQ(full.vision.width, 1152);
  EXPECT_EQ(full.vocab_size, 0);  // not said
  const ModelConfig same =
      parse(R"({"paligemma_variant": "gemma_300m", "action_expert_variant": "gemma_2b"})");
  EXPECT_EQ(same.language.mlp_dim, 4096);
  EXPECT_EQ(same.expert.mlp_dim, 16384);
  const ModelConfig reduced = parse(R"({"architecture": {"vision": {"depth": 3}}})");
  EXPECT_EQ(reduced.vision.depth, 3);
  EXPECT_EQ(reduced.vision.width, 1152);
}

TEST(LerobotConfig, AbsentKeysTakeLerobotsDefaults) {
  Json json = {{"type", "pi05"},
               {"input_features", {{"top", {{"type", "VISUAL"}, {"shape", {3, 8, 8}}}}}}};
  LerobotConfig config = parse_lerobot_config(json, "config.json");
  EXPECT_EQ(config.model.max_tokens, 200);
  EXPECT_EQ(config.model.action_horizon, 50);
  EXPECT_EQ(config.model.num_steps, 10);
  EXPECT_EQ(config.model.image_size, 224);
  EXPECT_EQ(config.n_action_steps, 50);
  EXPECT_EQ(config.state_dims, 32);
  EXPECT_EQ(config.action_dims, 32);
  EXPECT_EQ(config.norm_map.at("STATE"), NormalizationMode::kQuantiles);
  EXPECT_EQ(config.cameras[0].name, "top");
  json["type"] = "pi0";
  config = parse_lerobot_config(json, "config.json");
  EXPECT_EQ(config.model.max_tokens, 48);
  EXPECT_EQ(config.norm_map.at("ACTION"), NormalizationMode::kMeanStd);
}

TEST(LerobotConfig, SizesThatContradictEachOtherAreRefused) {
  struct Case {
    const char* pointer;
    Json value;
    std::vector<std::string> words;
  };
  const Case cases[] = {
      {"/n_action_steps", 11, {"\"n_action_steps\" is 11", "\"chunk_size\" of 10"}},
      {"/max_state_dim", 13, {"observation.state has 14", "\"max_state_dim\" is 13"}},
      {"/max_action_dim", 13, {"action has 14", "\"max_action_dim\" is 13"}},
      {"/image_resolution", {56, 42}, {"\"image_resolution\" is [56,42]", "two equal"}},
      {"/image_resolution", {56}, {"\"image_resolution\"", "two equal"}},
      {"/image_resolution", {13, 13}, {"(13)", "patch_size (14)"}},
      {"/image_resolution", {16385, 16385}, {"image_resolution[0]", "16385", "1 to 16384"}},
      {"/architecture/language/depth", 2, {"language.depth is 2", "expert.depth is 3"}},
      {"/architecture/vision/num_heads", 5, {"vision.width", "vision.num_heads"}},
      {"/max_period", 0.001, {"min_period", "max_period"}},
      {"/output_features/action/shape", {14, 2}, {"output_features.action", "shape"}},
      {"/input_features/observation.state/type", "ENV", {"\"ENV\"", "\"STATE\""}},
  };
  for (const Case& bad : cases) {
    EditableCheckpoint checkpoint("pi0_tiny");
    checkpoint.set(kConfig, bad.pointer, bad.value);
    std::vector<std::string> words = bad.words;
    words.push_back(kConfig);
    checkpoint.expect_refused(kInvalid, words);
  }
}

TEST(LerobotConfig, TensorsThatContradictTheSizesAreRefused) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set(kConfig, "/max_action_dim", 24);
  checkpoint.expect_refused(kInvalid, {"model.action_in_proj.weight has shape [32, 32], expected "
                                       "[32, 24]",
                                       "model.action_out_proj.bias has shape [32], expected [24]"});
}

TEST(LerobotConfig, ValuesOfTheWrongTypeAreRefusedByKey) {
  const std::pair<const char*, Json> cases[] = {
      {"chunk_size", "10"},
      {"chunk_size", 0},
      {"chunk_size", -1},
      {"chunk_size", 10.5},
      {"chunk_size", 1e300},
      {"max_action_dim", 4294967328},
      {"image_resolution", 56},
      {"min_period", "short"},
      {"empty_cameras", -1},
      {"empty_cameras", 65},
      {"input_features", true},
      {"use_peft", 1},
      {"num_inference_steps", Json::array()},
  };
  for (const auto& [key, value] : cases) {
    EditableCheckpoint checkpoint("pi0_tiny");
    checkpoint.set(kConfig, std::string("/") + key, value);
    checkpoint.expect_refused(kInvalid, {kConfig, std::string("\"") + key, "expected"});
  }
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set(kConfig, "/architecture/expert/width", "wide");
  checkpoint.expect_refused(kInvalid, {kConfig, "architecture.expert", "\"width\" is \"wide\""});
  write_file(checkpoint / kConfig, "[1]");
  checkpoint.expect_refused(kInvalid, {kConfig, "an array", "an object"});
}

TEST(LerobotConfig, EmptyCamerasAreAddedUnlessListed) {
  EditableCheckpoint checkpoint("pi0_odd");
  checkpoint.set(kConfig, "/empty_cameras", 2);
  const CheckpointData opened = checkpoint.open();
  ASSERT_EQ(opened.cameras.size(), 5u);
  EXPECT_EQ(opened.cameras[3].name, "empty_camera_0");
  EXPECT_EQ(opened.cameras[4].feature, "observation.images.empty_camera_1");
  EXPECT_TRUE(opened.cameras[3].empty);
  EXPECT_TRUE(opened.cameras[4].empty);
  EXPECT_EQ(opened.model.num_cameras, 5);
}

TEST(LerobotConfig, NeedsACamera) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set(kConfig, "/input_features", nullptr);
  checkpoint.expect_refused(kInvalid, {kConfig, "\"input_features\" has no camera"});
}

TEST(LerobotConfig, AStateOfPi05MayBeLongerThanItsPadding) {
  EditableCheckpoint checkpoint("pi05_tiny");
  checkpoint.set(kConfig, "/max_state_dim", 4);
  EXPECT_EQ(checkpoint.open().state_dims, 14);
}

TEST(LerobotConfig, OptionsOfOpenpiAreRefused) {
  const EditableCheckpoint checkpoint("pi0_tiny");
  const auto refused = [&](const CheckpointOverrides& options, const char* word) {
    checkpoint.expect_refused(ErrorCode::kInvalidInput, {word, "lerobot", "files say it"}, options);
  };
  CheckpointOverrides mask, asset, dims, format;
  mask.delta_mask = "6,-1";
  asset.asset = "droid";
  dims.action_dims = 7;
  refused(mask, "delta mask");
  refused(asset, "asset");
  refused(dims, "action dims");
  format.prompt_format = PromptFormat::kPi05;
  checkpoint.expect_refused(ErrorCode::kInvalidInput, {"pi05", "network of pi0"}, format);
  format.prompt_format = PromptFormat::kPi0;
  EXPECT_EQ(EditableCheckpoint("pi05_tiny").open(format).prompt_format, PromptFormat::kPi0);

  write_file(checkpoint / "pi0.json", R"({"action_dims": 7})");
  checkpoint.expect_refused(kInvalid, {"pi0.json", "openpi", "lerobot"});
}

TEST(LerobotConfig, TheReleaseIsSaidWhereItIsNotWritten) {
  EditableCheckpoint checkpoint("pi05_tiny");
  const auto warned = [&](const CheckpointOverrides& options = {}) {
    for (const std::string& warning : checkpoint.open(options).warnings) {
      if (warning.find("--lerobot-version 0.4") != std::string::npos) return true;
    }
    return false;
  };
  EXPECT_FALSE(warned());
  EXPECT_EQ(checkpoint.open().lerobot_release, LerobotRelease::k0_5);
  // As 0.4.x and 0.5.0 saved it.
  checkpoint.edit_json(kConfig, [](Json& json) {
    for (const char* key : {"use_relative_actions", "relative_exclude_joints"}) json.erase(key);
  });
  // A later one cannot be 0.4's: so it is said while a step of its own is there.
  CheckpointOverrides asked;
  asked.lerobot_release = LerobotRelease::k0_4;
  checkpoint.expect_refused(ErrorCode::kInvalidInput, {kConfig, "0.5.1 or later"}, asked);
  EXPECT_FALSE(checkpoint.open().release_uncertain);
  const auto without = [&](const char* file, const char* step) {
    checkpoint.edit_json(file, [&](Json& json) {
      auto& steps = json["steps"].get_ref<Json::array_t&>();
      std::erase_if(steps, [&](const Json& s) { return s["registry_name"] == step; });
    });
  };
  without(kPre, "relative_actions_processor");
  without(kPost, "absolute_actions_processor");
  EXPECT_TRUE(warned());
  EXPECT_TRUE(checkpoint.open().release_uncertain);
  // Of images where they are not square, of the prompt where a state is in it and would be padded.
  checkpoint.set(kConfig, "/max_state_dim", checkpoint.open().state_dims);
  EXPECT_FALSE(warned());
  const char* const shape = "/input_features/observation.images.base_0_rgb/shape";
  checkpoint.set(kConfig, shape, {3, 48, 64});
  EXPECT_TRUE(warned());
  checkpoint.set(kConfig, shape, {3, 48, 48});
  EXPECT_FALSE(warned());
  checkpoint.set(kConfig, "/max_state_dim", 32);
  EXPECT_FALSE(warned(asked));
  EXPECT_FALSE(checkpoint.open(asked).release_uncertain);
  EXPECT_EQ(checkpoint.open(asked).lerobot_release, LerobotRelease::k0_4);
  write_file(checkpoint / "pi0.json", R"({"lerobot_version": "0.4.3"})");
  EXPECT_FALSE(warned());
  EXPECT_EQ(checkpoint.open().lerobot_release, LerobotRelease::k0_4);
  write_file(checkpoint / "pi0.json", R"({"lerobot_version": "0.3.3"})");
  checkpoint.expect_refused(kInvalid, {"pi0.json", "\"0.3.3\"", "expected 0.4, 0.5 or 0.6"});
}

TEST(LerobotConfig, TheTokenizerThatItNamesIsKnown) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.edit_json(kPre, [](Json& json) {
    for (Json& step : json["steps"]) {
      if (step["registry_name"] != "tokenizer_processor") continue;
      step["config"]["tokenizer_name"] = "org/other";
    }
  });
  EXPECT_EQ(checkpoint.open().tokenizer_name, "org/other");
}

// ---- lerobot 0.3: no processors, statistics among the weights ----

class Lerobot03 : public testing::Test {
 protected:
  EditableCheckpoint checkpoint{"../golden_releases/pi0_0.3.3"};

  void put(const std::string& name, const std::vector<float>& values) {
    checkpoint.put_tensor(kWeights,
                          float_tensor(name, {static_cast<std::int64_t>(values.size())}, values));
  }
};

// policies/normalize.py of 0.3.3, and its configuration_pi0.py.
TEST_F(Lerobot03, ReadsItsKeysAndStatistics) {
  put("normalize_inputs.buffer_observation_state.std", {2, 3, 4});
  put("unnormalize_outputs.buffer_action.mean", {5, 6});
  put("normalize_targets.buffer_action.mean", {7, 8});  // of training alone
  checkpoint.set(kConfig, "/num_steps", 3);
  const CheckpointData data = checkpoint.open();
  EXPECT_EQ(data.lerobot_release, LerobotRelease::k0_3);
  EXPECT_EQ(data.state.mode, NormalizationMode::kMeanStd);
  EXPECT_EQ(data.state.second, (std::vector<double>{2, 3, 4}));
  EXPECT_EQ(data.state.eps, 1e-8);
  EXPECT_EQ(data.action.first, (std::vector<double>{5, 6}));
  EXPECT_TRUE(data.has_statistics);
  EXPECT_EQ(data.warnings, std::vector<std::string>());
  EXPECT_EQ(data.model.num_steps, 3);
  EXPECT_EQ(data.model.image_size, 28);
  EXPECT_EQ(data.model.action_horizon, 4) << "n_action_steps, not the chunk_size of 5";
}

// What 0.3 alone wrote beside what it did not: which of the two is it?
TEST_F(Lerobot03, MixedWithLaterReleasesIsRefused) {
  EditableCheckpoint later("pi0_tiny");
  later.set(kConfig, "/adapt_to_pi_aloha", true);
  later.expect_refused(kUnsupported, {kConfig, "adapt_to_pi_aloha"});
  std::filesystem::copy(later / kPost, checkpoint / kPost);
  checkpoint.expect_refused(kInvalid, {kConfig, "resize_imgs_with_padding", kPost});
  std::filesystem::remove(checkpoint / kPost);
  checkpoint.set(kConfig, "/use_relative_actions", false);
  checkpoint.expect_refused(kInvalid, {kConfig, "beside use_relative_actions"});
}

TEST_F(Lerobot03, StatisticsOfItThatAreNotUsedAreWarnedAbout) {
  EditableCheckpoint later("pi0_tiny");
  EXPECT_TRUE(later.open().warnings.empty());
  later.put_tensor(kWeights,
                   float_tensor("normalize_inputs.buffer_observation_state.mean", {1}, {1}));
  const std::vector<std::string> warnings = later.open().warnings;
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("0.3 among the weights, which are not used"), std::string::npos);
}

TEST_F(Lerobot03, PixelsHaveStatisticsToo) {
  checkpoint.set(kConfig, "/normalization_mapping/VISUAL", "MEAN_STD");
  checkpoint.put_tensor(
      kWeights, float_tensor("normalize_inputs.buffer_observation_images_top.mean", {3, 1, 1},
                             {0.1f, 0.2f, 0.3f}));
  checkpoint.put_tensor(kWeights, float_tensor("normalize_inputs.buffer_observation_images_top.std",
                                               {3, 1, 1}, {1, 2, 3}));
  const CheckpointData data = checkpoint.open();
  EXPECT_EQ(data.cameras[0].normalization.second, (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(data.cameras[1].normalization.mode, NormalizationMode::kIdentity);
}

TEST_F(Lerobot03, WhatItHasNotIsInfinite) {
  const float infinity = std::numeric_limits<float>::infinity();
  put("normalize_inputs.buffer_observation_state.mean", {infinity, infinity, infinity});
  put("normalize_inputs.buffer_observation_state.std", {infinity, infinity, infinity});
  const CheckpointData data = checkpoint.open();
  EXPECT_FALSE(data.has_statistics);
  EXPECT_NE(data.statistics_missing.find("no statistics of observation.state"), std::string::npos)
      << data.statistics_missing;
}

TEST_F(Lerobot03, IsRefusedWhereItDiffers) {
  CheckpointOverrides later;
  later.lerobot_release = LerobotRelease::k0_4;
  checkpoint.expect_refused(ErrorCode::kInvalidInput, {"lerobot 0.3", "cannot be given"}, later);
  checkpoint.set(kConfig, "/resize_imgs_with_padding", Json());
  checkpoint.expect_refused(kInvalid, {"\"resize_imgs_with_padding\" is null"});
  checkpoint.set(kConfig, "/resize_imgs_with_padding", {28, 42});
  checkpoint.expect_refused(kInvalid, {"[28,42]", "two equal numbers"});
  checkpoint.set(kConfig, "/resize_imgs_with_padding", {28, 28});
  checkpoint.set(kConfig, "/adapt_to_pi_aloha", true);
  checkpoint.expect_refused(kInvalid, {"adapt_to_pi_aloha", "3 dimensions", "ALOHA's 14"});
  checkpoint.set(kConfig, "/adapt_to_pi_aloha", false);
  checkpoint.set(kConfig, "/use_delta_joint_actions_aloha", true);
  checkpoint.expect_refused(kUnsupported, {"use_delta_joint_actions_aloha"});
}

// ---- Relative actions ----

TEST(RelativeMask, FollowsLerobotsRules) {
  using Mask = std::vector<bool>;
  RelativeActions relative{true, {"gripper"}, std::nullopt};
  EXPECT_EQ(relative_mask(relative, 3), (Mask{true, true, true}));  // no names
  relative.action_names = {"pan", "GRIPPER_left", "grip"};
  EXPECT_EQ(relative_mask(relative, 3), (Mask{true, false, true}));
  EXPECT_EQ(relative_mask(relative, 2), (Mask{true, false}));                    // names are cut
  EXPECT_EQ(relative_mask(relative, 5), (Mask{true, false, true, true, true}));  // or too few
  relative.exclude_joints = {"", "PAN"};
  EXPECT_EQ(relative_mask(relative, 3), (Mask{false, true, true}));
  relative.exclude_joints = {""};
  EXPECT_EQ(relative_mask(relative, 3), (Mask{true, true, true}));
  relative.exclude_joints = {};
  EXPECT_EQ(relative_mask(relative, 3), (Mask{true, true, true}));
}

TEST(RelativeActions, ThePostprocessorDecides) {
  EditableCheckpoint checkpoint("pi0_odd");
  checkpoint.set(kPre, "/steps/5/config/enabled", false);
  const CheckpointData enabled = checkpoint.open();
  EXPECT_EQ(enabled.relative_actions.size(), 7u);
  ASSERT_EQ(enabled.warnings.size(), 1u);
  EXPECT_NE(enabled.warnings[0].find("absolute_actions_processor is enabled"), std::string::npos);

  checkpoint.set(kPre, "/steps/5/config/enabled", true);
  checkpoint.set(kPost, "/steps/1/config/enabled", false);
  const CheckpointData disabled = checkpoint.open();
  EXPECT_TRUE(disabled.relative_actions.empty());
  EXPECT_EQ(disabled.warnings.size(), 1u);
}

TEST(RelativeActions, NeedTheirStepAndAStateAsLong) {
  EditableCheckpoint checkpoint("pi0_odd");
  checkpoint.set(kPre, "/steps/5", {{"registry_name", "to_batch_processor"}});
  checkpoint.expect_refused(kInvalid,
                            {kPost, "absolute_actions_processor", "no relative_actions_processor"});

  EditableCheckpoint shorter("pi0_odd");
  shorter.set(kConfig, "/input_features/observation.state/shape", {6});
  for (const char* name : {"observation.state.min", "observation.state.max"}) {
    shorter.put_tensor(kPreStatistics, float_tensor(name, {1}, {name[18] == 'm' ? 1.0f : 2.0f}));
  }
  shorter.expect_refused(kInvalid, {"7 actions are relative", "only 6 dimensions"});
}

TEST(RelativeActions, AreInTheConfigurationWhereTheProcessorsFilesAreAbsent) {
  EditableCheckpoint checkpoint("pi0_odd");
  std::filesystem::remove(checkpoint / kPre);
  std::filesystem::remove(checkpoint / kPost);
  const CheckpointData opened = checkpoint.open();
  EXPECT_FALSE(opened.has_statistics);
  EXPECT_EQ(opened.relative_actions,
            (std::vector<bool>{true, true, false, true, true, false, true}));
  EXPECT_EQ(opened.action_names.size(), 7u);
}

// ---- Statistics ----

TEST(LerobotStatistics, AllModesTakeTheirOwn) {
  const std::pair<const char*, NormalizationMode> modes[] = {
      {"MEAN_STD", NormalizationMode::kMeanStd},
      {"MIN_MAX", NormalizationMode::kMinMax},
      {"QUANTILES", NormalizationMode::kQuantiles},
      {"QUANTILE10", NormalizationMode::kQuantile10}};
  const char* names[][2] = {{"mean", "std"}, {"min", "max"}, {"q01", "q99"}, {"q10", "q90"}};
  for (int i = 0; i < 4; ++i) {
    EditableCheckpoint checkpoint("pi0_odd");
    checkpoint.set(kPre, "/steps/6/config/norm_map/STATE", modes[i].first);
    for (int half = 0; half < 2; ++half) {
      const float base = 10.0f * static_cast<float>(i) + static_cast<float>(half);
      std::vector<float> values(9, base);
      values[8] = base + 0.5f;
      checkpoint.put_tensor(
          kPreStatistics,
          float_tensor(std::string("observation.state.") + names[i][half], {9}, values));
    }
    const Normalization state = checkpoint.open().state;
    EXPECT_EQ(state.mode, modes[i].second);
    EXPECT_EQ(state.first[0], 10.0 * i);
    EXPECT_EQ(state.second[8], 10.0 * i + 1.5);
  }
  EditableCheckpoint identity("pi0_odd");
  identity.set(kPre, "/steps/6/config/norm_map/STATE", "IDENTITY");
  const CheckpointData opened = identity.open();
  EXPECT_EQ(opened.state.mode, NormalizationMode::kIdentity);
  EXPECT_TRUE(opened.state.first.empty());
  EXPECT_TRUE(opened.has_statistics);
  EXPECT_EQ(opened.action.mode, NormalizationMode::kQuantile10);

  identity.set(kPre, "/steps/6/config/norm_map/STATE", "MEANSTD");
  identity.expect_refused(kInvalid, {kPre, "\"STATE\" is \"MEANSTD\"", "QUANTILE10"});
}

TEST(LerobotStatistics, EachSideHasItsOwnStep) {
  EditableCheckpoint checkpoint("pi0_odd");
  checkpoint.set(kPost, "/steps/0/config/eps", 0.5);
  checkpoint.set(kPost, "/steps/0/config/norm_map/ACTION", "MEAN_STD");
  // In the preprocessor's file the action's statistics are for training.
  checkpoint.put_tensor(kPreStatistics, float_tensor("action.mean", {7}, std::vector<float>(7, 9)));
  checkpoint.put_tensor(kPostStatistics,
                        float_tensor("action.mean", {7}, std::vector<float>(7, 3)));
  const CheckpointData opened = checkpoint.open();
  EXPECT_EQ(opened.state.eps, 1e-8);
  EXPECT_EQ(opened.action.eps, 0.5);
  EXPECT_EQ(opened.action.mode, NormalizationMode::kMeanStd);
  EXPECT_EQ(opened.action.first[6], 3.0);
}

TEST(LerobotStatistics, ANegativeStdIsRefused) {
  EditableCheckpoint checkpoint("pi0_tiny");
  std::vector<float> deviations(static_cast<std::size_t>(checkpoint.open().state_dims), 1);
  deviations[2] = -1;
  const auto dims = static_cast<std::int64_t>(deviations.size());
  checkpoint.put_tensor("policy_preprocessor_step_6_normalizer_processor.safetensors",
                        float_tensor("observation.state.std", {dims}, deviations));
  checkpoint.expect_refused(kInvalid, {"observation.state.std is -1 in dimension 2"});
}

TEST(LerobotStatistics, OtherFloatTypesAreConverted) {
  EditableCheckpoint checkpoint("pi0_odd");
  checkpoint.put_tensor(kPreStatistics,
                        {"observation.state.min", "BF16", {1}, std::string("\xc0\xbf")});  // -1.5
  const double tenth = 0.1;
  checkpoint.put_tensor(
      kPreStatistics,
      {"observation.state.max", "F64", {1}, {reinterpret_cast<const char*>(&tenth), 8}});
  const Normalization state = checkpoint.open().state;
  EXPECT_EQ(state.first, std::vector<double>(9, -1.5));
  EXPECT_EQ(state.second, std::vector<double>(9, 0.1f));  // lerobot keeps float32
  checkpoint.put_tensor(kPreStatistics,
                        {"observation.state.max", "BOOL", {1}, std::string(1, '\1')});
  checkpoint.expect_refused(kInvalid, {kPreStatistics, "observation.state.max", "BOOL"});
}

TEST(LerobotStatistics, OfAnotherLengthAreRefused) {
  for (const int length : {8, 10, 0}) {
    EditableCheckpoint checkpoint("pi0_odd");
    checkpoint.put_tensor(kPreStatistics, float_tensor("observation.state.max", {length},
                                                       std::vector<float>(length, 1)));
    checkpoint.expect_refused(kInvalid, {kPreStatistics, "observation.state.max",
                                         shape_text(Shape{length}), "9 dimensions"});
  }
  EditableCheckpoint checkpoint("pi0_odd");
  checkpoint.put_tensor(kPostStatistics,
                        float_tensor("action.q10", {7, 1}, std::vector<float>(7, 0)));
  checkpoint.expect_refused(kInvalid, {kPostStatistics, "action.q10", "[7, 1]"});
  checkpoint.put_tensor(kPostStatistics,
                        float_tensor("action.q10", {1, 7}, std::vector<float>(7, 0)));
  EXPECT_EQ(checkpoint.open().action.first, std::vector<double>(7, 0.0));
  checkpoint.put_tensor(kPostStatistics, float_tensor("action.q10", {}, {0.25f}));
  EXPECT_EQ(checkpoint.open().action.first, std::vector<double>(7, 0.25));
}

// A policy that was trained from another one keeps that one's input features.
TEST(LerobotStatistics, SayHowLongTheStateIs) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set(kConfig, "/input_features/observation.state/shape", {32});
  checkpoint.set(kPre, "/steps/6/config/features/observation.state/shape", {32});
  EXPECT_EQ(checkpoint.open().state_dims, 14);
  EXPECT_EQ(checkpoint.open().state.first.size(), 14u);
  // A robot of one joint; but one number is for all of a state that has its own length.
  for (const char* statistic : {"mean", "std", "min", "max", "q01", "q99"}) {
    checkpoint.put_tensor("policy_preprocessor_step_6_normalizer_processor.safetensors",
                          float_tensor(std::string("observation.state.") + statistic, {1}, {1}));
  }
  EXPECT_EQ(checkpoint.open().state_dims, 1);
  checkpoint.set(kConfig, "/input_features/observation.state/shape", {14});
  EXPECT_EQ(checkpoint.open().state_dims, 14);
  checkpoint.set(kConfig, "/input_features/observation.state/shape", {32});
  // Without them the configuration says it.
  checkpoint.edit_json(kPre, [](Json& json) { json["steps"][6].erase("state_file"); });
  EXPECT_EQ(checkpoint.open().state_dims, 32);
}

TEST(LerobotStatistics, MayBeIntegers) {
  EditableCheckpoint checkpoint("pi0_odd");
  std::string bytes;
  for (std::int64_t i = 1; i <= 9; ++i) bytes.append(reinterpret_cast<const char*>(&i), sizeof i);
  checkpoint.put_tensor(kPreStatistics, {"observation.state.max", "I64", {9}, bytes});
  EXPECT_EQ(checkpoint.open().state.second, (std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(LerobotStatistics, OfTheModeMustBeThere) {
  EditableCheckpoint checkpoint("pi0_odd");
  checkpoint.erase_tensor(kPostStatistics, "action.q90");
  checkpoint.expect_refused(kInvalid, {kPostStatistics, "action.q90 is missing", "QUANTILE10"});
}

TEST(LerobotStatistics, NonFiniteNumbersAreRefused) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    EditableCheckpoint checkpoint("pi0_odd");
    std::vector<float> values(9, 1);
    values[4] = bad;
    checkpoint.put_tensor(kPreStatistics, float_tensor("observation.state.max", {9}, values));
    checkpoint.expect_refused(kInvalid, {kPreStatistics, "observation.state.max[4]", "finite"});
    // Not used by this mode.
    EditableCheckpoint unused("pi0_odd");
    unused.put_tensor(kPreStatistics, float_tensor("observation.state.mean", {9}, values));
    EXPECT_NO_THROW(unused.open());
  }
}

TEST(LerobotStatistics, AnEmptyRangeAndAZeroStdAreWarnedAbout) {
  EditableCheckpoint checkpoint("pi0_odd");
  std::vector<float> low(9, 0), high(9, 1);
  low[2] = high[2];
  low[5] = high[5];
  checkpoint.put_tensor(kPreStatistics, float_tensor("observation.state.min", {9}, low));
  checkpoint.put_tensor(kPreStatistics, float_tensor("observation.state.max", {9}, high));
  checkpoint.set(kPost, "/steps/0/config/norm_map/ACTION", "MEAN_STD");
  std::vector<float> std_values(7, 1);
  std_values[6] = 0;
  checkpoint.put_tensor(kPostStatistics, float_tensor("action.std", {7}, std_values));
  const CheckpointData opened = checkpoint.open();
  EXPECT_TRUE(opened.has_statistics);
  ASSERT_EQ(opened.warnings.size(), 2u);
  for (const char* word : {"observation.state", "empty range", "dimension 2, 5"}) {
    EXPECT_NE(opened.warnings[0].find(word), std::string::npos) << opened.warnings[0];
  }
  for (const char* word : {"action", "std of 0", "dimension 6"}) {
    EXPECT_NE(opened.warnings[1].find(word), std::string::npos) << opened.warnings[1];
  }
}

TEST(LerobotStatistics, AbsentOnesAreMissed) {
  // No state file: as lerobot's base models are published.
  EditableCheckpoint no_file("pi0_tiny");
  no_file.edit_json(kPre, [](Json& json) { json["steps"][6].erase("state_file"); });
  const CheckpointData without_state = no_file.open();
  EXPECT_FALSE(without_state.has_statistics);
  EXPECT_EQ(without_state.state.mode, NormalizationMode::kIdentity);
  EXPECT_EQ(without_state.action.mode, NormalizationMode::kMeanStd);
  EXPECT_NE(without_state.statistics_missing.find("no statistics of observation.state"),
            std::string::npos);

  // A file without that feature.
  EditableCheckpoint no_action("pi0_tiny");
  no_action.edit_tensors(kPostStatistics, [](std::vector<EditedTensor>& tensors) {
    std::erase_if(tensors,
                  [](const EditedTensor& tensor) { return tensor.name.starts_with("action."); });
  });
  EXPECT_FALSE(no_action.open().has_statistics);
  const std::string missing = no_action.open().statistics_missing;
  for (const char* word :
       {kPostStatistics, "no statistics of action, only of", "observation.state"}) {
    EXPECT_NE(missing.find(word), std::string::npos) << missing;
  }

  // No step.
  EditableCheckpoint no_step("pi0_tiny");
  no_step.edit_json(kPre, [](Json& json) { json["steps"].erase(6); });
  EXPECT_FALSE(no_step.open().has_statistics);

  // No postprocessor.
  EditableCheckpoint no_post("pi0_tiny");
  std::filesystem::remove(no_post / kPost);
  EXPECT_FALSE(no_post.open().has_statistics);
  EXPECT_EQ(no_post.open().state.mode, NormalizationMode::kMeanStd);
}

TEST(LerobotStatistics, AreNotNeededForIdentity) {
  EditableCheckpoint checkpoint("pi0_tiny_224");
  EXPECT_FALSE(checkpoint.open().has_statistics);
  checkpoint.set(kConfig, "/normalization_mapping",
                 {{"STATE", "IDENTITY"}, {"ACTION", "IDENTITY"}});
  const CheckpointData opened = checkpoint.open();
  EXPECT_TRUE(opened.has_statistics);
  EXPECT_TRUE(opened.warnings.empty());
}

TEST(LerobotStatistics, OnlyListedObservationsAreNormalised) {
  EditableCheckpoint keys("pi0_tiny");
  keys.set(kPre, "/steps/6/config/normalize_observation_keys", {"observation.other"});
  const CheckpointData opened = keys.open();
  EXPECT_EQ(opened.state.mode, NormalizationMode::kIdentity);
  EXPECT_TRUE(opened.has_statistics);
  keys.set(kPre, "/steps/6/config/normalize_observation_keys", {"observation.state"});
  EXPECT_EQ(keys.open().state.mode, NormalizationMode::kMeanStd);

  EditableCheckpoint features("pi0_tiny");
  features.edit_json(
      kPre, [](Json& json) { json["steps"][6]["config"]["features"].erase("observation.state"); });
  EXPECT_EQ(features.open().state.mode, NormalizationMode::kIdentity);
  EXPECT_EQ(features.open().warnings.size(), 1u);
}

TEST(LerobotStatistics, OfCamerasAreForTheirChannels) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set(kPre, "/steps/6/config/norm_map/VISUAL", "MEAN_STD");
  const CheckpointData without = checkpoint.open();
  EXPECT_TRUE(without.has_statistics);
  EXPECT_EQ(without.warnings.size(), 3u);  // one a camera
  const std::string camera = "observation.images.left_wrist_0_rgb";
  checkpoint.put_tensor(kPreStatistics, float_tensor(camera + ".mean", {3, 1, 1}, {1, 2, 3}));
  checkpoint.put_tensor(kPreStatistics, float_tensor(camera + ".std", {3}, {4, 5, 6}));
  const CheckpointData opened = checkpoint.open();
  EXPECT_EQ(opened.cameras[0].normalization.mode, NormalizationMode::kIdentity);
  EXPECT_EQ(opened.cameras[1].normalization.mode, NormalizationMode::kMeanStd);
  EXPECT_EQ(opened.cameras[1].normalization.first, (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(opened.cameras[1].normalization.second, (std::vector<double>{4, 5, 6}));
  for (const std::vector<std::int64_t>& shape :
       std::vector<std::vector<std::int64_t>>{{1, 1, 3}, {1, 3}, {3, 1}}) {
    checkpoint.put_tensor(kPreStatistics, float_tensor(camera + ".mean", shape, {1, 2, 3}));
    checkpoint.expect_refused(kInvalid, {camera + ".mean", "3 channels"});
  }
}

TEST(LerobotStatistics, TheFileMustBeThereAndBesideTheOthers) {
  EditableCheckpoint checkpoint("pi0_tiny");
  std::filesystem::remove(checkpoint / kPreStatistics);
  checkpoint.expect_refused(ErrorCode::kIo, {kPreStatistics, "No such file"});
  checkpoint.set(kPre, "/steps/6/state_file", "../statistics.safetensors");
  checkpoint.expect_refused(kInvalid, {kPre, "state_file", "../statistics.safetensors"});
  checkpoint.set(kPre, "/steps/6/state_file", 3);
  checkpoint.expect_refused(kInvalid, {kPre, "\"state_file\" is 3"});
  checkpoint.set(kPre, "/steps/6/config/stats", {{"action", {{"mean", {1}}}}});
  checkpoint.expect_refused(kUnsupported, {kPre, "\"stats\""});
}

}  // namespace
}  // namespace pi0
