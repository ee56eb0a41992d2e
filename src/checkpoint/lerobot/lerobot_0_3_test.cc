// lerobot 0.3: no processors, statistics among the weights.

#include <gtest/gtest.h>

#include "checkpoint/lerobot/lerobot_testing.h"

namespace pi0 {
namespace {

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

}  // namespace
}  // namespace pi0
