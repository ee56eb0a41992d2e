#include <gtest/gtest.h>

#include <cmath>

#include "model/components.h"
#include "runtime/random_input.h"
#include "verify/comparison_report.h"

namespace pi0 {
namespace {

struct Told {
  const char* operation;
  Component component;
  int index;
  std::vector<float> first, second;
};

void tell(Comparison& comparison, const std::vector<Told>& results) {
  for (const Told& told : results) {
    const Shape shape{static_cast<std::int64_t>(told.first.size())};
    comparison.observe(
        {told.operation, told.component, told.index, shape, told.first, told.second});
  }
}

const std::vector<float> kRising{1, 2, 3}, kFalling{3, 2, 1}, kBent{0, 3, 3};

TEST(ComparisonTest, APartIsWorthItsLastOperationAndNamesItsWorst) {
  Comparison comparison;
  tell(comparison, {{"rms_norm", component::kGemmaLayer, 0, kRising, kFalling},
                    {"linear", component::kGemmaLayer, 0, kRising, kRising},
                    {"rms_norm", component::kGemmaLayer, 1, kRising, kRising},
                    {"linear", component::kGemmaLayer, 1, kBent, kRising},
                    {"download", component::kActions, 0, kRising, kRising}});
  comparison.end_call(std::vector<float>(3));
  ASSERT_EQ(comparison.components().size(), 3u);
  const ComparedComponent& first = comparison.components()[0];
  EXPECT_EQ(first.last.operation, "linear");
  EXPECT_NEAR(first.last.difference.correlation, 1, 1e-12);
  EXPECT_EQ(first.worst.operation, "rms_norm");
  EXPECT_NEAR(first.worst.difference.correlation, -1, 1e-12);
  EXPECT_NEAR(comparison.worst_pcc(), 3 / std::sqrt(12.0), 1e-12);
  EXPECT_DOUBLE_EQ(comparison.components()[1].last.difference.largest, 1);
  EXPECT_TRUE(comparison.passed(0.86));
  EXPECT_FALSE(comparison.passed(0.87));
}

// A part that passes may have an operation inside that does not.
TEST(ComparisonTest, TheVerdictSaysWhatIsBelowInsideAPartThatPassed) {
  Comparison comparison;
  tell(comparison, {{"rms_norm", component::kSiglipLayer, 0, kRising, kRising},
                    {"linear", component::kSiglipLayer, 0, kRising, kRising},
                    {"attention", component::kSiglipLayer, 1, kBent, kRising},
                    {"linear", component::kSiglipLayer, 1, kRising, kRising},
                    {"download", component::kActions, 0, kRising, kRising}});
  comparison.end_call(std::vector<float>(3));
  const auto verdict = [&comparison](double pcc) {
    return comparison_verdict({.network = "", .devices = {}, .pcc = pcc}, {}, comparison);
  };
  EXPECT_EQ(verdict(0.99),
            "the same: PCC of the parts at least 1.000000, of actions - noise 1.000000, asked for "
            "0.990000\nbelow it inside a part that passed: attention of siglip_layer 1 at "
            "0.866025\n");
  EXPECT_EQ(verdict(0.86).find("below"), std::string::npos);
  tell(comparison, {{"qkv", component::kSiglipLayer, 0, kFalling, kRising},
                    {"linear", component::kSiglipLayer, 0, kRising, kRising},
                    {"download", component::kActions, 0, kRising, kRising}});
  comparison.end_call(std::vector<float>(3));
  EXPECT_NE(verdict(0.99).find("inside 2 parts that passed, the worst: qkv of siglip_layer 0 at "
                               "-1.000000"),
            std::string::npos)
      << verdict(0.99);
}

// Large noise that both have would hide that what was added to it is opposite.
TEST(ComparisonTest, ActionsAreComparedWithoutTheNoiseTheyBeganAs) {
  const std::vector<float> noise{100, -50, 70};
  Comparison comparison;
  tell(comparison, {{"download", component::kActions, 0, {101, -50, 69}, {99, -50, 71}}});
  comparison.end_call(noise);
  EXPECT_GT(comparison.worst_pcc(), 0.99);
  EXPECT_NEAR(comparison.actions_pcc(), -1, 1e-6);
  EXPECT_FALSE(comparison.passed(0.99));
}

TEST(ComparisonTest, SeveralCallsAreAsGoodAsTheWorst) {
  Comparison comparison;
  for (const auto& actions : {kRising, kBent, kRising}) {
    tell(comparison, {{"linear", component::kProjector, 0, actions, kRising},
                      {"download", component::kActions, 0, actions, kRising}});
    comparison.end_call(std::vector<float>(3));
  }
  ASSERT_EQ(comparison.components().size(), 2u);
  EXPECT_NEAR(comparison.components()[0].last.difference.correlation, 3 / std::sqrt(12.0), 1e-12);
  EXPECT_NEAR(comparison.actions_pcc(), 3 / std::sqrt(12.0), 1e-12);
}

TEST(ComparisonTest, ValuesThatAreNotFiniteFail) {
  Comparison comparison;
  tell(comparison, {{"linear", component::kProjector, 0, {1, NAN, 3}, kRising},
                    {"download", component::kActions, 0, kRising, kRising}});
  comparison.end_call(std::vector<float>(3));
  EXPECT_EQ(comparison.worst_pcc(), 0);
  EXPECT_FALSE(comparison.passed(0.5));
}

}  // namespace
}  // namespace pi0
