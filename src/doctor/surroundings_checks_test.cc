#include <fmt/format.h>
#include <gtest/gtest.h>

#include "checkpoint/test_support.h"
#include "doctor/doctor_testing.h"
#include "policy/options.h"

namespace pi0 {
namespace {

const std::filesystem::path kTokenizer = kGolden / "preprocess/tokenizer.model";
constexpr const char* kPreprocessor = "policy_preprocessor.json";

Findings readiness(const EditableCheckpoint& checkpoint) {
  const CheckpointOptions options{.tokenizer = kTokenizer};
  const Inspection inspection = inspect_checkpoint(checkpoint.path(), overrides_of(options));
  return readiness_findings(inspection, readiness_of(inspection, options, {.device = "reference"}));
}

Findings tensors(const EditableCheckpoint& checkpoint) {
  const Inspection inspection = inspect_checkpoint(checkpoint.path());
  return tensor_findings(inspection.tensors);
}

// Expects the one finding of `severity`, with these words in its reason and its way out.
void expect_advice(const Findings& findings, Severity severity, const std::string& why,
                   const std::string& way_out) {
  ASSERT_EQ(count_of(findings, severity), 1u) << to_text(findings);
  for (const Finding& finding : findings) {
    if (finding.severity != severity) continue;
    EXPECT_NE(finding.why.find(why), std::string::npos) << to_text(findings);
    EXPECT_NE(finding.way_out.find(way_out), std::string::npos) << to_text(findings);
  }
}

TEST(ReadinessFindingsTest, WhatInfoRefusesAndWarnsOfIsSaid) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.erase_tensor("model.safetensors", "model.action_out_proj.bias");
  checkpoint.set("config.json", "/new_setting", 1);
  const Findings findings = readiness(checkpoint);
  ASSERT_EQ(count_of(findings, Severity::kRefuse), 1u) << to_text(findings);
  ASSERT_EQ(count_of(findings, Severity::kWarning), 1u) << to_text(findings);
  EXPECT_EQ(findings[0].subject, "model.safetensors");
  EXPECT_NE(findings[0].found.find("action_out_proj.bias is missing"), std::string::npos);
  EXPECT_EQ(findings[1].subject, "config.json");
  EXPECT_NE(findings[1].found.find("new_setting"), std::string::npos);
}

// As 0.4 and 0.5.0 saved a policy.
Findings of_an_old_release(const std::string& golden) {
  EditableCheckpoint checkpoint(golden);
  checkpoint.edit_json("config.json", [](Json& json) { json.erase("use_relative_actions"); });
  checkpoint.edit_json(kPreprocessor, [](Json& json) {
    Json& steps = json["steps"];
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (steps[i]["registry_name"] == "relative_actions_processor") steps.erase(i);
    }
  });
  return readiness(checkpoint);
}

TEST(ReadinessFindingsTest, TheReleaseThatTrainedItIsAsked) {
  const Findings findings = of_an_old_release("pi05_tiny");
  ASSERT_EQ(count_of(findings, Severity::kWarning), 1u) << to_text(findings);
  expect_advice(findings, Severity::kWarning, "of the other release", "--lerobot-version");
}

// Also where the configuration's shapes are square: they may be those of another policy's cameras.
TEST(ReadinessFindingsTest, TheReleaseIsAskedWhateverTheShapes) {
  const Findings findings = of_an_old_release("pi0_tiny");
  ASSERT_EQ(count_of(findings, Severity::kWarning), 1u) << to_text(findings);
  expect_advice(findings, Severity::kWarning, "not square with -3", "--lerobot-version");
}

// What the sentence says to do is said once, as the way out.
TEST(ReadinessFindingsTest, ARefusalsOwnWayOut) {
  EditableCheckpoint checkpoint("openpi_pi0");
  std::filesystem::copy(checkpoint / "assets/my_robot", checkpoint / "assets/another");
  const Findings findings = readiness(checkpoint);
  expect_advice(findings, Severity::kRefuse, "pi0 run would refuse",
                "choose one by --asset or in pi0.json: another, my_robot");
  EXPECT_EQ(findings[0].subject + ": " + findings[0].found, "assets: there are several assets");
}

