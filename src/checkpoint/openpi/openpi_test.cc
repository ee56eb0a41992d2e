// openpi's form of checkpoint: what its files say, and what options or pi0.json add.

#include <gtest/gtest.h>

#include "checkpoint/form/pi0_json.h"
#include "checkpoint/openpi/config.h"
#include "checkpoint/test_support.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

constexpr auto kInvalid = ErrorCode::kInvalidCheckpoint;
constexpr auto kInput = ErrorCode::kInvalidInput;
constexpr const char* kWeights = "model.safetensors";
constexpr const char* kStatistics = "assets/my_robot/norm_stats.json";  // of openpi_pi0

CheckpointOverrides with_mask(const std::string& mask) {
  CheckpointOverrides options;
  options.delta_mask = mask;
  return options;
}

CheckpointOverrides with_asset(const std::string& asset) {
  CheckpointOverrides options;
  options.asset = asset;
  return options;
}

CheckpointOverrides with_action_dims(int dims) {
  CheckpointOverrides options;
  options.action_dims = dims;
  return options;
}

CheckpointOverrides with_action_horizon(int steps) {
  CheckpointOverrides options;
  options.action_horizon = steps;
  return options;
}

CheckpointOverrides with_format(PromptFormat format) {
  CheckpointOverrides options;
  options.prompt_format = format;
  return options;
}

// ---- The network ----

TEST(Openpi, ADirectoryMustBeThere) {
  expect_error(ErrorCode::kIo, {"no/such/checkpoint", "not a directory"},
               [] { open_checkpoint("no/such/checkpoint"); });
  const TemporaryDirectory directory;
  expect_error(kInvalid, {"model.safetensors"}, [&] { open_checkpoint(directory.path()); });
}

TEST(Openpi, WhatIsElsewhereIsDownloadedFirst) {
  const std::string hf = "hf download lerobot/pi0_base --local-dir pi0_base";
  for (const char* name : {"lerobot/pi0_base", "lerobot/pi0_base/", "hf://lerobot/pi0_base",
                           "https://huggingface.co/lerobot/pi0_base",
                           "https://huggingface.co/lerobot/pi0_base/tree/main"}) {
    expect_error(ErrorCode::kIo, {name, hf}, [&] { open_checkpoint(name); });
  }
  expect_error(ErrorCode::kIo,
               {"gsutil -m cp -r gs://openpi-assets/checkpoints/pi0_base", "convert_jax"},
               [] { open_checkpoint("gs://openpi-assets/checkpoints/pi0_base"); });
  expect_error(ErrorCode::kIo, {"the checkpoint has an empty name"}, [] { open_checkpoint(""); });
  // A path that was mistyped is none.
  const TemporaryDirectory directory;
  write_file(directory / "file", "");
  for (const std::string& name :
       {(directory / "pi0_base").string(), (directory / "file").string(), std::string("./pi0_base"),
        std::string("pi0_base"), std::string("a b/pi0_base"), std::string("a/b/c")}) {
    try {
      open_checkpoint(name);
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find("hf download"), std::string::npos) << error.what();
    }
  }
  const fs::path golden = kGolden / "openpi_pi0";
  expect_error(ErrorCode::kIo, {"config.json", "the checkpoint is " + golden.string()},
               [&] { open_checkpoint(golden / "config.json"); });
}

TEST(Openpi, KindIsReadFromTheTensors) {
  EditableCheckpoint both("openpi_pi0");
  both.put_tensor(kWeights, float_tensor("time_mlp_in.weight", {1}, {0}));
  both.expect_refused(kInvalid, {kWeights, "both", "state_proj.weight", "time_mlp_in.weight"});
  EditableCheckpoint neither("openpi_pi0");
  neither.erase_tensor(kWeights, "state_proj.weight");
  neither.expect_refused(kInvalid, {kWeights, "neither", "state_proj.weight", "\"type\""});
}

