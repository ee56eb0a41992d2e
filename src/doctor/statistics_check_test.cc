#include <gtest/gtest.h>

#include "checkpoint/test_support.h"
#include "doctor/doctor_testing.h"

namespace pi0 {
namespace {

constexpr const char* kNormalizer = "policy_preprocessor_step_6_normalizer_processor.safetensors";
constexpr const char* kUnnormalizer =
    "policy_postprocessor_step_0_unnormalizer_processor.safetensors";
constexpr std::size_t kDims = 14;

using Values = std::vector<float>;

// pi0_tiny with other statistics: "observation.state.std" in the one file, "action.std" in the
// other.
class StatisticsCheckTest : public testing::Test {
 protected:
  void put(const std::string& name, const Values& values) {
    checkpoint.put_tensor(name.starts_with("action") ? kUnnormalizer : kNormalizer,
                          float_tensor(name, {kDims}, values));
  }
  // All `all` but for dimension 3.
  static Values but_third(float all, float third) {
    Values values(kDims, all);
    values[3] = third;
    return values;
  }
  Findings findings() const { return statistics_findings(checkpoint.open()); }

  EditableCheckpoint checkpoint{"pi0_tiny"};
};

TEST_F(StatisticsCheckTest, PlaceholdersAreInert) {
  put("observation.state.mean", Values(kDims, 0));
  put("observation.state.std", Values(kDims, 1));
  expect_finding(findings(), Severity::kWarning, {"state", "mean is 0 and std is 1 in all 14"});
}

TEST_F(StatisticsCheckTest, ZerosAreRefused) {
  put("action.mean", Values(kDims, 0));
  put("action.std", Values(kDims, 0));
  expect_finding(findings(), Severity::kRefuse, {"actions", "std is 0 in all 14"});
}

TEST_F(StatisticsCheckTest, OnesAreInert) {
  put("action.mean", Values(kDims, 1));
  put("action.std", Values(kDims, 1));
  expect_finding(findings(), Severity::kWarning, {"actions", "mean is 1 and std is 1"});
}

TEST_F(StatisticsCheckTest, AStdIsTinyBesideTheRange) {
  put("observation.state.q01", Values(kDims, -1));
  put("observation.state.q99", Values(kDims, 1));
  put("observation.state.std", but_third(0.7f, 0.01f));
  expect_finding(findings(), Severity::kWarning, {"state", "tiny", "dimension 3: q01 -1, q99 1"});
}

TEST_F(StatisticsCheckTest, AStdIsTinyBesideTheOthers) {
  put("action.std", but_third(1, 1e-6f));
  expect_finding(findings(), Severity::kWarning, {"actions", "tiny", "dimension 3"});
  put("action.q01", Values(kDims, -1));  // as far as the file says, it does not move
  put("action.q99", but_third(1, -1));
  expect_finding(findings(), Severity::kWarning, {"actions", "next to no spread", "3: mean"});
}

TEST_F(StatisticsCheckTest, AGripperInThousandths) {
  put("action.mean", but_third(0.1f, 500));
  put("action.std", but_third(0.5f, 300));
  Values low(kDims, -1), high(kDims, 1);
  high[3] = 1000;
  low[3] = 0;
  put("action.q01", low);
  put("action.q99", high);
  Findings found = findings();
  expect_finding(found, Severity::kWarning, {"actions", "other units", "dimension 3: mean 500"});
  checkpoint.edit_json("policy_preprocessor.json", [](Json& json) {
    for (Json& step : json["steps"]) {
      if (step["registry_name"] != "relative_actions_processor") continue;
      step["config"]["action_names"] = Json::array();
      for (std::size_t i = 0; i < kDims; ++i) {
        step["config"]["action_names"].push_back(i == 3 ? "gripper" : "joint");
      }
    }
  });
  expect_finding(findings(), Severity::kWarning, {"dimension 3 (gripper)"});
}

TEST_F(StatisticsCheckTest, OneIsACopyOfTheOther) {
  const Values mean = but_third(0.1f, 0.3f), std = but_third(0.5f, 0.7f);
  for (const char* of : {"observation.state", "action"}) {
    put(std::string(of) + ".mean", mean);
    put(std::string(of) + ".std", std);
  }
  expect_finding(findings(), Severity::kWarning, {"state and of the actions are the same"});
}

TEST_F(StatisticsCheckTest, QuantilesThatContradict) {
  put("action.q01", but_third(-1, 2));
  put("action.q99", Values(kDims, 1));
  expect_finding(findings(), Severity::kWarning, {"actions", "q01 above q99 in dimension 3"});
}

// lerobot 0.6.1's RunningQuantileStats of grippers that are 0 or 1, mostly closed (dimension 3) or
// mostly open (5): its histogram begins 1e-10 below the least value and ends 1e-10 above the
// largest.
TEST_F(StatisticsCheckTest, QuantilesAtTheEdgesOfLerobotsHistogram) {
  Values least(kDims, -1), q01(kDims, -0.9f), q10(kDims, -0.5f), q99(kDims, 0.9f), most(kDims, 1);
  least[3] = 0, q01[3] = q10[3] = -1e-10f;
  most[5] = 0, q99[5] = 1e-10f;  // as of actions that are given the other way round
  const auto put_all = [&] {
    put("action.mean", but_third(0, 0.1f));
    put("action.std", Values(kDims, 0.4f));
    put("action.min", least);
    put("action.q01", q01);
    put("action.q10", q10);
    put("action.q99", q99);
    put("action.max", most);
  };
  put_all();
  expect_no_findings(findings());
  q01[3] = -1e-3f;
  put_all();
  expect_finding(findings(), Severity::kWarning, {"actions", "min above q01 in dimension 3"});
}

// What openpi's file has beside the statistics that a pi0 policy uses.
TEST(StatisticsOfOpenpiTest, AreJudgedByTheQuantilesThatAreNotUsed) {
  EditableCheckpoint checkpoint("openpi_pi0");
  checkpoint.edit_json("assets/my_robot/norm_stats.json", [](Json& json) {
    json["norm_stats"]["actions"]["std"][4] = 0.01;
    std::swap(json["norm_stats"]["state"]["q01"][2], json["norm_stats"]["state"]["q99"][2]);
  });
  const Findings findings = statistics_findings(checkpoint.open());
  expect_finding(findings, Severity::kWarning, {"actions", "tiny", "dimension 4: q01"});
  expect_finding(findings, Severity::kWarning, {"state", "q01 above q99 in dimension 2"});
}

TEST(StatisticsOfRangesTest, AnInvertedRangeIsRefused) {
  EditableCheckpoint checkpoint("openpi_pi05");
  checkpoint.edit_json("assets/droid/norm_stats.json", [](Json& json) {
    Json& state = json["norm_stats"]["state"];
    std::swap(state["q01"][2], state["q99"][2]);
  });
  expect_finding(statistics_findings(checkpoint.open()), Severity::kRefuse,
                 {"state", "q01 above q99 in dimension 2"});
}

TEST(StatisticsOfRangesTest, ARangeThatChangesNothing) {
  EditableCheckpoint checkpoint("openpi_pi05");
  checkpoint.edit_json("assets/droid/norm_stats.json", [](Json& json) {
    for (Json& low : json["norm_stats"]["state"]["q01"]) low = -1;
    for (Json& high : json["norm_stats"]["state"]["q99"]) high = 1;
  });
  expect_finding(statistics_findings(checkpoint.open()), Severity::kWarning,
                 {"state", "q01 is -1 and q99 is 1 in all 7"});
}

// openpi pads to the network's width, 32, with zeros or with mean 0 and std 1.
TEST(StatisticsOfRangesTest, WhatPadsIsNotLookedAt) {
  EditableCheckpoint checkpoint("openpi_pi0");
  const auto edit = [&](double last) {
    checkpoint.edit_json("assets/my_robot/norm_stats.json", [&](Json& json) {
      for (const char* vector : {"state", "actions"}) {
        for (Json& values : json["norm_stats"][vector])
          values.get_ref<Json::array_t&>().resize(32, 0);
        json["norm_stats"][vector]["mean"][6] = last;
      }
    });
  };
  edit(0.5);
  expect_no_findings(statistics_findings(checkpoint.open({.action_dims = 7})));
  edit(2000);
  expect_finding(statistics_findings(checkpoint.open({.action_dims = 7})), Severity::kWarning,
                 {"actions", "other units", "dimension 6: mean 2000"});
}

TEST(StatisticsOfRangesTest, ActionsMayBeFromMinusOneToOne) {
  const Normalization whole{NormalizationMode::kMinMax, 1e-8, {-1, -1}, {1, 1}};
  CheckpointData checkpoint;
  checkpoint.has_statistics = true;
  checkpoint.action_dims = checkpoint.state_dims = 2;
  checkpoint.action = whole;
  expect_no_findings(statistics_findings(checkpoint));
  checkpoint.state = whole;
  expect_finding(statistics_findings(checkpoint), Severity::kWarning, {"state", "min is -1"});
}

}  // namespace
}  // namespace pi0
