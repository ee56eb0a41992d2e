#include "report/axis.h"

#include <gtest/gtest.h>

#include <cmath>

namespace pi0 {
namespace {

using Labels = std::vector<std::string>;

TEST(Axis, MarksRoundNumbers) {
  EXPECT_EQ(value_axis(-1, 1, 4).labels, (Labels{"-1", "0", "1"}));
  EXPECT_EQ(value_axis(0.011, 0.039, 4).labels, (Labels{"0.01", "0.02", "0.03", "0.04"}));
  EXPECT_EQ(value_axis(0, 100, 4).labels, (Labels{"0", "50", "100"}));
}

TEST(Axis, HoldsItsValuesWithRoom) {
  for (const auto& [low, high] : {std::pair{-1.0, 1.0},
                                  {0.0, 1e-9},
                                  {1e9, 3e9},
                                  {-7.0, -6.9},
                                  {0.0, 0.0},
                                  {5.0, 5.0},
                                  {-3e38, 3e38},
                                  {0.0, 1e-45}}) {
    for (const int wanted : {2, 3, 4, 7}) {
      const Axis axis = value_axis(low, high, wanted);
      EXPECT_LT(axis.low, low);
      EXPECT_GT(axis.high, high);
      EXPECT_GE(axis.ticks.size(), 3u) << low << " " << high << " " << wanted;
      EXPECT_LE(axis.ticks.size(), 3u * wanted);
      ASSERT_EQ(axis.labels.size(), axis.ticks.size());
      for (std::size_t i = 0; i < axis.ticks.size(); ++i) {
        EXPECT_GE(axis.ticks[i], axis.low);
        EXPECT_LE(axis.ticks[i], axis.high);
        // What the label says is where it stands.
        EXPECT_NEAR(std::stod(axis.labels[i]), axis.ticks[i], 1e-6 * (axis.high - axis.low));
        if (i > 0) {
          EXPECT_NE(axis.labels[i], axis.labels[i - 1]);
        }
      }
    }
  }
}

TEST(Axis, DoesNotBlowUpNoiseOnAConstant) {
  const Axis axis = value_axis(0.9999, 1.0001, 4);
  EXPECT_LT(axis.fraction(1.0001) - axis.fraction(0.9999), 0.01);
  EXPECT_NEAR(axis.fraction(1.0), 0.5, 0.01);
}

TEST(Axis, SpansWhatItIsAskedTo) {
  // Noise on a constant, and a motion that is small beside its place: what was asked for decides.
  for (const auto& [low, high] : {std::pair{0.0, 0.001}, {0.9, 1.0}, {100.0, 100.1}}) {
    const Axis axis = value_axis(low, high, 4, 0.4);
    EXPECT_NEAR(axis.high - axis.low, 0.4, 1e-9);
    EXPECT_NEAR(axis.fraction((low + high) / 2), 0.5, 1e-9);
    EXPECT_GE(axis.ticks.size(), 3u);
  }
  const Axis larger = value_axis(-1, 1, 4, 0.4);
  EXPECT_EQ(larger.low, value_axis(-1, 1, 4).low);
  EXPECT_EQ(larger.high, value_axis(-1, 1, 4).high);
}

TEST(Axis, FractionRunsFromLowToHigh) {
  Axis axis;
  axis.low = 2;
  axis.high = 6;
  EXPECT_EQ(axis.fraction(2), 0);
  EXPECT_EQ(axis.fraction(5), 0.75);
}

TEST(Axis, StepsAreWhole) {
  EXPECT_EQ(step_axis(1, 5).labels, Labels{"0"});
  EXPECT_EQ(step_axis(3, 8).labels, (Labels{"0", "1", "2"}));
  EXPECT_EQ(step_axis(16, 8).labels, (Labels{"0", "2", "4", "6", "8", "10", "12", "14"}));
  EXPECT_EQ(step_axis(50, 5).labels, (Labels{"0", "10", "20", "30", "40"}));
  EXPECT_EQ(step_axis(10, 5).fraction(-0.5), 0);
  EXPECT_EQ(step_axis(10, 5).fraction(9.5), 1);
}

TEST(Axis, TimesAreRound) {
  EXPECT_EQ(time_axis(1, 10, 5).labels, (Labels{"-0.04", "-0.02", "0.00", "0.02", "0.04"}));
  EXPECT_EQ(time_axis(50, 50, 5).labels, (Labels{"0.0", "0.2", "0.4", "0.6", "0.8"}));
  EXPECT_EQ(time_axis(50, 30, 5).labels, (Labels{"0.0", "0.5", "1.0", "1.5"}));
  EXPECT_EQ(time_axis(16, 0.5, 8).labels, (Labels{"0", "5", "10", "15", "20", "25", "30"}));
  EXPECT_EQ(time_axis(10, 20, 5).fraction(-0.025), 0);
  EXPECT_EQ(time_axis(10, 20, 5).fraction(0.475), 1);
}

}  // namespace
}  // namespace pi0
