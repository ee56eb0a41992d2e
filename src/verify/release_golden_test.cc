// What each release of lerobot saved, run unchanged, against that release's own actions
// (testdata/golden_releases).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <string>
#include <vector>

#include "pi0/error.h"
#include "runtime/loaded_network.h"
#include "verify/verify.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

const fs::path kTestdata = fs::path(PI0_SOURCE_DIR) / "testdata";

std::vector<std::string> release_goldens() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kTestdata / "golden_releases")) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// "pi05_0.4.2" was written by a release whose files do not say what it did.
bool must_be_said(const std::string& name) { return name.find("_0.4.") != std::string::npos; }

// Every stage of every case, with the release said as `version`.
std::vector<StageResult> stages_of(const std::string& name, const DeviceOptions& device,
                                   const std::string& version) {
  const fs::path directory = kTestdata / "golden_releases" / name;
  const CheckpointData checkpoint = open_checkpoint(directory);
  const Network network = load_network(checkpoint, device);
  const PyTorchRecording recording = read_recording(directory / "policy.safetensors", checkpoint);
  RecordedPipelines pipelines(
      directory,
      {.tokenizer = kTestdata / "golden/preprocess/tokenizer.model", .lerobot_version = version});
  std::vector<StageResult> stages;
  for (const RecordedCase& one : recording.cases) {
    const Verification verification =
        verify_case(network, one, recording.where, pipelines, VerifyOptions());
    stages.insert(stages.end(), verification.stages.begin(), verification.stages.end());
  }
  EXPECT_EQ(stages.size(), 8u) << "two cases of four";
  return stages;
}

double largest_of_actions(const std::vector<StageResult>& stages) {
  double largest = 0;
  for (const StageResult& stage : stages) {
    if (stage.stage.ends_with(".actions")) largest = std::max(largest, stage.largest_difference);
  }
  return largest;
}

class ReleaseGolden : public testing::TestWithParam<std::string> {};

TEST_P(ReleaseGolden, RunsUnchangedWithinTheTolerance) {
  const std::string version = must_be_said(GetParam()) ? "0.4" : "";
  for (const char* device : {"reference", "cpu"}) {
    SCOPED_TRACE(device);
    DeviceOptions options;
    options.device = device;
    if (options.device == "cpu") options.dtype = "fp32";
    const std::vector<StageResult> stages = stages_of(GetParam(), options, version);
    for (const StageResult& stage : stages) {
      EXPECT_TRUE(stage.passed()) << stage.stage << ": " << stage.largest_difference << ", allowed "
                                  << stage.tolerance;
    }
    const double largest = largest_of_actions(stages);
    EXPECT_LT(largest, 1e-4);
    RecordProperty(std::string("largest_on_") + device, fmt::format("{:.1e}", largest));
  }
  if (!version.empty()) {
    DeviceOptions reference;
    reference.device = "reference";
    EXPECT_GT(largest_of_actions(stages_of(GetParam(), reference, "0.5")), 0.1);
  }
}

INSTANTIATE_TEST_SUITE_P(All, ReleaseGolden, testing::ValuesIn(release_goldens()),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return !std::isalnum(c); },
                               '_');
                           return name;
                         });

// None is lost: ten releases of π0, nine of π0.5, and the four others that README.md names.
TEST(ReleaseGoldens, AreAllThere) { EXPECT_EQ(release_goldens().size(), 23u); }

}  // namespace
}  // namespace pi0
