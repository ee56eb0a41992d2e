#include "check/bench.h"

#include <gtest/gtest.h>

#include "check/bench_report.h"

namespace pi0 {
namespace {

Timing timing(double vision, double prefix, double denoise, double total) {
  Timing time;
  time.vision_ms = vision;
  time.prefix_ms = prefix;
  time.denoise_ms = denoise;
  time.total_ms = total;
  return time;
}

// As numpy.quantile gives them.
TEST(BenchTest, QuantilesLieBetweenValues) {
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.95), 3.85);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 1), 4);
  EXPECT_DOUBLE_EQ(quantile({7}, 0.95), 7);
}

TEST(BenchTest, StagesAndWhatSurroundsThemAddUpToTheMean) {
  const BenchResult result = summarise_times({timing(1, 2, 3, 7), timing(3, 4, 5, 13)});
  EXPECT_EQ(result.runs, 2);
  EXPECT_DOUBLE_EQ(result.mean_ms, 10);
  EXPECT_DOUBLE_EQ(result.p50_ms, 10);
  EXPECT_DOUBLE_EQ(result.p95_ms, 12.7);
  ASSERT_EQ(result.stages.size(), 4u);
  const std::pair<const char*, double> expected[] = {
      {"vision", 2}, {"prefix", 3}, {"denoising", 4}, {"host", 1}};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(result.stages[i].name, expected[i].first);
    EXPECT_DOUBLE_EQ(result.stages[i].ms, expected[i].second);
  }
}

TEST(BenchTest, TheRatioIsHowManyTimesFaster) {
  BenchResult fast = summarise_times({timing(1, 1, 1, 4)});
  fast.peak_rss_bytes = 7;  // its own, whatever the other device took since
  const BenchResult slow = summarise_times({timing(9, 9, 9, 40)});
  const Json json = bench_json({"pi0", "a"}, fast, BenchOther{"b", slow});
  EXPECT_DOUBLE_EQ(json["times_faster"].get<double>(), 10);
  EXPECT_DOUBLE_EQ(json["against"]["mean_ms"].get<double>(), 40);
  EXPECT_EQ(json["peak_rss_bytes"], 7);
}

}  // namespace
}  // namespace pi0
