#include "doctor/doctor.h"

#include <gtest/gtest.h>

#include "checkpoint/test_support.h"
#include "doctor/doctor_testing.h"

namespace pi0 {
namespace {

const std::filesystem::path kSource = PI0_SOURCE_DIR;

std::vector<std::filesystem::path> goldens() {
  std::vector<std::filesystem::path> directories{kSource / "examples/policy"};
  for (const char* family :
       {"testdata/golden", "testdata/golden_extra", "testdata/golden_releases"}) {
    for (const auto& entry : std::filesystem::directory_iterator(kSource / family)) {
      if (exists(entry.path() / "config.json")) directories.push_back(entry.path());
    }
  }
  return directories;
}

// No false alarm: what is warned of is what `pi0 info` warns of, with a reason and a way out.
void expect_in_order(const std::filesystem::path& checkpoint) {
  SCOPED_TRACE(checkpoint);
  CheckpointOptions options{.tokenizer = kGolden / "preprocess/tokenizer.model", .raw = true};
  CheckpointOverrides overrides;
  if (inspect_checkpoint(checkpoint).checkpoint.release_uncertain) {  // which is a finding
    options.lerobot_version = "0.5";
    overrides.lerobot_release = LerobotRelease::k0_5;
  }
  const Findings findings = examine(checkpoint, options, {.device = "reference"});
  EXPECT_EQ(count_of(findings, Severity::kRefuse), 0u) << to_text(findings);
  EXPECT_EQ(count_of(findings, Severity::kWarning),
            inspect_checkpoint(checkpoint, overrides).checkpoint.warnings.size())
      << to_text(findings);
  for (const Finding& finding : findings) {
    const bool advised = !finding.why.empty() && !finding.way_out.empty();
    EXPECT_EQ(advised, finding.severity != Severity::kOk) << to_text({finding});
  }
}

TEST(DoctorTest, NoGoldenTripsACheck) {
  EXPECT_GE(goldens().size(), 33u);
  for (const std::filesystem::path& golden : goldens()) expect_in_order(golden);
}

// As torch.compile and DDP name tensors.
TEST(DoctorTest, NoGoldenOfOtherNamesTripsACheck) {
  std::size_t renamed = 0;
  for (const std::filesystem::path& golden : goldens()) {
    if (!exists(golden / "model.safetensors")) continue;  // in shards, whose index has names too
    EditableCheckpoint checkpoint(relative(golden, kGolden).string());
    checkpoint.edit_tensors("model.safetensors", [&](std::vector<EditedTensor>& tensors) {
      for (EditedTensor& tensor : tensors) {
        if (tensor.name.find("normalize_") != std::string::npos) continue;  // lerobot 0.3's
        tensor.name.insert(tensor.name.starts_with("model.") ? 6 : 0, "_orig_mod.module.");
      }
    });
    ++renamed;
    SCOPED_TRACE(golden);
    expect_in_order(checkpoint.path());
  }
  EXPECT_GE(renamed, 32u);
}

// What info refuses a checkpoint for hides nothing of the rest.
TEST(DoctorTest, ChecksWhatItCan) {
  EditableCheckpoint checkpoint("pi0_tiny");
  write_file(checkpoint / "policy_preprocessor.json", "{");
  write_file(checkpoint / "train_config.json", "{");
  checkpoint.put_tensor("model.safetensors", float_tensor("model.action_out_proj.bias", {32},
                                                          std::vector<float>(32, std::nanf(""))));
  const Findings findings = examine(checkpoint.path(), {}, {.device = "reference"});
  expect_finding(findings, Severity::kRefuse, {"weights", "not finite"});
  const std::string text = to_text(findings);
  for (const char* words : {"refuse   policy_preprocessor.json: ", "warning  chunk: ",
                            "it could not be looked at", "doctor: refuses, for 3 reasons"}) {
    EXPECT_NE(text.find(words), std::string::npos) << words << " not in\n" << text;
  }
}

}  // namespace
}  // namespace pi0
