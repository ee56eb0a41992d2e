#include "runtime/noise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace pi0 {
namespace {

std::vector<float> noise(std::uint64_t seed, std::size_t count) {
  std::vector<float> values(count);
  draw_noise(seed, values);
  return values;
}

TEST(NoiseTest, IsStandardNormal) {
  constexpr std::size_t kCount = 200001;  // odd: the last pair gives one value
  std::vector<float> values = noise(7, kCount);
  double sum = 0, squares = 0, fourth = 0;
  for (const double x : values) {
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  // Five standard errors: 1/sqrt(n), sqrt(2/n), sqrt(96/n).
  EXPECT_NEAR(sum / kCount, 0, 5 / std::sqrt(kCount));
  EXPECT_NEAR(squares / kCount, 1, 5 * std::sqrt(2.0 / kCount));
  EXPECT_NEAR(fourth / kCount, 3, 5 * std::sqrt(96.0 / kCount));
  std::sort(values.begin(), values.end());  // quantiles: the shape, not only the moments
  EXPECT_NEAR(values[kCount / 2], 0, 0.02);
  EXPECT_NEAR(values[kCount * 84134 / 100000], 1, 0.02);
  EXPECT_NEAR(values[kCount * 2275 / 100000], -2, 0.05);
}

TEST(NoiseTest, FollowsItsSeed) {
  EXPECT_EQ(noise(1, 64), noise(1, 64));
  EXPECT_NE(noise(1, 64), noise(2, 64));
  EXPECT_NE(fresh_seed(), fresh_seed());
}

TEST(NoiseTest, NeighboursAreIndependent) {
  const std::vector<float> values = noise(3, 100000);
  double product = 0;
  for (std::size_t i = 0; i + 1 < values.size(); ++i) product += values[i] * values[i + 1];
  EXPECT_NEAR(product / static_cast<double>(values.size()), 0, 5 / std::sqrt(100000.0));
}

}  // namespace
}  // namespace pi0