TEST(ReadinessFindingsTest, ARefusalThatSaysNoneHasThatOfItsKind) {
  EditableCheckpoint of_weights("pi0_tiny");
  of_weights.erase_tensor("model.safetensors", "model.action_out_proj.bias");
  expect_advice(readiness(of_weights), Severity::kRefuse, "pi0 run would refuse",
                "have to be of one training");
  EditableCheckpoint of_steps("pi0_tiny");
  of_steps.set(kPreprocessor, "/steps/0/registry_name", "another_step");
  expect_advice(readiness(of_steps), Severity::kRefuse, "pi0 run would refuse",
                "the library that trained it");
  EditableCheckpoint of_no_json("pi0_tiny");
  write_file(of_no_json / kPreprocessor, "{");
  expect_advice(readiness(of_no_json), Severity::kRefuse, "pi0 run would refuse", "copy it again");
  EditableCheckpoint of_nothing("pi0_tiny");
  std::filesystem::remove(of_nothing / kPreprocessor);
  expect_advice(readiness(of_nothing), Severity::kRefuse, "pi0 run would refuse", "--norm-stats");
  EditableCheckpoint of_statistics("openpi_pi0");
  of_statistics.edit_json("assets/my_robot/norm_stats.json",
                          [](Json& json) { json["norm_stats"]["state"].erase("std"); });
  expect_advice(readiness(of_statistics), Severity::kRefuse, "pi0 run would refuse",
                "--norm-stats");
}

TEST(ReadinessFindingsTest, WarningsThatAreTakenOverHaveAReason) {
  EditableCheckpoint of_adapters("openpi_pi0");
  of_adapters.set("config.json", "/paligemma_variant", "gemma_2b_lora");
  expect_advice(readiness(of_adapters), Severity::kWarning, "never been fine-tuned",
                "merged before the conversion");
  EditableCheckpoint elsewhere("openpi_pi0");
  std::filesystem::rename(elsewhere / "assets", elsewhere / "physical-intelligence");
  expect_advice(readiness(elsewhere), Severity::kWarning, "of other data", "--norm-stats");
}

// LoRA's among the weights are refused by what opens the checkpoint: one reason, not two.
TEST(TensorFindingsTest, AdaptersThatNobodyApplies) {
  const std::string layer =
      "model.paligemma_with_expert.gemma_expert.model.layers.0.self_attn.q_proj.";
  EditableCheckpoint lora("pi0_tiny");
  lora.put_tensor("model.safetensors",
                  float_tensor(layer + "lora_A.weight", {1, 2}, {0.5f, 0.25f}));
  EXPECT_TRUE(tensors(lora).empty());
  const Findings findings = readiness(lora);
  expect_finding(findings, Severity::kRefuse, {"model.safetensors", "q_proj.lora_A"});
  expect_advice(findings, Severity::kRefuse, "never been fine-tuned", "merge it into them");
  EditableCheckpoint other("pi0_tiny");
  other.put_tensor("model.safetensors",
                   float_tensor(layer + "adapter.down.weight", {1, 2}, {0.5f, 0.25f}));
  expect_finding(tensors(other), Severity::kRefuse, {"adapters", "q_proj.adapter"});
}

TEST(TensorFindingsTest, LayersBeyondTheConfigurations) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.edit_json("config.json", [](Json& json) {
    for (const char* part : {"language", "expert"}) {
      Json& depth = json["architecture"][part]["depth"];
      depth = depth.get<int>() - 1;
    }
  });
  expect_finding(tensors(checkpoint), Severity::kWarning,
                 {"tensors", "no part of the network", "layers."});
}

ModelConfig with_rows(int rows) {
  ModelConfig model;
  model.vocab_size = rows;
  return model;
}

