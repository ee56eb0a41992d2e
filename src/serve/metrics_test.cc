#include "serve/metrics.h"

#include <gtest/gtest.h>

namespace pi0 {
namespace {

// Prometheus counts what is at most a bound, in seconds.
TEST(HistogramTest, IsCumulativeAndInSeconds) {
  Histogram histogram;
  for (const double ms : {1.0, 1.5, 50.0, 40'000.0}) histogram.add(ms);
  EXPECT_EQ(histogram.text("x", ""),
            "x_bucket{le=\"0.001\"} 1\n"
            "x_bucket{le=\"0.002\"} 2\n"
            "x_bucket{le=\"0.005\"} 2\n"
            "x_bucket{le=\"0.01\"} 2\n"
            "x_bucket{le=\"0.02\"} 2\n"
            "x_bucket{le=\"0.05\"} 3\n"
            "x_bucket{le=\"0.1\"} 3\n"
            "x_bucket{le=\"0.2\"} 3\n"
            "x_bucket{le=\"0.5\"} 3\n"
            "x_bucket{le=\"1\"} 3\n"
            "x_bucket{le=\"2\"} 3\n"
            "x_bucket{le=\"5\"} 3\n"
            "x_bucket{le=\"10\"} 3\n"
            "x_bucket{le=\"30\"} 3\n"
            "x_bucket{le=\"+Inf\"} 4\n"
            "x_sum 40.0525\n"
            "x_count 4\n");
}

TEST(HistogramTest, LabelsGoBeforeTheBound) {
  Histogram histogram;
  histogram.add(3);
  const std::string text = histogram.text("x", "stage=\"vision\"");
  for (const char* line : {"x_bucket{stage=\"vision\",le=\"0.002\"} 0\n",
                           "x_bucket{stage=\"vision\",le=\"0.005\"} 1\n",
                           "x_sum{stage=\"vision\"} 0.003\n", "x_count{stage=\"vision\"} 1\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

}  // namespace
}  // namespace pi0