TEST(Openpi, ImageSizeIsReadFromThePositions) {
  EditableCheckpoint checkpoint("openpi_pi0");
  const std::string name =
      "paligemma_with_expert.paligemma.model.vision_tower.vision_model.embeddings."
      "position_embedding.weight";
  checkpoint.put_tensor(kWeights, float_tensor(name, {9, 64}, std::vector<float>(9 * 64)));
  EXPECT_EQ(checkpoint.open().model.image_size, 3 * 14);
  checkpoint.put_tensor(kWeights, float_tensor(name, {15, 64}, std::vector<float>(15 * 64)));
  checkpoint.expect_refused(kInvalid, {kWeights, "position_embedding.weight", "15 rows", "square"});
  checkpoint.erase_tensor(kWeights, name);
  checkpoint.expect_refused(kInvalid, {"position_embedding.weight is missing"});
}

TEST(Openpi, PatchSizeIsReadFromThePatchEmbedding) {
  EditableCheckpoint checkpoint("openpi_pi0");
  checkpoint.edit_json("config.json",
                       [](Json& json) { json["architecture"]["vision"].erase("patch_size"); });
  const std::string name =
      "paligemma_with_expert.paligemma.model.vision_tower.vision_model.embeddings."
      "patch_embedding.weight";
  checkpoint.put_tensor(kWeights,
                        float_tensor(name, {64, 3, 7, 7}, std::vector<float>(64 * 3 * 49)));
  const CheckpointData opened = checkpoint.open();
  EXPECT_EQ(opened.model.vision.patch_size, 7);
  EXPECT_EQ(opened.model.image_size, 4 * 7);
}

TEST(Openpi, ConfigMayBeAbsentOrEmpty) {
  // Full sizes by default, which these tensors have not; the widths of the tensors are said.
  EditableCheckpoint checkpoint("openpi_pi0");
  fs::remove(checkpoint / "config.json");
  const CheckpointData absent = inspect_checkpoint(checkpoint.path()).checkpoint;
  EXPECT_EQ(absent.model.language.width, 2048);
  EXPECT_EQ(absent.model.action_dim, 32);
  EXPECT_EQ(absent.model.action_horizon, 50);
  ASSERT_FALSE(absent.warnings.empty());
  EXPECT_NE(absent.warnings[0].find("config.json is absent: 50 steps"), std::string::npos);

  EditableCheckpoint sparse("openpi_pi0");
  sparse.edit_json("config.json", [](Json& json) {
    json = {{"architecture", json["architecture"]}};
  });
  EXPECT_EQ(sparse.open().model.action_horizon, 50);
}

TEST(Openpi, BadConfigIsRefusedByKey) {
  EditableCheckpoint checkpoint("openpi_pi0");
  checkpoint.set("config.json", "/action_dim", 24);
  checkpoint.expect_refused(kInvalid,
                            {"action_in_proj.weight has shape [32, 32], expected [32, 24]",
                             "state_proj.weight has shape [32, 32], expected [32, 24]"});
  checkpoint.set("config.json", "/action_dim", "wide");
  checkpoint.expect_refused(kInvalid, {"config.json", "\"action_dim\" is \"wide\""});
  checkpoint.set("config.json", "/action_dim", 32);
  checkpoint.set("config.json", "/action_expert_variant", "gemma_7b");
  checkpoint.expect_refused(ErrorCode::kUnsupported, {"config.json", "gemma_7b"});
}

