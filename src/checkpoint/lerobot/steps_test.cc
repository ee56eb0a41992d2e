// The steps of lerobot's policy_preprocessor.json and policy_postprocessor.json.

#include <gtest/gtest.h>

#include "checkpoint/lerobot/lerobot_testing.h"

namespace pi0 {
namespace {

// The steps of pi0_tiny: 0 rename, 1 batch, 2 new line, 3 tokenizer, 4 device, 5 relative,
// 6 normalizer; 0 unnormalizer, 1 absolute, 2 device.

TEST(LerobotSteps, AnUnknownStepIsRefusedByName) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set(kPre, "/steps/1/registry_name", "libero_processor");
  checkpoint.expect_refused(kUnsupported, {kPre, "step 1", "libero_processor", "not supported"});

  EditableCheckpoint of_a_class("pi0_tiny");
  of_a_class.set(kPost, "/steps/2", {{"class", "my.module.Clip"}});
  of_a_class.expect_refused(kUnsupported, {kPost, "step 2", "my.module.Clip"});

  EditableCheckpoint twice("pi0_tiny");
  twice.set(kPre, "/steps/1", Json{{"registry_name", "normalizer_processor"}});
  twice.expect_refused(kUnsupported, {kPre, "normalizer_processor", "twice"});
}

TEST(LerobotSteps, AFileOfAnotherFormIsRefused) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"{}", {"\"steps\" is missing"}},
      {"[]", {"an array", "an object"}},
      {R"({"steps": 1})", {"\"steps\" is 1", "an array"}},
      {R"({"steps": [1]})", {"step 0 is 1", "an object"}},
      {R"({"steps": [{}]})", {"step 0", "\"class\" is missing"}},
      {R"({"steps": [{"registry_name": 2}]})", {"step 0", "\"registry_name\" is 2"}},
      {R"({"steps": [{"registry_name": "tokenizer_processor", "config": {"max_length": "x"}}]})",
       {"tokenizer_processor", "\"max_length\" is \"x\""}},
      {R"({"steps": [{"registry_name": "rename_observations_processor",
                      "config": {"rename_map": {"a": 1}}}]})",
       {"rename_map", "\"a\" is 1"}},
  };
  for (const auto& [text, words] : cases) {
    EditableCheckpoint checkpoint("pi0_tiny");
    write_file(checkpoint / kPre, text);
    std::vector<std::string> all = words;
    all.push_back(kPre);
    checkpoint.expect_refused(kInvalid, all);
  }
}

TEST(LerobotSteps, TheTokenizersLengthGoesBeforeTheConfigurations) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set(kConfig, "/tokenizer_max_length", 99);
  EXPECT_EQ(checkpoint.open().model.max_tokens, 16);
  checkpoint.set(kPre, "/steps/3/config/max_length", 20);
  EXPECT_EQ(checkpoint.open().model.max_tokens, 20);
}

TEST(LerobotSteps, RenameMapIsRead) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set(kPre, "/steps/0/config/rename_map",
                 {{"joints", "observation.state"}, {"front", "observation.images.base_0_rgb"}});
  EXPECT_EQ(checkpoint.open().rename_map.at("joints"), "observation.state");
}

// ---- Relative actions ----

// lerobot 0.5.1's name of it, in every checkpoint that it saved.
TEST(LerobotSteps, RelativeActionsHaveAnOlderName) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set(kPre, "/steps/5/registry_name", "delta_actions_processor");
  EXPECT_TRUE(checkpoint.open().relative_actions.empty());
  checkpoint.set(kPre, "/steps/5/config/enabled", true);
  checkpoint.set(kPost, "/steps/1/config/enabled", true);
  EXPECT_EQ(checkpoint.open().relative_actions.size(), 14u);
}

