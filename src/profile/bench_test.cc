#include "profile/bench.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "profile/bench_report.h"

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
  EXPECT_DOUBLE_EQ(result.p99_ms, 12.94);
  ASSERT_EQ(result.stages.size(), 4u);
  const std::pair<const char*, double> expected[] = {
      {"vision", 2}, {"prefix", 3}, {"denoising", 4}, {"host", 1}};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(result.stages[i].name, expected[i].first);
    EXPECT_DOUBLE_EQ(result.stages[i].ms, expected[i].second);
  }
}

// How the plan ends for calls of these times, of which the last repeats.
BenchPlan plan_of(const BenchOptions& options, const std::vector<double>& times) {
  std::vector<double> made;
  BenchPlan plan = bench_plan(options, made);
  while (static_cast<int>(made.size()) < plan.warmup + plan.runs) {
    made.push_back(times[std::min(made.size(), times.size() - 1)]);
    plan = bench_plan(options, made);
  }
  EXPECT_EQ(static_cast<int>(made.size()), plan.warmup + plan.runs);
  return plan;
}

TEST(BenchTest, TheSecondCallSaysHowManyThereAre) {
  const auto expect_plan = [](const BenchOptions& options, const std::vector<double>& times,
                              int warmup, int runs) {
    const BenchPlan plan = plan_of(options, times);
    EXPECT_EQ(plan.warmup, warmup);
    EXPECT_EQ(plan.runs, runs);
  };
  expect_plan({}, {9000, 50}, 5, 100);  // the first compiles
  expect_plan({}, {9000, 9000}, 1, 3);
  expect_plan({}, {50, 50, 9000}, 5, 100);  // too late
  expect_plan({.warmup = 4, .runs = 7, .seconds = {}, .progress = {}, .peak = {}}, {9000, 9000}, 4,
              7);
  expect_plan({.warmup = {}, .runs = 1, .seconds = {}, .progress = {}, .peak = {}}, {9000, 9000}, 1,
              1);
  expect_plan({.warmup = 0, .runs = {}, .seconds = {}, .progress = {}, .peak = {}}, {9000, 9000}, 0,
              3);
  expect_plan({.warmup = 0, .runs = 1, .seconds = {}, .progress = {}, .peak = {}}, {9000}, 0, 1);
  const auto seconds = [](double value) {
    BenchOptions options;
    options.seconds = value;
    return options;
  };
  expect_plan(seconds(1), {9000, 50}, 5, 20);
  expect_plan(seconds(1), {50, 300}, 5, 4);  // the one during which the time ends counts
  expect_plan(seconds(1), {9000, 9000}, 1, 1);
}

TEST(BenchTest, TheRatioIsHowManyTimesFaster) {
  BenchResult fast = summarise_times({timing(1, 1, 1, 4)});
  fast.peak_rss_bytes = 7;  // its own, whatever the other device took since
  const BenchResult slow = summarise_times({timing(9, 9, 9, 40)});
  const Json json = bench_json({"pi0", "a", {}}, fast, BenchOther{"b", slow});
  EXPECT_DOUBLE_EQ(json["times_faster"].get<double>(), 10);
  EXPECT_DOUBLE_EQ(json["against"]["mean_ms"].get<double>(), 40);
  EXPECT_EQ(json["peak_rss_bytes"], 7);
}

}  // namespace
}  // namespace pi0