TEST(TokenizerFindingsTest, TheEmbeddingHasToFit) {
  expect_no_findings(tokenizer_findings(with_rows(512), kTokenizer));
  expect_finding(tokenizer_findings(with_rows(498), kTokenizer), Severity::kRefuse,
                 {"500 pieces", "498 rows"});
  expect_finding(tokenizer_findings(with_rows(257152), kTokenizer), Severity::kRefuse,
                 {"500 pieces", "257152 rows"});
}

// A vocabulary of the size of PaliGemma's (Hugging Face's, with <image>), of which "\n" and " the"
// have other ids.
TEST(TokenizerFindingsTest, AnotherVocabularyOfPaligemmasSize) {
  const TemporaryDirectory directory;
  const Json tokenizer = read_json(kGolden / "preprocess/tokenizer.json");
  const std::string pieces = tokenizer["model"]["vocab"].dump();
  std::string more = pieces.substr(0, pieces.size() - 1);
  for (int id = 500; id <= 257152; ++id) more += fmt::format(",\"unused{}\":{}", id, id);
  std::string text = tokenizer.dump();
  text.replace(text.find(pieces), pieces.size(), more + "}");
  write_file(directory / "tokenizer.json", text);
  expect_finding(tokenizer_findings(with_rows(257152), directory / "tokenizer.json"),
                 Severity::kRefuse, {"PaliGemma's size", "108", "573"});
}

TEST(CameraFindingsTest, ARenameLeadsNowhere) {
  EditableCheckpoint checkpoint("pi0_odd");
  checkpoint.set(kPreprocessor, "/steps/0/config/rename_map/observation.images.front",
                 "observation.images.base");
  expect_finding(camera_findings(checkpoint.open()), Severity::kWarning,
                 {"observation.images.front", "observation.images.base", "none of", "top"});
}

TEST(CameraFindingsTest, ACameraIsRenamedAway) {
  EditableCheckpoint checkpoint("pi0_odd");
  checkpoint.set(kPreprocessor, "/steps/0/config/rename_map",
                 {{"observation.images.top", "observation.images.wrist"}});
  expect_finding(camera_findings(checkpoint.open()), Severity::kWarning,
                 {"top is renamed to observation.images.wrist", "nothing is renamed to it"});
}

TEST(CameraFindingsTest, NoRenameLeadsToABaseCamera) {
  CheckpointData checkpoint;
  for (const char* name : {"base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"}) {
    checkpoint.cameras.push_back({std::string("observation.images.") + name, name, false, {}});
  }
  expect_no_findings(camera_findings(checkpoint));
  checkpoint.rename_map = {{"observation.images.front", "observation.images.base_0_rgb"},
                           {"observation.images.wrist", "observation.images.left_wrist_0_rgb"}};
  expect_finding(camera_findings(checkpoint), Severity::kWarning,
                 {"no rename leads to right_wrist_0_rgb"});
  checkpoint.cameras[2].empty = true;
  expect_no_findings(camera_findings(checkpoint));
  for (Camera& camera : checkpoint.cameras) camera.empty = true;
  expect_finding(camera_findings(checkpoint), Severity::kRefuse, {"cameras", "stay empty"});
}

TEST(ChunkFindingsTest, TheHorizonIsNotThatOfTheTraining) {
  EditableCheckpoint checkpoint("pi0_odd");  // chunks of 6, of which 4 are executed
  write_file(checkpoint / "train_config.json", R"({"policy": {"chunk_size": 5}})");
  expect_finding(chunk_findings(checkpoint.open()), Severity::kWarning, {"6 steps", "with 5"});
  write_file(checkpoint / "train_config.json", R"({"policy": {"chunk_size": 3}})");
  expect_finding(chunk_findings(checkpoint.open()), Severity::kRefuse, {"4 are executed"});
  write_file(checkpoint / "train_config.json", R"({"policy": {"chunk_size": 6}})");
  expect_no_findings(chunk_findings(checkpoint.open()));
  write_file(checkpoint / "train_config.json", R"({"policy": {"chunk_size": "six"}})");
  expect_error(ErrorCode::kInvalidCheckpoint, {"chunk_size", "six"},
               [&] { chunk_findings(checkpoint.open()); });
}

}  // namespace
}  // namespace pi0
