// Statistics that are named (--norm-stats), in each form that the two libraries write.
#include "checkpoint/form/statistics.h"

#include <gtest/gtest.h>

#include "checkpoint/test_support.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

constexpr auto kInvalid = ErrorCode::kInvalidCheckpoint;
const fs::path kOfLerobot = kGolden /
                            "pi0_tiny/policy_preprocessor_step_6_normalizer_processor"
                            ".safetensors";
const fs::path kOfOpenpi = kGolden / "openpi_pi0/assets/my_robot/norm_stats.json";

class NamedStatistics : public testing::Test {
 protected:
  CheckpointOverrides named(const Json& json) const {
    write_file(file, json.dump());
    return {.norm_stats = file};
  }

  TemporaryDirectory directory;
  fs::path file = directory / "stats.json";
};

// lerobot's JSON form of what its processors have as tensors.
Json json_of(const Statistics& statistics) {
  Json json = Json::object();
  for (const auto& [name, statistic] : statistics.values) {
    json[feature_of(name)][name.substr(name.rfind('.') + 1)] = statistic.values;
  }
  return json;
}

TEST_F(NamedStatistics, OfLerobotTakeThePlaceOfItsOwn) {
  EditableCheckpoint checkpoint("pi0_tiny");
  const CheckpointData own = checkpoint.open();
  // Saved without any, as a base model is.
  for (const char* name : {"policy_preprocessor.json", "policy_postprocessor.json"}) {
    checkpoint.edit_json(name, [](Json& json) {
      for (Json& step : json["steps"]) step.erase("state_file");
    });
  }
  ASSERT_FALSE(checkpoint.open().has_statistics);
  for (const bool json : {false, true}) {
    const CheckpointOverrides options = json ? named(json_of(read_statistics(kOfLerobot)))
                                             : CheckpointOverrides{.norm_stats = kOfLerobot};
    const CheckpointData opened = checkpoint.open(options);
    EXPECT_TRUE(opened.has_statistics);
    EXPECT_EQ(opened.state.first, own.state.first);
    EXPECT_EQ(opened.state.second, own.state.second);
    EXPECT_EQ(opened.action.first, own.action.first);
    EXPECT_EQ(opened.action.second, own.action.second);
    EXPECT_EQ(opened.state.eps, own.state.eps);
  }
}

TEST_F(NamedStatistics, OfOpenpiTakeThePlaceOfItsOwn) {
  EditableCheckpoint checkpoint("openpi_pi0");
  const CheckpointData own = checkpoint.open();
  fs::remove_all(checkpoint / "assets");
  const CheckpointData opened = checkpoint.open({.norm_stats = kOfOpenpi});
  EXPECT_EQ(opened.state.first, own.state.first);
  EXPECT_EQ(opened.action.second, own.action.second);
  EXPECT_EQ(opened.action_dims, own.action_dims);
  EXPECT_TRUE(opened.asset.empty());
}

// Either library's statistics go with either's checkpoint.
TEST_F(NamedStatistics, OfTheOtherLibrary) {
  const Json openpi = read_json(kOfOpenpi)["norm_stats"];
  const CheckpointData from_lerobot =
      EditableCheckpoint("openpi_pi0")
          .open(named({{"observation.state", openpi["state"]}, {"action", openpi["actions"]}}));
  const CheckpointData own = EditableCheckpoint("openpi_pi0").open();
  EXPECT_EQ(from_lerobot.state.first, own.state.first);
  EXPECT_EQ(from_lerobot.action.second, own.action.second);

  const Json lerobot = json_of(read_statistics(kOfLerobot));
  const Json as_openpi = {
      {"norm_stats", {{"state", lerobot["observation.state"]}, {"actions", lerobot["action"]}}}};
  const CheckpointData from_openpi = EditableCheckpoint("pi0_tiny").open(named(as_openpi));
  EXPECT_EQ(from_openpi.state.first, EditableCheckpoint("pi0_tiny").open().state.first);
}

