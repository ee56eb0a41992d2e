#include "device/ttnn/emulated/storage.h"

#include <gtest/gtest.h>

#include <cmath>

namespace pi0::emulated {
namespace {

using shim::DataType;

std::vector<float> stored(DataType type, std::vector<float> values) {
  values.resize(32);
  Values kept(type, 1, 32);
  kept.write(0, values);
  return kept.read_all();
}

TEST(Stored, Bfloat16RoundsToNearestWithTiesToEven) {
  // 1 + 1/128 is the next after 1: halfway goes to the even one, below and above.
  const std::vector<float> values = stored(
      DataType::kBfloat16,
      {1.0f, 1.0f + 1.0f / 256, 1.0f + 3.0f / 256, 1.0f + 1.1f / 256, -3.14159f, 1e-30f, 3.4e38f});
  EXPECT_EQ(values[0], 1.0f);
  EXPECT_EQ(values[1], 1.0f);
  EXPECT_EQ(values[2], 1.0f + 4.0f / 256);
  EXPECT_EQ(values[3], 1.0f + 2.0f / 256);
  EXPECT_EQ(values[4], -3.140625f);
  EXPECT_NEAR(values[5], 1e-30f, 4e-33f);
  EXPECT_TRUE(std::isinf(values[6]));
}

TEST(Stored, Bfloat8SharesTheExponentOfSixteenValues) {
  // The largest of the first sixteen is 1.5: units of 1/64. The next sixteen have their own.
  std::vector<float> in(32);
  in[0] = 1.5f;
  in[1] = 0.7f;         // 44.8 units
  in[2] = -0.0078125f;  // half a unit: to the even 0
  in[3] = 0.0234375f;   // one and a half units: to the even 2
  in[4] = 0.007f;       // less than half a unit
  in[5] = -1.0f / 64;
  in[16] = 0.007f;  // units of 2^-14
  const std::vector<float> out = stored(DataType::kBfloat8B, in);
  EXPECT_EQ(out[0], 1.5f);
  EXPECT_EQ(out[1], 45.0f / 64);
  EXPECT_EQ(out[2], 0.0f);
  EXPECT_EQ(out[3], 2.0f / 64);
  EXPECT_EQ(out[4], 0.0f);
  EXPECT_EQ(out[5], -1.0f / 64);
  EXPECT_NEAR(out[16], 0.007f, std::ldexp(1.0, -15));
}

TEST(Stored, Bfloat8SaturatesRatherThanCarryIntoTheExponent) {
  // 1.999 would round to 128 units of 1/64, for which there are no bits.
  EXPECT_EQ(stored(DataType::kBfloat8B, {1.999f})[0], 127.0f / 64);
}

TEST(Stored, Bfloat8HasSevenBits) {
  std::vector<float> in(32);
  for (int i = 0; i < 16; ++i) in[i] = static_cast<float>(i + 112) / 64;
  const std::vector<float> out = stored(DataType::kBfloat8B, in);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(out[i], in[i]);
}

TEST(Stored, Bfloat4HasThreeBits) {
  // The largest is 1.5: units of a quarter, to the nearest, ties to the even one.
  std::vector<float> in(32);
  in[0] = 1.5f;
  in[1] = -0.7f;   // 2.8 units
  in[2] = 0.125f;  // half a unit: to 0
  in[3] = 0.375f;  // one and a half: to 2
  in[4] = 1.99f;   // 7.96: would be 8, for which there are no bits
  in[16] = 0.007f;
  const std::vector<float> out = stored(DataType::kBfloat4B, in);
  EXPECT_EQ(out[0], 1.5f);
  EXPECT_EQ(out[1], -0.75f);
  EXPECT_EQ(out[2], 0.0f);
  EXPECT_EQ(out[3], 0.5f);
  EXPECT_EQ(out[4], 1.75f);
  EXPECT_EQ(out[16], 7.0f / 1024);  // units of 2^-10: 7.17 of them
}

TEST(Stored, Float32IsKept) {
  EXPECT_EQ(stored(DataType::kFloat32, {0.1f, -1e-40f})[0], 0.1f);
  EXPECT_EQ(stored(DataType::kFloat32, {0.1f, -1e-40f})[1], -1e-40f);
}

TEST(Stored, Tf32CutsThirteenBits) {
  EXPECT_EQ(truncate_to_tf32(1.0f + 1.0f / 1024), 1.0f + 1.0f / 1024);
  EXPECT_EQ(truncate_to_tf32(1.0f + 1.9f / 1024), 1.0f + 1.0f / 1024);
  EXPECT_EQ(truncate_to_tf32(-1.0f - 1.9f / 1024), -1.0f - 1.0f / 1024);
}

TEST(Stored, WhatWasNeverWrittenIsNoNumber) {
  for (DataType type :
       {DataType::kFloat32, DataType::kBfloat16, DataType::kBfloat8B, DataType::kBfloat4B}) {
    Values kept(type, 2, 32);
    kept.poison();
    for (float v : kept.read_all()) EXPECT_TRUE(std::isnan(v));
  }
}

}  // namespace
}  // namespace pi0::emulated
