// Statistics of lerobot's processors, as its normalizer steps use them.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "checkpoint/lerobot/lerobot_testing.h"

namespace pi0 {
namespace {

TEST(LerobotStatistics, AllModesTakeTheirOwn) {
  const std::pair<const char*, NormalizationMode> modes[] = {
      {"MEAN_STD", NormalizationMode::kMeanStd},
      {"MIN_MAX", NormalizationMode::kMinMax},
      {"QUANTILES", NormalizationMode::kQuantiles},
      {"QUANTILE10", NormalizationMode::kQuantile10}};
  const char* names[][2] = {{"mean", "std"}, {"min", "max"}, {"q01", "q99"}, {"q10", "q90"}};
  for (int i = 0; i < 4; ++i) {
    EditableCheckpoint checkpoint("pi0_odd");
    checkpoint.set(kPre, "/steps/6/config/norm_map/STATE", modes[i].first);
    for (int half = 0; half < 2; ++half) {
      const float base = 10.0f * static_cast<float>(i) + static_cast<float>(half);
      std::vector<float> values(9, base);
      values[8] = base + 0.5f;
      checkpoint.put_tensor(
          kPreStatistics,
          float_tensor(std::string("observation.state.") + names[i][half], {9}, values));
    }
    const Normalization state = checkpoint.open().state;
    EXPECT_EQ(state.mode, modes[i].second);
    EXPECT_EQ(state.first[0], 10.0 * i);
    EXPECT_EQ(state.second[8], 10.0 * i + 1.5);
  }
  EditableCheckpoint identity("pi0_odd");
  identity.set(kPre, "/steps/6/config/norm_map/STATE", "IDENTITY");
  const CheckpointData opened = identity.open();
  EXPECT_EQ(opened.state.mode, NormalizationMode::kIdentity);
  EXPECT_TRUE(opened.state.first.empty());
  EXPECT_TRUE(opened.has_statistics);
  EXPECT_EQ(opened.action.mode, NormalizationMode::kQuantile10);

  identity.set(kPre, "/steps/6/config/norm_map/STATE", "MEANSTD");
  identity.expect_refused(kInvalid, {kPre, "\"STATE\" is \"MEANSTD\"", "QUANTILE10"});
}

TEST(LerobotStatistics, EachSideHasItsOwnStep) {
  EditableCheckpoint checkpoint("pi0_odd");
  checkpoint.set(kPost, "/steps/0/config/eps", 0.5);
  checkpoint.set(kPost, "/steps/0/config/norm_map/ACTION", "MEAN_STD");
  // In the preprocessor's file the action's statistics are for training.
  checkpoint.put_tensor(kPreStatistics, float_tensor("action.mean", {7}, std::vector<float>(7, 9)));
  checkpoint.put_tensor(kPostStatistics,
                        float_tensor("action.mean", {7}, std::vector<float>(7, 3)));
  const CheckpointData opened = checkpoint.open();
  EXPECT_EQ(opened.state.eps, 1e-8);
  EXPECT_EQ(opened.action.eps, 0.5);
  EXPECT_EQ(opened.action.mode, NormalizationMode::kMeanStd);
  EXPECT_EQ(opened.action.first[6], 3.0);
}

TEST(LerobotStatistics, ANegativeStdIsRefused) {
  EditableCheckpoint checkpoint("pi0_tiny");
  std::vector<float> deviations(static_cast<std::size_t>(checkpoint.open().state_dims), 1);
  deviations[2] = -1;
  const auto dims = static_cast<std::int64_t>(deviations.size());
  checkpoint.put_tensor(kPreStatistics, float_tensor("observation.state.std", {dims}, deviations));
  checkpoint.expect_refused(kInvalid, {"observation.state.std is -1 in dimension 2"});
}

TEST(LerobotStatistics, OtherFloatTypesAreConverted) {
  EditableCheckpoint checkpoint("pi0_odd");
  checkpoint.put_tensor(kPreStatistics,
                        {"observation.state.min", "BF16", {1}, std::string("\xc0\xbf")});  // -1.5
  const double tenth = 0.1;
  checkpoint.put_tensor(
      kPreStatistics,
      {"observation.state.max", "F64", {1}, {reinterpret_cast<const char*>(&tenth), 8}});
  const Normalization state = checkpoint.open().state;
  EXPECT_EQ(state.first, std::vector<double>(9, -1.5));
  EXPECT_EQ(state.second, std::vector<double>(9, 0.1f));  // lerobot keeps float32
  checkpoint.put_tensor(kPreStatistics,
                        {"observation.state.max", "BOOL", {1}, std::string(1, '\1')});
  checkpoint.expect_refused(kInvalid, {kPreStatistics, "observation.state.max", "BOOL"});
}

TEST(LerobotStatistics, OfAnotherLengthAreRefused) {
  for (const int length : {8, 10, 0}) {
    EditableCheckpoint checkpoint("pi0_odd");
    checkpoint.put_tensor(kPreStatistics, float_tensor("observation.state.max", {length},
                                                       std::vector<float>(length, 1)));
    checkpoint.expect_refused(kInvalid, {kPreStatistics, "observation.state.max",
                                         shape_text(Shape{length}), "9 dimensions"});
  }
  EditableCheckpoint checkpoint("pi0_odd");
  checkpoint.put_tensor(kPostStatistics,
                        float_tensor("action.q10", {7, 1}, std::vector<float>(7, 0)));
  checkpoint.expect_refused(kInvalid, {kPostStatistics, "action.q10", "[7, 1]"});
  checkpoint.put_tensor(kPostStatistics,
                        float_tensor("action.q10", {1, 7}, std::vector<float>(7, 0)));
  EXPECT_EQ(checkpoint.open().action.first, std::vector<double>(7, 0.0));
  checkpoint.put_tensor(kPostStatistics, float_tensor("action.q10", {}, {0.25f}));
  EXPECT_EQ(checkpoint.open().action.first, std::vector<double>(7, 0.25));
}

// A policy that was trained from another one keeps that one's input features.
TEST(LerobotStatistics, SayHowLongTheStateIs) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set(kConfig, "/input_features/observation.state/shape", {32});
  checkpoint.set(kPre, "/steps/6/config/features/observation.state/shape", {32});
  EXPECT_EQ(checkpoint.open().state_dims, 14);
  EXPECT_EQ(checkpoint.open().state.first.size(), 14u);
  // The base may be of a robot with fewer: lerobot's normaliser asks for no length, and the network
  // takes max_state_dim.
  const auto put = [&checkpoint](int length) {
    for (const char* statistic : {"mean", "std", "min", "max", "q01", "q99"}) {
      checkpoint.put_tensor(kPreStatistics,
                            float_tensor(std::string("observation.state.") + statistic, {length},
                                         std::vector<float>(static_cast<std::size_t>(length), 1)));
    }
  };
  checkpoint.set(kConfig, "/input_features/observation.state/shape", {6});
  EXPECT_EQ(checkpoint.open().state_dims, 14);
  EXPECT_EQ(checkpoint.open().state.first.size(), 14u);
  put(33);
  checkpoint.expect_refused(kInvalid, {"observation.state", "[33]", "6 dimensions"});
  checkpoint.set(kConfig, "/input_features/observation.state/shape", {32});
  // A robot of one joint; but one number is for all of a state that has its own length.
  put(1);
  EXPECT_EQ(checkpoint.open().state_dims, 1);
  checkpoint.set(kConfig, "/input_features/observation.state/shape", {14});
  EXPECT_EQ(checkpoint.open().state_dims, 14);
  checkpoint.set(kConfig, "/input_features/observation.state/shape", {32});
  // Without them the configuration says it.
  checkpoint.edit_json(kPre, [](Json& json) { json["steps"][6].erase("state_file"); });
  EXPECT_EQ(checkpoint.open().state_dims, 32);