TEST_F(NamedStatistics, WhatTheyLackIsRefusedWithWhatIsThere) {
  const EditableCheckpoint lerobot("pi0_tiny"), openpi("openpi_pi0");
  const Json state = {{"mean", {1, 2}}, {"max", {1, 2}}};
  lerobot.expect_refused(kInvalid, {"observation.state.std is missing", "MEAN_STD", "max, mean"},
                         named({{"observation.state", state}}));
  openpi.expect_refused(kInvalid, {"state", "\"std\" is missing", "max, mean"},
                        named({{"observation.state", state}}));
  openpi.expect_refused(kInvalid, {"\"state\" is missing", "there is actions"},
                        named({{"action", state}}));
  const CheckpointData opened = lerobot.open(named({{"observation.pose", state}}));
  EXPECT_FALSE(opened.has_statistics);
  EXPECT_NE(opened.statistics_missing.find("only of observation.pose"), std::string::npos);
}

TEST_F(NamedStatistics, OtherFilesAreRefused) {
  const EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.expect_refused(kInvalid, {"neither openpi's", "\"codebase_version\" is \"v3.0\""},
                            named({{"codebase_version", "v3.0"}}));
  checkpoint.expect_refused(kInvalid, {"observation.state: \"mean\"", "expected numbers"},
                            named({{"observation.state", {{"mean", {{1, 2}, {3}}}}}}));
  checkpoint.expect_refused(kInvalid, {"\"mean\"", "expected numbers"},
                            named({{"norm_stats", {{"state", {{"mean", {"1"}}}}}}}));
  write_file(file, "mean: 1");
  checkpoint.expect_refused(kInvalid, {"stats.json"}, {.norm_stats = file});
  checkpoint.expect_refused(ErrorCode::kIo, {"absent.json"},
                            {.norm_stats = directory / "absent.json"});
}

TEST_F(NamedStatistics, WhatIsNoTextIsNamed) {
  const EditableCheckpoint checkpoint("pi0_tiny");
  const std::pair<std::string, const char*> kinds[] = {
      {std::string("PK\3\4\0\0\0\0\0\0", 10), "a zip archive (as torch.save"},
      {std::string("\x93NUMPY\1\0v\0{", 11), "an array of NumPy"},
      // pickle.dumps({"mean": [0.0]}), protocols 2 and 4
      {std::string("\x80\2}q\0X\4\0\0\0mean", 14), "a pickle"},
      {std::string("\x80\4\x95\x1a\0\0\0\0\0\0\0}", 12), "a pickle"}};
  for (const auto& [content, kind] : kinds) {
    write_file(file, content);
    checkpoint.expect_refused(
        kInvalid, {std::string("stats.json: is ") + kind, "expected openpi's norm_stats.json"},
        {.norm_stats = file});
  }
  // A header of 0x280 bytes begins as a pickle does.
  std::string header =
      R"({"observation.state.mean":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})";
  header.resize(0x280, ' ');
  write_file(file, std::string("\x80\2\0\0\0\0\0\0", 8) + header);
  EXPECT_EQ(read_statistics(file).values.size(), 1u);
}

TEST_F(NamedStatistics, OpenpisFormGoneWrongIsNamed) {
  const EditableCheckpoint checkpoint("pi0_tiny");
  const Json both = read_json(kOfOpenpi)["norm_stats"];
  checkpoint.expect_refused(
      kInvalid,
      {"\"state\" or \"actions\" by themselves", R"({"norm_stats": {"state": …, "actions": …}})"},
      named(both));
  checkpoint.expect_refused(kInvalid,
                            {"norm_stats has \"my_robot\" around \"state\"",
                             R"({"norm_stats": {"state": …, "actions": …}})"},
                            named({{"norm_stats", {{"my_robot", both}}}}));
}

TEST(Statistics, OfImagesHaveTheirShape) {
  const Statistics found = parse_statistics(
      {{"observation.images.top", {{"mean", {{{0.5}}, {{0.25}}, {{1}}}}, {"count", 7}}}}, "file");
  const Statistic& mean = found.values.at("observation.images.top.mean");
  EXPECT_EQ(mean.shape, (std::vector<std::int64_t>{3, 1, 1}));
  EXPECT_EQ(mean.values, (std::vector<double>{0.5, 0.25, 1}));
  EXPECT_EQ(found.values.at("observation.images.top.count").shape, std::vector<std::int64_t>{1});
}

}  // namespace
}  // namespace pi0