TEST(Openpi, VariantsWithAdaptersHaveTheSizesOfTheirBase) {
  EditableCheckpoint checkpoint("openpi_pi0");
  const std::size_t before = checkpoint.open().warnings.size();
  checkpoint.set("config.json", "/action_expert_variant", "gemma_300m_lora");
  const CheckpointData opened = checkpoint.open();
  ASSERT_EQ(opened.warnings.size(), before + 1);
  EXPECT_NE(opened.warnings[0].find("gemma_300m_lora"), std::string::npos) << opened.warnings[0];
  const auto sizes = [](const char* text) {
    ModelConfig model;
    parse_openpi_config(Json::parse(text), "config.json", model);
    return std::pair(model.language.mlp_dim, model.expert.mlp_dim);
  };
  EXPECT_EQ(sizes(R"({"paligemma_variant": "gemma_2b_lora"})"), sizes("{}"));
  EXPECT_EQ(sizes(R"({"action_expert_variant": "gemma_2b_lora"})"), std::pair(16384, 16384));
}

// ---- Statistics ----

TEST(OpenpiStatistics, AnAssetIsChosenById) {
  EditableCheckpoint checkpoint("openpi_pi0");
  const fs::path other = checkpoint / "assets/physical-intelligence/libero";
  fs::create_directories(other);
  Json statistics = read_json(checkpoint / kStatistics);
  statistics["norm_stats"]["state"]["mean"][0] = 42.0;
  write_file(other / "norm_stats.json", statistics.dump());
  checkpoint.expect_refused(
      kInvalid, {"several assets", "my_robot", "physical-intelligence/libero", "--asset"});
  const CheckpointData chosen = checkpoint.open(with_asset("physical-intelligence/libero"));
  EXPECT_EQ(chosen.asset, "physical-intelligence/libero");
  EXPECT_EQ(chosen.state.first[0], 42.0);
  EXPECT_EQ(checkpoint.open(with_asset("my_robot")).state.first[0], -0.39530128858657);
  checkpoint.expect_refused(kInvalid, {"no droid/norm_stats.json", "my_robot"},
                            with_asset("droid"));
  // An id, no path.
  checkpoint.expect_refused(kInvalid, {"../assets/my_robot"}, with_asset("../assets/my_robot"));

  write_file(checkpoint / "pi0.json", R"({"asset": "physical-intelligence/libero"})");
  EXPECT_EQ(checkpoint.open().state.first[0], 42.0);
  EXPECT_EQ(checkpoint.open(with_asset("my_robot")).asset, "my_robot");
}

TEST(OpenpiStatistics, MayBeAbsent) {
  EditableCheckpoint checkpoint("openpi_pi0");
  fs::remove_all(checkpoint / "assets");
  const CheckpointData opened = checkpoint.open();
  EXPECT_FALSE(opened.has_statistics);
  EXPECT_EQ(opened.state.mode, NormalizationMode::kIdentity);
  EXPECT_EQ(opened.state_dims, 0);
  EXPECT_EQ(opened.action_dims, 32);
  EXPECT_NE(opened.statistics_missing.find("no ID/norm_stats.json"), std::string::npos);
  EXPECT_EQ(checkpoint.open(with_action_dims(7)).action_dims, 7);
  checkpoint.expect_refused(kInvalid, {"no droid/norm_stats.json"}, with_asset("droid"));
}

// RLinf leaves them beside the weights, in the folders that openpi has under assets/.
TEST(OpenpiStatistics, AreFoundElsewhereInTheCheckpoint) {
  EditableCheckpoint checkpoint("openpi_pi0");
  const Normalization expected = checkpoint.open().state;
  fs::create_directories(checkpoint / "physical-intelligence");
  fs::rename(checkpoint / "assets/my_robot", checkpoint / "physical-intelligence/libero");
  const CheckpointData opened = checkpoint.open();
  EXPECT_EQ(opened.state.first, expected.first);
  EXPECT_EQ(opened.asset, "physical-intelligence/libero");
  ASSERT_EQ(opened.warnings.size(), 1u);
  EXPECT_NE(opened.warnings[0].find("physical-intelligence/libero/norm_stats.json"),
            std::string::npos);
  fs::copy_file(checkpoint / "physical-intelligence/libero/norm_stats.json",
                checkpoint / "norm_stats.json");
  checkpoint.expect_refused(kInvalid, {"several assets"});
}

