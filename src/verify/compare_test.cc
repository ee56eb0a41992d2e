#include "verify/compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace pi0 {
namespace {

Difference of(const std::vector<float>& expected, const std::vector<float>& actual) {
  return compare(expected, actual);
}

TEST(CompareTest, LargestDifferenceAndMagnitude) {
  const Difference difference = of({1, -8, 3}, {1.5f, -8, 2});
  EXPECT_DOUBLE_EQ(difference.largest, 1);
  EXPECT_DOUBLE_EQ(difference.magnitude, 8);
}

TEST(CompareTest, CorrelationIsPearsons) {
  EXPECT_NEAR(of({1, 2, 3}, {10, 20, 30}).correlation, 1, 1e-12);
  EXPECT_NEAR(of({1, 2, 3}, {3, 2, 1}).correlation, -1, 1e-12);
  // By hand: deviations (-1,0,1) and (-2,1,1) give 3 / sqrt(2 * 6).
  EXPECT_NEAR(of({1, 2, 3}, {0, 3, 3}).correlation, 3 / std::sqrt(12.0), 1e-12);
  // A large common offset does not drown it.
  EXPECT_NEAR(of({1e6f, 1e6f + 1, 1e6f + 2}, {1, 2, 3}).correlation, 1, 1e-9);
}

TEST(CompareTest, ConstantsCorrelateOnlyWhenEqual) {
  EXPECT_EQ(of({2, 2}, {2, 2}).correlation, 1);
  EXPECT_EQ(of({2, 2}, {3, 3}).correlation, 0);
}

TEST(CompareTest, WhatIsNotFiniteIsInfinitelyFar) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isinf(of({1, 2}, {1, kNan}).largest));
  EXPECT_TRUE(std::isinf(of({kNan}, {kNan}).largest));
  EXPECT_TRUE(std::isinf(of({1}, {kInf}).largest));
}

}  // namespace
}  // namespace pi0