  EditableCheckpoint prompted("pi05_tiny");  // whose prompt takes a state of any length
  const int dims = prompted.open().state_dims;
  prompted.set(kConfig, "/input_features/observation.state/shape", {dims - 1});
  EXPECT_EQ(prompted.open().state_dims, dims);
}

TEST(LerobotStatistics, MayBeIntegers) {
  EditableCheckpoint checkpoint("pi0_odd");
  std::string bytes;
  for (std::int64_t i = 1; i <= 9; ++i) bytes.append(reinterpret_cast<const char*>(&i), sizeof i);
  checkpoint.put_tensor(kPreStatistics, {"observation.state.max", "I64", {9}, bytes});
  EXPECT_EQ(checkpoint.open().state.second, (std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(LerobotStatistics, OfTheModeMustBeThere) {
  EditableCheckpoint checkpoint("pi0_odd");
  checkpoint.erase_tensor(kPostStatistics, "action.q90");
  checkpoint.expect_refused(kInvalid, {kPostStatistics, "action.q90 is missing", "QUANTILE10"});
}

TEST(LerobotStatistics, NonFiniteNumbersAreRefused) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    EditableCheckpoint checkpoint("pi0_odd");
    std::vector<float> values(9, 1);
    values[4] = bad;
    checkpoint.put_tensor(kPreStatistics, float_tensor("observation.state.max", {9}, values));
    checkpoint.expect_refused(kInvalid, {kPreStatistics, "observation.state.max[4]", "finite"});
    // Not used by this mode.
    EditableCheckpoint unused("pi0_odd");
    unused.put_tensor(kPreStatistics, float_tensor("observation.state.mean", {9}, values));
    EXPECT_NO_THROW(unused.open());
  }
}

TEST(LerobotStatistics, AnEmptyRangeAndAZeroStdAreWarnedAbout) {
  EditableCheckpoint checkpoint("pi0_odd");
  std::vector<float> low(9, 0), high(9, 1);
  low[2] = high[2];
  low[5] = high[5];
  checkpoint.put_tensor(kPreStatistics, float_tensor("observation.state.min", {9}, low));
  checkpoint.put_tensor(kPreStatistics, float_tensor("observation.state.max", {9}, high));
  checkpoint.set(kPost, "/steps/0/config/norm_map/ACTION", "MEAN_STD");
  std::vector<float> std_values(7, 1);
  std_values[6] = 0;
  checkpoint.put_tensor(kPostStatistics, float_tensor("action.std", {7}, std_values));
  const CheckpointData opened = checkpoint.open();
  EXPECT_TRUE(opened.has_statistics);
  ASSERT_EQ(opened.warnings.size(), 2u);
  for (const char* word : {"observation.state", "empty range", "dimension 2, 5"}) {
    EXPECT_NE(opened.warnings[0].find(word), std::string::npos) << opened.warnings[0];
  }
  for (const char* word : {"action", "std of 0", "dimension 6"}) {
    EXPECT_NE(opened.warnings[1].find(word), std::string::npos) << opened.warnings[1];
  }
}

TEST(LerobotStatistics, AbsentOnesAreMissed) {
  // No state file: as lerobot's base models are published.
  EditableCheckpoint no_file("pi0_tiny");
  no_file.edit_json(kPre, [](Json& json) { json["steps"][6].erase("state_file"); });
  const CheckpointData without_state = no_file.open();
  EXPECT_FALSE(without_state.has_statistics);
  EXPECT_EQ(without_state.state.mode, NormalizationMode::kIdentity);
  EXPECT_EQ(without_state.action.mode, NormalizationMode::kMeanStd);
  EXPECT_NE(without_state.statistics_missing.find("no statistics of observation.state"),
            std::string::npos);

  // A file without that feature.
  EditableCheckpoint no_action("pi0_tiny");
  no_action.edit_tensors(kPostStatistics, [](std::vector<EditedTensor>& tensors) {
    std::erase_if(tensors,
                  [](const EditedTensor& tensor) { return tensor.name.starts_with("action."); });
  });
  EXPECT_FALSE(no_action.open().has_statistics);
  const std::string missing = no_action.open().statistics_missing;
  for (const char* word :
       {kPostStatistics, "no statistics of action, only of", "observation.state"}) {
    EXPECT_NE(missing.find(word), std::string::npos) << missing;
  }

  // No step.
  EditableCheckpoint no_step("pi0_tiny");
  no_step.edit_json(kPre, [](Json& json) { json["steps"].erase(6); });
  EXPECT_FALSE(no_step.open().has_statistics);

  // No postprocessor.
  EditableCheckpoint no_post("pi0_tiny");
  std::filesystem::remove(no_post / kPost);
  EXPECT_FALSE(no_post.open().has_statistics);
  EXPECT_EQ(no_post.open().state.mode, NormalizationMode::kMeanStd);
}

TEST(LerobotStatistics, AreNotNeededForIdentity) {
  EditableCheckpoint checkpoint("pi0_tiny_224");
  EXPECT_FALSE(checkpoint.open().has_statistics);
  checkpoint.set(kConfig, "/normalization_mapping",
                 {{"STATE", "IDENTITY"}, {"ACTION", "IDENTITY"}});
  const CheckpointData opened = checkpoint.open();
  EXPECT_TRUE(opened.has_statistics);
  EXPECT_TRUE(opened.warnings.empty());
}

TEST(LerobotStatistics, OnlyListedObservationsAreNormalised) {
  EditableCheckpoint keys("pi0_tiny");
  keys.set(kPre, "/steps/6/config/normalize_observation_keys", {"observation.other"});
  const CheckpointData opened = keys.open();
  EXPECT_EQ(opened.state.mode, NormalizationMode::kIdentity);
  EXPECT_TRUE(opened.has_statistics);
  keys.set(kPre, "/steps/6/config/normalize_observation_keys", {"observation.state"});
  EXPECT_EQ(keys.open().state.mode, NormalizationMode::kMeanStd);

  EditableCheckpoint features("pi0_tiny");
  features.edit_json(
      kPre, [](Json& json) { json["steps"][6]["config"]["features"].erase("observation.state"); });
  EXPECT_EQ(features.open().state.mode, NormalizationMode::kIdentity);
  EXPECT_EQ(features.open().warnings.size(), 1u);
}

TEST(LerobotStatistics, OfCamerasAreForTheirChannels) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set(kPre, "/steps/6/config/norm_map/VISUAL", "MEAN_STD");
  const CheckpointData without = checkpoint.open();
  EXPECT_TRUE(without.has_statistics);
  EXPECT_EQ(without.warnings.size(), 3u);  // one a camera
  const std::string camera = "observation.images.left_wrist_0_rgb";
  checkpoint.put_tensor(kPreStatistics, float_tensor(camera + ".mean", {3, 1, 1}, {1, 2, 3}));
  checkpoint.put_tensor(kPreStatistics, float_tensor(camera + ".std", {3}, {4, 5, 6}));
  const CheckpointData opened = checkpoint.open();
  EXPECT_EQ(opened.cameras[0].normalization.mode, NormalizationMode::kIdentity);
  EXPECT_EQ(opened.cameras[1].normalization.mode, NormalizationMode::kMeanStd);
  EXPECT_EQ(opened.cameras[1].normalization.first, (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(opened.cameras[1].normalization.second, (std::vector<double>{4, 5, 6}));
  for (const std::vector<std::int64_t>& shape :
       std::vector<std::vector<std::int64_t>>{{1, 1, 3}, {1, 3}, {3, 1}}) {
    checkpoint.put_tensor(kPreStatistics, float_tensor(camera + ".mean", shape, {1, 2, 3}));
    checkpoint.expect_refused(kInvalid, {camera + ".mean", "3 channels"});
  }
}

TEST(LerobotStatistics, TheFileMustBeThereAndBesideTheOthers) {
  EditableCheckpoint checkpoint("pi0_tiny");
  std::filesystem::remove(checkpoint / kPreStatistics);
  checkpoint.expect_refused(ErrorCode::kIo, {kPreStatistics, "No such file"});
  checkpoint.set(kPre, "/steps/6/state_file", "../statistics.safetensors");
  checkpoint.expect_refused(kInvalid, {kPre, "state_file", "../statistics.safetensors"});
  checkpoint.set(kPre, "/steps/6/state_file", 3);
  checkpoint.expect_refused(kInvalid, {kPre, "\"state_file\" is 3"});
  checkpoint.set(kPre, "/steps/6/config/stats", {{"action", {{"mean", {1}}}}});
  checkpoint.expect_refused(kUnsupported, {kPre, "\"stats\""});
}

}  // namespace
}  // namespace pi0
