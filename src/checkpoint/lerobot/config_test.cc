// lerobot's config.json, and what it says of relative actions.

#include "checkpoint/lerobot/config.h"

#include <gtest/gtest.h>

#include "checkpoint/lerobot/lerobot_testing.h"

namespace pi0 {
namespace {

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
  EditableCheckpoint later("pi0_tiny");
  later.set(kConfig, "/n_obs_steps", 2);
  later.expect_refused(kUnsupported, {kConfig, "n_obs_steps", "not supported"});
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set(kConfig, "/paligemma_variant", "gemma_2b_lora");
  checkpoint.expect_refused(kUnsupported, {kConfig, "gemma_2b_lora", "openpi"});
  checkpoint.set(kConfig, "/paligemma_variant", "gemma_7b");
  checkpoint.expect_refused(kUnsupported, {"\"paligemma_variant\"", "gemma_7b", "gemma_2b"});
}

TEST(LerobotConfig, TheDelayThatTrainingHadIsLessThanAChunk) {
  constexpr const char* kKey = "/rtc_training_max_delay";
  EditableCheckpoint checkpoint("pi05_tiny");
  EXPECT_EQ(checkpoint.open().model.rtc_training_max_delay, 0);
  checkpoint.set(kConfig, kKey, 9);
  EXPECT_EQ(checkpoint.open().model.rtc_training_max_delay, 9);
  EXPECT_TRUE(checkpoint.open().warnings.empty());
  for (const int wrong : {-1, 10}) {  // its chunk has 10 rows
    checkpoint.set(kConfig, kKey, wrong);
    checkpoint.expect_refused(kInvalid,
                              {kConfig, "rtc_training_max_delay", std::to_string(wrong), "9"});
  }
  EditableCheckpoint pi0("pi0_tiny");
  pi0.set(kConfig, kKey, 0);
  EXPECT_NO_THROW(pi0.open());
  pi0.set(kConfig, kKey, 5);
  pi0.expect_refused(kUnsupported, {kConfig, "rtc_training_max_delay", "5", "only a pi05"});
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

}  // namespace
}  // namespace pi0