// As beside params/ of the JAX form, from where openpi's converter copies them.
TEST(OpenpiStatistics, AreFoundInAssetsBesideTheCheckpoint) {
  TemporaryDirectory parent;
  fs::copy(kGolden / "openpi_pi0", parent / "pytorch", fs::copy_options::recursive);
  fs::rename(parent / "pytorch/assets", parent / "assets");
  for (const fs::path& directory : {parent / "pytorch", parent / "pytorch/"}) {
    const CheckpointData opened = open_checkpoint(directory);
    EXPECT_EQ(opened.asset, "my_robot");
    ASSERT_EQ(opened.warnings.size(), 1u);
    EXPECT_NE(opened.warnings[0].find((parent / "assets/my_robot").string()), std::string::npos);
  }
}

TEST(OpenpiStatistics, OfTheKindMustBeThere) {
  EditableCheckpoint pi0("openpi_pi0");
  pi0.edit_json(kStatistics, [](Json& json) {
    json["norm_stats"]["state"].erase("q01");  // not pi0's
    json["norm_stats"]["actions"]["q99"] = nullptr;
  });
  EXPECT_NO_THROW(pi0.open());
  pi0.edit_json(kStatistics, [](Json& json) { json["norm_stats"]["actions"].erase("std"); });
  pi0.expect_refused(kInvalid, {kStatistics, "norm_stats.actions", "\"std\" is missing"});

  EditableCheckpoint pi05("openpi_pi05");
  pi05.edit_json("assets/droid/norm_stats.json",
                 [](Json& json) { json["norm_stats"]["state"].erase("q99"); });
  pi05.expect_refused(kInvalid, {"norm_stats.state", "\"q99\" is missing", "pi05", "quantiles"});
}

TEST(OpenpiStatistics, BadOnesAreRefusedByKey) {
  struct Case {
    const char* pointer;
    Json value;
    std::vector<std::string> words;
  };
  const Case cases[] = {
      {"/norm_stats/state/mean/2", nullptr, {"norm_stats.state", "\"mean[2]\" is null"}},
      {"/norm_stats/state/std", {1, 2}, {"\"mean\" has 7 numbers", "\"std\" has 2"}},
      {"/norm_stats/actions/mean", "x", {"norm_stats.actions", "\"mean\" is \"x\"", "an array"}},
      {"/norm_stats/actions/mean", Json::array(), {"\"mean\" is empty"}},
      {"/norm_stats/state", nullptr, {"\"state\" is missing"}},
      {"/norm_stats", 1, {"\"norm_stats\" is 1"}},
  };
  for (const Case& bad : cases) {
    EditableCheckpoint checkpoint("openpi_pi0");
    checkpoint.set(kStatistics, bad.pointer, bad.value);
    std::vector<std::string> words = bad.words;
    words.push_back(kStatistics);
    checkpoint.expect_refused(kInvalid, words);
  }
  // Python's json writes these though they are no JSON.
  EditableCheckpoint checkpoint("openpi_pi0");
  write_file(checkpoint / kStatistics,
             R"({"norm_stats": {"state": {"mean": [NaN], "std": [Infinity]}}})");
  checkpoint.expect_refused(kInvalid, {kStatistics, "norm_stats.state.mean[0] is NaN", "no JSON"});
}

TEST(OpenpiStatistics, AZeroStdAndAnEmptyRangeAreWarnedAbout) {
  EditableCheckpoint pi0("openpi_pi0");
  pi0.set(kStatistics, "/norm_stats/state/std/3", 0.0);
  ASSERT_EQ(pi0.open().warnings.size(), 1u);
  EXPECT_NE(pi0.open().warnings[0].find("std of 0 in dimension 3"), std::string::npos);
  EditableCheckpoint pi05("openpi_pi05");
  pi05.edit_json("assets/droid/norm_stats.json", [](Json& json) {
    Json& actions = json["norm_stats"]["actions"];
    actions["q01"][1] = actions["q99"][1];
  });
  ASSERT_EQ(pi05.open().warnings.size(), 1u);
  EXPECT_NE(pi05.open().warnings[0].find("empty range"), std::string::npos);
}

