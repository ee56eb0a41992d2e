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

TEST(ReadinessFindingsTest, TheReleaseThatTrainedItIsAsked) {
  EditableCheckpoint checkpoint("pi05_tiny");
  checkpoint.edit_json("config.json", [](Json& json) { json.erase("use_relative_actions"); });
  checkpoint.edit_json(kPreprocessor, [](Json& json) {
    Json& steps = json["steps"];
    for (std::size_t i = 0; i < steps.size(); ++i) {
      if (steps[i]["registry_name"] == "relative_actions_processor") steps.erase(i);
    }
  });
  const Findings findings = readiness(checkpoint);
  ASSERT_EQ(count_of(findings, Severity::kWarning), 1u) << to_text(findings);
  EXPECT_NE(findings[0].found.find("--lerobot-version"), std::string::npos) << findings[0].found;
}

TEST(TensorFindingsTest, AdaptersThatNobodyApplies) {
  EditableCheckpoint checkpoint("pi0_tiny");
  const std::string name =
      "model.paligemma_with_expert.gemma_expert.model.layers.0.self_attn.q_proj.lora_A.weight";
  checkpoint.put_tensor("model.safetensors", float_tensor(name, {1, 2}, {0.5f, 0.25f}));
  expect_finding(tensor_findings(inspect_checkpoint(checkpoint.path()).tensors), Severity::kRefuse,
                 {"adapters", "q_proj.lora_A"});
}

TEST(TensorFindingsTest, LayersBeyondTheConfigurations) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.edit_json("config.json", [](Json& json) {
    for (const char* part : {"language", "expert"}) {
      Json& depth = json["architecture"][part]["depth"];
      depth = depth.get<int>() - 1;
    }
  });
  expect_finding(tensor_findings(inspect_checkpoint(checkpoint.path()).tensors), Severity::kWarning,
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
