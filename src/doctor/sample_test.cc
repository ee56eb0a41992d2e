#include "doctor/sample.h"

#include <gtest/gtest.h>

#include <cmath>

#include "doctor/sample_testing.h"

namespace pi0 {
namespace {

class DataSampleTest : public testing::Test {
 protected:
  DataSample read() const {
    file.write(directory / "sample.safetensors");
    return read_data_sample(directory / "sample.safetensors");
  }
  void expect_refused(const std::vector<std::string>& words) const {
    expect_error(ErrorCode::kInvalidInput, words, [&] { read(); });
  }
  TemporaryDirectory directory;
  SampleFile file;
};

TEST_F(DataSampleTest, IsWhatWasWritten) {
  const DataSample read_back = read(), recorded = recorded_sample();
  EXPECT_EQ(read_back.dims, 4);
  ASSERT_EQ(read_back.moments.size(), 9u);
  for (std::size_t i = 0; i < 9; ++i) {
    const Observation& seen = read_back.moments[i].observation;
    EXPECT_EQ(seen.state, recorded.moments[i].observation.state);
    EXPECT_EQ(seen.images, recorded.moments[i].observation.images);
    EXPECT_EQ(seen.prompt, recorded.moments[i].observation.prompt);
    EXPECT_EQ(read_back.moments[i].actions, recorded.moments[i].actions);
    EXPECT_TRUE(read_back.moments[i].noise.empty());
  }
}

TEST_F(DataSampleTest, OnePromptIsEveryMoments) {
  file.metadata = {{"prompt", "go"}};
  for (const Moment& moment : read().moments) EXPECT_EQ(moment.observation.prompt, "go");
}

TEST_F(DataSampleTest, WhatDoesNotFitIsRefused) {
  const SampleFile whole = file;
  for (const char* name : {"state", "actions", "image.base_0_rgb"}) {
    file = whole;
    file.tensors.erase(name);
    expect_refused({"sample.safetensors", name[0] == 'i' ? "image.CAMERA" : name});
  }
  file = whole;
  file.metadata.clear();
  expect_refused({"prompt"});
  file.metadata["prompts"] = R"(["one"])";
  expect_refused({"9 texts"});
  file.metadata["prompts"] = "[1, 2]";
  expect_refused({"expected texts"});
  file = whole;
  file.put(float_tensor("state", {2, 4}, std::vector<float>(8)));
  expect_refused({"state has 2 rows, expected 9"});
  file.put(float_tensor("state", {36}, std::vector<float>(36)));
  expect_refused({"state is F32 [36]", "[observations, dims]"});
  file = whole;
  file.put({"image.base_0_rgb", "U8", {1, 2, 2, 3}, std::string(12, 'x')});
  expect_refused({"image.base_0_rgb", "[1, 2, 2, 3]", "[9, height, width, 3]"});
  file.put({"image.base_0_rgb", "U8", {9, 2, 2, 1}, std::string(36, 'x')});
  expect_refused({"[9, 2, 2, 1]"});
  file.put(float_tensor("actions", {5000, 1, 1}, std::vector<float>(5000)));
  expect_refused({"[5000, 1, 1]", "at most 4096 observations"});
  file = whole;
  std::vector<float> actions(9 * 16 * 4);
  actions[7] = std::nanf("");
  file.put(float_tensor("actions", {9, 16, 4}, actions));
  expect_refused({"value 7 of actions is nan"});
}

TEST(SampleOfRecordingTest, NeedsActionsThatFollowed) {
  const CheckpointData checkpoint = open_checkpoint(kGolden / "pi0_tiny");
  expect_error(
      ErrorCode::kInvalidInput, {"policy.safetensors", "expert_actions", "pi0 verify"},
      [&] { sample_of(read_recording(kGolden / "pi0_tiny/policy.safetensors", checkpoint)); });
  PyTorchRecording recording =
      read_recording(kTrained / "recorded.safetensors", open_checkpoint(kTrained));
  ASSERT_EQ(recording.cases.size(), 9u);
  recording.cases[3].results["expert_actions"].shape = {8, 8};
  expect_error(ErrorCode::kInvalidInput, {"open_the_drawer.0.expert_actions", "[8, 8]"},
               [&] { sample_of(recording); });
  recording.cases[3].results.erase("expert_actions");
  EXPECT_EQ(sample_of(recording).moments.size(), 8u);
  recording.cases[4].options.delta_mask = "3";
  expect_error(ErrorCode::kInvalidInput, {"open_the_drawer.1", "options of its own"},
               [&] { sample_of(recording); });
}

}  // namespace
}  // namespace pi0