TEST(OpenpiStatistics, LongerThanTheNetworkAreKeptAsTheyAre) {
  EditableCheckpoint checkpoint("openpi_pi0");
  checkpoint.edit_json(kStatistics, [](Json& json) {
    for (const char* name : {"mean", "std"}) {
      json["norm_stats"]["actions"][name] = std::vector<double>(40, 1.0);
    }
  });
  const CheckpointData opened = checkpoint.open();
  EXPECT_EQ(opened.action.first.size(), 40u);
  EXPECT_EQ(opened.action_dims, 32);
  EXPECT_EQ(opened.state_dims, 7);
}

// By the data's zeros, or by openpi's pad_to_dim; a joint at rest within the state pads nothing.
TEST(OpenpiStatistics, WhatPadsThemIsNotTheRobots) {
  for (const double std : {0.0, 1.0}) {
    EditableCheckpoint pi0("openpi_pi0");
    pi0.edit_json(kStatistics, [&](Json& json) {
      Json& state = json["norm_stats"]["state"];
      state["mean"][2] = state["std"][2] = 0.0;
      while (state["mean"].size() < 32) {
        state["mean"].push_back(0.0);
        state["std"].push_back(std);
      }
    });
    EXPECT_EQ(pi0.open().state_dims, 7) << std;
    EXPECT_EQ(pi0.open().state.first.size(), 32u);
  }
  EditableCheckpoint pi05("openpi_pi05");
  pi05.edit_json("assets/droid/norm_stats.json", [](Json& json) {
    Json& state = json["norm_stats"]["state"];
    for (const auto& [low, high] : {std::pair(-1.0, 1.0), std::pair(0.0, 0.0)}) {
      state["q01"].push_back(low);
      state["q99"].push_back(high);
    }
  });
  EXPECT_EQ(pi05.open().state_dims, 8);
}

// ---- Options and pi0.json ----

TEST(OpenpiOptions, ActionDims) {
  const EditableCheckpoint checkpoint("openpi_pi0");
  const CheckpointData opened = checkpoint.open(with_action_dims(5));
  EXPECT_EQ(opened.action_dims, 5);
  EXPECT_EQ(opened.state_dims, 7);
  EXPECT_EQ(checkpoint.open(with_action_dims(32)).action_dims, 32);
  checkpoint.expect_refused(kInput, {"action dims is 33", "1 to 32"}, with_action_dims(33));
  checkpoint.expect_refused(kInput, {"action dims is 0"}, with_action_dims(0));
  write_file(checkpoint / "pi0.json", R"({"action_dims": 6})");
  EXPECT_EQ(checkpoint.open().action_dims, 6);
  EXPECT_EQ(checkpoint.open(with_action_dims(5)).action_dims, 5);
  write_file(checkpoint / "pi0.json", R"({"action_dims": 33})");
  checkpoint.expect_refused(kInvalid, {"pi0.json", "action dims is 33"});
}

