#include "doctor/sample_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "doctor/doctor.h"
#include "doctor/doctor_testing.h"
#include "doctor/sample_testing.h"

namespace pi0 {
namespace {

const DeviceOptions kFp32{.device = "cpu", .dtype = "fp32", .threads = 1};

// What came of the same formula in NumPy, from what PyTorch predicted (`actions` beside
// `expert_actions`).
TEST(PredictionErrorsTest, AreThoseOfPyTorchsPredictions) {
  const Policy policy = Policy::load(kTrained, kFp32);
  std::vector<std::string> warnings;
  const auto errors = prediction_errors(policy, recorded_sample(), {}, warnings);
  ASSERT_EQ(errors.size(), 4u);
  EXPECT_EQ(errors[0].name, "the policy");
  EXPECT_NEAR(errors[0].error, 0.4953909, 1e-4);
  EXPECT_EQ(errors[1].name, "the mean action");
  EXPECT_NEAR(errors[1].error, 1, 1e-6);
  EXPECT_EQ(errors[2].name, "holding still (the state)");
  EXPECT_NEAR(errors[2].error, 1.2014002, 1e-6);
  EXPECT_EQ(errors[3].name, "no action (zeros)");
  EXPECT_NEAR(errors[3].error, 1.0371447, 1e-6);
  EXPECT_TRUE(warnings.empty()) << warnings.front();
}

TEST(PredictionErrorsTest, LeaveOutWhatDoesNotChange) {
  DataSample sample = recorded_sample();
  for (Moment& moment : sample.moments) {
    for (std::size_t i = 3; i < moment.actions.size(); i += 4) moment.actions[i] = 0.3f;
  }
  std::vector<std::string> warnings;
  const auto errors = prediction_errors(Policy::load(kTrained, kFp32), sample, {}, warnings);
  EXPECT_LT(errors[0].error, 0.8);
  EXPECT_NEAR(errors[1].error, 1, 1e-6);
}

TEST(SampleFindingsTest, ATrainedPolicyPredictsItsOwnData) {
  const TemporaryDirectory directory;
  SampleFile().write(directory / "own.safetensors");
  const OwnData data{.recording = kTrained / "recorded.safetensors",
                     .data_sample = directory / "own.safetensors"};
  const Findings findings = examine(kTrained, {}, kFp32, data);
  expect_no_findings(findings);
  EXPECT_EQ(std::count_if(findings.begin(), findings.end(),
                          [](const Finding& one) { return one.subject == "predictions"; }),
            2);
}

// What another task's actions are to the policy: it has not learned these.
TEST(SampleFindingsTest, OtherActionsAreNotPredicted) {
  DataSample sample = recorded_sample();
  std::vector<Moment>& moments = sample.moments;
  for (std::size_t i = 0; i < 3; ++i) {
    std::swap(moments[i].actions, moments[i + 3].actions);
    std::swap(moments[i].actions, moments[i + 6].actions);
  }
  expect_finding(sample_findings(Policy::load(kTrained, kFp32), sample, {}), Severity::kRefuse,
                 {"predictions", "off by 1.5", "over 9 observations"});
}

// Image and prompt still tell it something.
TEST(SampleFindingsTest, StatesOfOtherMomentsAreWarnedAbout) {
  DataSample sample = recorded_sample();
  std::vector<std::vector<float>> states;
  for (const Moment& moment : sample.moments) states.push_back(moment.observation.state);
  for (std::size_t i = 0; i < 9; ++i) sample.moments[i].observation.state = states[(i + 3) % 9];
  const Findings findings = sample_findings(Policy::load(kTrained, kFp32), sample, {});
  expect_finding(findings, Severity::kWarning, {"predictions", "off by 0.9"});
  EXPECT_NE(findings.front().why.find("hardly better"), std::string::npos);
}

// As trained, each tensor's values in another order: of the same size, and nothing learned.
TEST(SampleFindingsTest, RandomWeightsPredictNothing) {
  EditableCheckpoint checkpoint("pi0_tiny");
  std::filesystem::copy(
      kTrained, checkpoint.path(),
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  checkpoint.edit_tensors("model.safetensors", [](std::vector<EditedTensor>& tensors) {
    std::mt19937 generator(1);
    for (EditedTensor& tensor : tensors) {
      auto* values = reinterpret_cast<std::uint16_t*>(tensor.bytes.data());
      std::shuffle(values, values + tensor.bytes.size() / 2, generator);
    }
  });
  const Findings findings =
      sample_findings(Policy::load(checkpoint.path(), kFp32), recorded_sample(), {});
  expect_finding(findings, Severity::kRefuse, {"predictions", "the mean action 1.00"});
  EXPECT_NE(findings.front().why.find("no better than the mean action"), std::string::npos)
      << findings.front().why;
}

// A state in other units: what each call warns of is said once.
TEST(SampleFindingsTest, WarningsOfTheCallsAreSaid) {
  DataSample sample = recorded_sample();
  for (Moment& moment : sample.moments) moment.observation.state[1] *= 1000;
  const Findings findings = sample_findings(Policy::load(kTrained, kFp32), sample, {});
  expect_finding(findings, Severity::kWarning, {"predictions", "value 1 is"});
  EXPECT_EQ(count_of(findings, Severity::kWarning), 1u) << to_text(findings);
}

TEST(SampleFindingsTest, WhatDoesNotFitThePolicyIsRefused) {
  const TemporaryDirectory directory;
  const OwnData data{.data_sample = directory / "own.safetensors"};
  const auto expect_refused = [&](const SampleFile& file, const std::vector<std::string>& words) {
    file.write(data.data_sample);
    expect_error(ErrorCode::kInvalidInput, words, [&] { examine(kTrained, {}, kFp32, data); });
  };
  SampleFile file;
  file.put(float_tensor("actions", {9, 16, 3}, std::vector<float>(9 * 16 * 3)));
  expect_refused(file, {"own.safetensors", "3 dimensions", "have 4"});
  file.put(float_tensor("actions", {9, 16, 4}, std::vector<float>(9 * 16 * 4)));
  expect_refused(file, {"own.safetensors", "the same in every step"});
  file = SampleFile();
  EditedTensor image = file.tensors.at("image.base_0_rgb");
  file.tensors.erase("image.base_0_rgb");
  image.name = "image.wrist";
  file.put(image);
  expect_refused(file, {"own.safetensors", "wrist", "base_0_rgb"});
  file = SampleFile();
  file.put(float_tensor("state", {9, 7}, std::vector<float>(9 * 7)));
  expect_refused(file, {"own.safetensors", "state"});
}

// Nothing can be predicted by a checkpoint that would be refused; the rest is said all the same.
TEST(SampleFindingsTest, ACheckpointThatIsRefusedPredictsNothing) {
  const OwnData data{.recording = kTrained / "recorded.safetensors"};
  const Findings findings = examine(kTrained, {.resize = "bicubic"}, kFp32, data);
  EXPECT_EQ(count_of(findings, Severity::kRefuse), 1u) << to_text(findings);
  EXPECT_EQ(findings.back().subject, "predictions");
  EXPECT_NE(findings.back().why.find("could not be looked at"), std::string::npos);
}

}  // namespace
}  // namespace pi0