TEST(LerobotSteps, SettingsThatAreNotKnownAreRefusedByName) {
  struct Case {
    const char* file;
    const char* pointer;
    Json value;
    std::vector<std::string> words;
  };
  const Case cases[] = {
      {kPre,
       "/steps/5/config/pose_representation",
       "se3",
       {"step 5 (relative_actions_processor)", "\"pose_representation\" (\"se3\")"}},
      {kPre, "/steps/0/config/other", 1, {"step 0", "\"other\" (1)", "only rename_map"}},
      {kPre, "/steps/1/config/size", 2, {"to_batch_processor", "\"size\""}},
      {kPre, "/steps/2/config/text", "x", {"pi0_new_line_processor", "\"text\""}},
      {kPre, "/steps/3/config/language", "x", {"tokenizer_processor", "\"language\""}},
      {kPre, "/steps/3/config/truncation", false, {"\"truncation\" is false"}},
      {kPre, "/steps/3/config/task_key", "goal", {"\"task_key\" is \"goal\""}},
      {kPre, "/steps/4/config/float_dtype", "bfloat16", {"\"float_dtype\" is \"bfloat16\""}},
      {kPre, "/steps/6/config/clip", 5, {"normalizer_processor", "\"clip\" (5)"}},
      {kPre,
       "/steps/6/config/features/observation.state/scale",
       2,
       {"features.observation.state", "\"scale\""}},
      {kPre, "/steps/6/when", "always", {"normalizer_processor", "\"when\""}},
      {kPost, "/steps/0/config/clip", 5, {"unnormalizer_processor", "\"clip\""}},
      {kPost, "/steps/1/config/mode", "se3", {"absolute_actions_processor", "\"mode\""}},
  };
  for (const Case& bad : cases) {
    EditableCheckpoint checkpoint("pi0_tiny");
    checkpoint.set(bad.file, bad.pointer, bad.value);
    std::vector<std::string> words = bad.words;
    words.push_back(bad.file);
    checkpoint.expect_refused(kUnsupported, words);
  }
  EditableCheckpoint padding("pi0_tiny");  // is masked, wherever it is
  padding.set(kPre, "/steps/3/config/padding", "longest");
  padding.set(kPre, "/steps/3/config/padding_side", "left");
  EXPECT_NO_THROW(padding.open());
}

TEST(LerobotSteps, ThePromptIsWhatTheyMakeOfIt) {
  const auto erase = [](EditableCheckpoint& checkpoint, const char* name) {
    checkpoint.edit_json(kPre, [&](Json& json) {
      Json& steps = json["steps"];
      for (std::size_t i = 0; i < steps.size(); ++i) {
        if (steps[i]["registry_name"] == name) return steps.erase(i), void();
      }
      FAIL() << name;
    });
  };
  EditableCheckpoint pi0("pi0_tiny"), pi05("pi05_tiny");
  EXPECT_EQ(pi0.open().prompt_format, PromptFormat::kPi0);
  EXPECT_EQ(pi05.open().prompt_format, PromptFormat::kPi05);
  erase(pi0, "pi0_new_line_processor");
  erase(pi05, "pi05_prepare_state_tokenizer_processor_step");
  EXPECT_EQ(pi0.open().prompt_format, PromptFormat::kBare);
  EXPECT_EQ(pi05.open().prompt_format, PromptFormat::kBare);
  CheckpointOverrides asked;
  asked.prompt_format = PromptFormat::kPi05;
  EXPECT_EQ(pi05.open(asked).prompt_format, PromptFormat::kPi05);
}

TEST(LerobotSteps, OrderCounts) {
  const auto moved = [](const char* golden, const char* name, std::size_t to) {
    EditableCheckpoint checkpoint(golden);
    checkpoint.edit_json(kPre, [&](Json& json) {
      auto& steps = json["steps"].get_ref<Json::array_t&>();
      const auto at = std::find_if(steps.begin(), steps.end(),
                                   [&](const Json& s) { return s["registry_name"] == name; });
      Json step = *at;
      steps.erase(at);
      steps.insert(steps.begin() + static_cast<std::ptrdiff_t>(std::min(to, steps.size())), step);
    });
    checkpoint.expect_refused(kUnsupported, {kPre, name, "comes after", "expected before it"});
  };
  moved("pi0_tiny", "pi0_new_line_processor", 9);
  moved("pi0_tiny", "rename_observations_processor", 9);
  moved("pi05_tiny", "pi05_prepare_state_tokenizer_processor_step", 9);
  moved("pi05_tiny", "normalizer_processor", 9);
}

}  // namespace
}  // namespace pi0