// openpi's training in PyTorch leaves no config.json, and no tensor has the horizon.
TEST(OpenpiOptions, ActionHorizon) {
  EditableCheckpoint checkpoint("openpi_pi0");
  EXPECT_EQ(checkpoint.open().model.action_horizon, 8);
  EXPECT_EQ(checkpoint.open(with_action_horizon(20)).model.action_horizon, 20);
  checkpoint.edit_json("config.json", [](Json& json) { json.erase("action_horizon"); });
  const CheckpointData assumed = checkpoint.open();
  EXPECT_EQ(assumed.model.action_horizon, 50);
  ASSERT_EQ(assumed.warnings.size(), 1u);
  EXPECT_NE(assumed.warnings[0].find("no \"action_horizon\": 50 steps are assumed"),
            std::string::npos)
      << assumed.warnings[0];
  write_file(checkpoint / "pi0.json", R"({"action_horizon": 15})");
  const CheckpointData said = checkpoint.open();
  EXPECT_EQ(said.model.action_horizon, 15);
  EXPECT_EQ(said.n_action_steps, 15);
  EXPECT_TRUE(said.warnings.empty());
  EXPECT_EQ(checkpoint.open(with_action_horizon(20)).model.action_horizon, 20);
  checkpoint.expect_refused(kInput, {"action horizon is 0", "1 to"}, with_action_horizon(0));
}

// openpi's Pi0Config: 48 of pi0, 200 of pi05, unless a configuration says another.
TEST(OpenpiOptions, MaxTokenLen) {
  EXPECT_EQ(EditableCheckpoint("openpi_pi05").open().model.max_tokens, 200);
  const EditableCheckpoint checkpoint("openpi_pi0");
  EXPECT_EQ(checkpoint.open().model.max_tokens, 48);
  write_file(checkpoint / "pi0.json", R"({"max_token_len": 100})");
  EXPECT_EQ(checkpoint.open().model.max_tokens, 100);
  CheckpointOverrides options;
  options.max_token_len = 180;
  EXPECT_EQ(checkpoint.open(options).model.max_tokens, 180);
  options.max_token_len = 0;
  checkpoint.expect_refused(kInput, {"max_token_len", "is 0, expected 1 to"}, options);
  EditableCheckpoint("pi0_tiny")
      .expect_refused(kInput, {"max_token_len", "cannot be given for a lerobot checkpoint"},
                      options);
}

// Whoever asks for the network alone does not choose among statistics.
TEST(OpenpiOptions, TheNetworkAlone) {
  const EditableCheckpoint checkpoint("openpi_pi0");
  fs::copy(checkpoint / "assets/my_robot", checkpoint / "assets/other",
           fs::copy_options::recursive);
  checkpoint.expect_refused(kInvalid, {"several assets", "my_robot", "other"});
  CheckpointOverrides options;
  options.network_alone = true;
  const CheckpointData opened = checkpoint.open(options);
  EXPECT_FALSE(opened.has_statistics);
  EXPECT_TRUE(opened.warnings.empty());
  EXPECT_NE(opened.weights, nullptr);
}

TEST(OpenpiOptions, OneSourceBeforeAnother) {
  CheckpointOverrides first, second;
  first.asset = "first";
  second.asset = "second";
  second.prompt_format = PromptFormat::kPi05;
  second.delta_mask = "1";
  second.action_dims = 2;
  second.action_horizon = 3;
  second.max_token_len = 4;
  second.adapt_to_pi = true;
  const CheckpointOverrides both = first.or_else(second);
  EXPECT_EQ(both.asset, "first");
  EXPECT_EQ(both.prompt_format, PromptFormat::kPi05);
  EXPECT_EQ(both.delta_mask, "1");
  EXPECT_EQ(both.action_dims, 2);
  EXPECT_EQ(both.action_horizon, 3);
  EXPECT_EQ(both.max_token_len, 4);
  EXPECT_EQ(both.adapt_to_pi, true);
}

TEST(OpenpiOptions, DeltaMask) {
  const EditableCheckpoint checkpoint("openpi_pi0");
  const std::vector<bool> six_and_one = {true, true, true, true, true, true, false};
  EXPECT_EQ(checkpoint.open(with_mask("6,-1")).relative_actions, six_and_one);
  for (const char* text : {R"({"delta_mask": "6,-1"})", R"({"delta_mask": [6, -1]})"}) {
    write_file(checkpoint / "pi0.json", text);
    EXPECT_EQ(checkpoint.open().relative_actions, six_and_one);
  }
  EXPECT_EQ(checkpoint.open(with_mask("-2,1")).relative_actions,
            (std::vector<bool>{false, false, true}));
  // Cut to the robot's dimensions, but no longer than the network's.
  EXPECT_EQ(checkpoint.open(with_mask("32")).relative_actions, std::vector<bool>(7, true));
  checkpoint.expect_refused(kInput, {"delta mask 33", "33 dimensions", "have 32"}, with_mask("33"));
}

