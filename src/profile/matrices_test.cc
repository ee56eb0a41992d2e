#include "profile/matrices.h"

#include <gtest/gtest.h>

#include "model/random_weights.h"
#include "profile/bench_report.h"

namespace pi0 {
namespace {

// Widths that are no whole number of any kernel's tiles.
const MatrixShape kSmall[] = {{"small", 51, 96, 144}, {"flat", 1, 64, 16}};

TEST(MatricesTest, OursHaveRatesAndOthersOnlyWhereBuiltIn) {
  for (const char* const dtype : {"bf16", "int8", "fp32"}) {
    const std::vector<MatrixTimes> times =
        time_matrices({.name = "cpu", .dtype = dtype, .threads = 1}, kSmall);
    ASSERT_EQ(times.size(), 2u);
    for (const MatrixTimes& time : times) {
      EXPECT_GT(time.flops_per_second, 0);
      EXPECT_GT(time.share_of_peak, 0);
      EXPECT_EQ(time.others.size(), other_libraries().size());
      for (const OtherRate& other : time.others) {
        if (other.flops_per_second) {
          EXPECT_GT(*other.flops_per_second, 0) << other.name;
        }
      }
    }
  }
#if !defined(PI0_LIBXSMM) && !defined(PI0_ONEDNN)
  EXPECT_TRUE(other_libraries().empty());
#endif
}

TEST(MatricesTest, OnlyPublishedWidthsHaveThem) {
  ModelConfig config = full_size_config(ModelKind::kPi05);
  EXPECT_TRUE(has_published_matrices(config));
  config.expert.width = 64;
  EXPECT_FALSE(has_published_matrices(config));
}

TEST(MatricesTest, TheReportHasARowAndAKeyForEach) {
  BenchResult result;
  result.matrices = {
      {{"A", 2, 3, 4}, 5e9, 0.5, {{"libxsmm", "1.17", 4e9}, {"onednn", "2.6.3", {}}}}};
  const Json json = bench_json({"pi0", "cpu", {}}, result, {});
  ASSERT_EQ(json["matrices"].size(), 1u);
  const Json& matrix = json["matrices"][0];
  EXPECT_EQ(matrix["name"], "A");
  EXPECT_EQ(matrix["rows"], 2);
  EXPECT_EQ(matrix["depth"], 3);
  EXPECT_EQ(matrix["columns"], 4);
  EXPECT_DOUBLE_EQ(matrix["flops_per_second"].get<double>(), 5e9);
  EXPECT_DOUBLE_EQ(matrix["share_of_peak"].get<double>(), 0.5);
  EXPECT_EQ(matrix["others"], (Json{{"libxsmm", 4e9}}));
  const std::string text = to_text(bench_report({"pi0", "cpu", {}}, result, {}));
  EXPECT_NE(text.find("libxsmm 1.17"), std::string::npos) << text;
  EXPECT_NE(text.find("A 2 x 3 x 4"), std::string::npos) << text;
  result.matrices.clear();
  EXPECT_FALSE(bench_json({"pi0", "cpu", {}}, result, {}).contains("matrices"));
}

}  // namespace
}  // namespace pi0
