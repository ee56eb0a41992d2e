#include "device/ttnn/pack.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace pi0 {
namespace {

TEST(RoundToLofiTest, KeepsTheNearestOfFiveBits) {
  std::mt19937 random(7);
  std::normal_distribution<float> draw(0, 0.02f);
  std::vector<float> values{0, 1, -1, 0.96875f, 31.5f, -31.49f, 1e-30f};
  for (int i = 0; i < 1000; ++i) values.push_back(draw(random));
  std::vector<float> rounded = values;
  round_to_lofi(rounded);
  for (std::size_t i = 0; i < values.size(); ++i) {
    int exponent = 0;
    const float mantissa = std::frexp(values[i], &exponent);
    EXPECT_EQ(rounded[i], std::ldexp(std::round(mantissa * 32) / 32, exponent)) << values[i];
  }
}

}  // namespace
}  // namespace pi0