TEST(OpenpiOptions, DeltaMaskIsWrittenAsInMakeBoolMask) {
  const auto parse = [](const std::string& text) { return parse_delta_mask(text, "here", kInput); };
  EXPECT_EQ(parse("2,-2,2"), (std::vector<bool>{true, true, false, false, true, true}));
  EXPECT_EQ(parse("2,0,2"), (std::vector<bool>{true, true, true, true}));
  EXPECT_EQ(parse(" 1 , -1 "), (std::vector<bool>{true, false}));
  for (const char* bad : {"", ",", "6,", ",6", "6;1", "6 1", "six", "1.5", "6,-", "+6", "4097",
                          "99999999999999999999", "4096,4096", "6,-1x"}) {
    expect_error(kInput, {"here", "delta mask", "\"6,-1\""}, [&] { parse(bad); });
  }
}

TEST(OpenpiOptions, PromptFormat) {
  const EditableCheckpoint pi05("openpi_pi05");
  EXPECT_EQ(pi05.open(with_format(PromptFormat::kPi0)).prompt_format, PromptFormat::kPi0);
  write_file(pi05 / "pi0.json", R"({"prompt_format": "pi0"})");
  EXPECT_EQ(pi05.open().prompt_format, PromptFormat::kPi0);
  EXPECT_EQ(pi05.open(with_format(PromptFormat::kPi05)).prompt_format, PromptFormat::kPi05);

  const EditableCheckpoint pi0("openpi_pi0");
  EXPECT_EQ(pi0.open(with_format(PromptFormat::kPi0)).prompt_format, PromptFormat::kPi0);
  pi0.expect_refused(kInput, {"prompt format pi05", "network of pi0"},
                     with_format(PromptFormat::kPi05));
  write_file(pi0 / "pi0.json", R"({"prompt_format": "pi05"})");
  pi0.expect_refused(kInvalid, {"pi0.json", "prompt format pi05", "network of pi0"});
}

TEST(OpenpiOptions, BadPi0JsonIsRefusedByKey) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {R"({"deltamask": "6,-1"})", {"unknown key \"deltamask\"", "\"delta_mask\""}},
      {R"({"delta_mask": "6;1"})", {"delta mask is \"6;1\""}},
      {R"({"delta_mask": [6, "x"]})", {"\"delta_mask[1]\" is \"x\""}},
      {R"({"delta_mask": []})", {"delta mask is \"\""}},
      {R"({"delta_mask": 6})", {"\"delta_mask\" is 6", "a string"}},
      {R"({"prompt_format": "pi1"})", {"prompt format is \"pi1\"", "\"pi05\""}},
      {R"({"action_dims": 0})", {"\"action_dims\" is 0"}},
      {R"({"action_horizon": "8"})", {"\"action_horizon\" is \"8\""}},
      {R"({"max_token_len": 0})", {"\"max_token_len\" is 0"}},
      {R"({"asset": 1})", {"\"asset\" is 1"}},
      {R"([])", {"an array", "an object"}},
      {R"({)", {"no JSON"}},
  };
  for (const auto& [text, words] : cases) {
    const EditableCheckpoint checkpoint("openpi_pi05");
    write_file(checkpoint / "pi0.json", text);
    std::vector<std::string> all = words;
    all.push_back("pi0.json");
    checkpoint.expect_refused(kInvalid, all);
  }
}

}  // namespace
}  // namespace pi0
