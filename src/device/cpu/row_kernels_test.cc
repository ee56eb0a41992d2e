// Work on rows, compiled for each level, against formulas in double: on lengths that fill no
// vector.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "device/cpu/kernels_testing.h"

namespace pi0::cpu {
namespace {

constexpr std::int64_t kLengths[] = {1, 3, 31, 32, 33, 100, 1025};

float float_of(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
std::uint32_t bits_of(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

using RowKernelsTest = LevelTest;

// In double, where halfway is exact: the nearer neighbour, of two equally near the even one.
std::uint16_t nearest_bf16(float x) {
  const auto down = static_cast<std::uint16_t>(bits_of(x) >> 16);  // towards zero
  const auto up = static_cast<std::uint16_t>(down + 1);
  const double below = std::abs(double{x} - float_of(std::uint32_t{down} << 16));
  // Past the largest bf16 lies what would be the next power of two.
  const double above_value = (up & 0x7fffu) == 0x7f80u
                                 ? std::copysign(std::ldexp(1.0, 128), double{x})
                                 : double{float_of(std::uint32_t{up} << 16)};
  const double above = std::abs(above_value - x);
  return below < above || (below == above && down % 2 == 0) ? down : up;
}

TEST_P(RowKernelsTest, ToBf16RoundsToNearestEven) {
  std::vector<float> x;
  for (const std::uint32_t high : {0x0000u, 0x0001u, 0x007fu, 0x0080u, 0x3f80u, 0x3f81u, 0x7f7fu}) {
    for (const std::uint32_t low : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      x.push_back(float_of(high << 16 | low));
      x.push_back(-x.back());
    }
  }
  while (x.size() < 4001) {  // any finite number
    const float any = float_of(static_cast<std::uint32_t>(generator()));
    if (std::isfinite(any)) x.push_back(any);
  }
  for (const std::int64_t count : kLengths) {
    for (std::size_t begin = 0; begin + static_cast<std::size_t>(count) <= x.size();
         begin += static_cast<std::size_t>(count) + 1) {
      std::vector<std::uint16_t> out(static_cast<std::size_t>(count) + 1, 0xabcd);
      kernels().to_bf16(x.data() + begin, out.data(), count);
      for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
        ASSERT_EQ(out[i], nearest_bf16(x[begin + i])) << std::hexfloat << x[begin + i];
      }
      ASSERT_EQ(out.back(), 0xabcd) << "written behind the end";
    }
  }
}

TEST_P(RowKernelsTest, NotANumberStaysOne) {
  const std::vector<float> x(33, std::numeric_limits<float>::quiet_NaN());
  std::vector<std::uint16_t> bits(33);
  std::vector<float> back(33);
  kernels().to_bf16(x.data(), bits.data(), 33);
  kernels().from_bf16(bits.data(), back.data(), 33);
  for (const float value : back) EXPECT_TRUE(std::isnan(value));
}

TEST_P(RowKernelsTest, FromBf16IsExact) {
  for (const std::int64_t count : kLengths) {
    std::vector<std::uint16_t> in(static_cast<std::size_t>(count));
    for (auto& value : in) value = static_cast<std::uint16_t>(generator());
    std::vector<float> out(in.size());
    kernels().from_bf16(in.data(), out.data(), count);
    for (std::size_t i = 0; i < in.size(); ++i) {
      ASSERT_EQ(bits_of(out[i]), std::uint32_t{in[i]} << 16) << i;
    }
  }
}

TEST_P(RowKernelsTest, LargestWhereverItIs) {
  for (const std::int64_t count : kLengths) {
    std::vector<float> x = values(count);
    for (std::int64_t place = 0; place < count; place += 1 + count / 40) {
      for (const float most : {9.0f, -9.0f}) {
        const float kept = x[static_cast<std::size_t>(place)];
        x[static_cast<std::size_t>(place)] = most;
        ASSERT_EQ(kernels().largest(x.data(), count), 9) << place << " of " << count;
        x[static_cast<std::size_t>(place)] = kept;
      }
    }
    const std::vector<float> zeros(static_cast<std::size_t>(count), -0.0f);
    EXPECT_EQ(kernels().largest(zeros.data(), count), 0);
  }
}

TEST_P(RowKernelsTest, ToIntegersRoundsToNearestEven) {
  for (const std::int64_t count : kLengths) {
    std::vector<float> x(static_cast<std::size_t>(count));
    std::uniform_real_distribution<float> anywhere(-127, 127);
    for (std::size_t i = 0; i < x.size(); ++i) {
      x[i] = i % 3 == 0 ? anywhere(generator) : std::round(anywhere(generator) - 0.5f) + 0.5f;
    }
    x[0] = count % 2 == 0 ? 127.0f : -127.0f;
    // A factor of 1 makes halves of them; another is rounded before, so halves are left out.
    for (const float factor : {1.0f, 0.25f}) {
      for (const int offset : {0, 128}) {
        std::vector<std::uint8_t> bytes(x.size() + 1, 77);
        kernels().to_int8(x.data(), factor, offset, bytes.data(), count);
        for (std::size_t i = 0; i < x.size(); ++i) {
          const auto expected = std::lrint(x[i] * factor) + offset;
          ASSERT_EQ(bytes[i], static_cast<std::uint8_t>(expected)) << x[i] << " times " << factor;
        }
        ASSERT_EQ(bytes.back(), 77) << "written behind the end";
      }
      std::vector<std::int16_t> words(x.size() + 1, 77);
      kernels().to_int16(x.data(), factor, words.data(), count);
      for (std::size_t i = 0; i < x.size(); ++i) {
        ASSERT_EQ(words[i], std::lrint(x[i] * factor)) << x[i] << " times " << factor;
      }
      ASSERT_EQ(words.back(), 77) << "written behind the end";
    }
  }
}

TEST_P(RowKernelsTest, ScatterLeavesWhatLiesBetween) {
  for (const int unit : {4, 64}) {
    for (const std::int64_t units : kLengths) {
      for (const std::int64_t stride : {1, 3, 32}) {
        std::vector<std::uint8_t> in(static_cast<std::size_t>(units * unit));
        for (auto& value : in) value = static_cast<std::uint8_t>(generator() % 255);
        // Ends with the last unit: sanitizers see what goes beyond.
        std::vector<std::uint8_t> out(static_cast<std::size_t>(((units - 1) * stride + 1) * unit),
                                      255);
        std::vector<std::uint8_t> expected = out;
        for (std::int64_t i = 0; i < units; ++i) {
          std::memcpy(expected.data() + i * stride * unit, in.data() + i * unit,
                      static_cast<std::size_t>(unit));
        }
        kernels().scatter(in.data(), out.data(), units, stride, unit);
        ASSERT_EQ(out, expected) << units << " units of " << unit << ", " << stride << " apart";
      }
    }
  }
}

TEST_P(RowKernelsTest, LayerNorm) {
  for (const std::int64_t count : kLengths) {
    for (const float size : {1e-4f, 1.0f, 1000.0f}) {
      std::vector<float> x = values(count, size);
      for (float& value : x) value += 3 * size;  // a mean that is not zero
      const std::vector<float> weight = values(count), bias = values(count);
      const double n = static_cast<double>(count), eps = 1e-6;
      const double mean = std::accumulate(x.begin(), x.end(), 0.0) / n;
      double variance = 0;
      for (const float value : x) variance += (value - mean) * (value - mean) / n;
      std::vector<float> out(x.size());
      kernels().layer_norm(x.data(), weight.data(), bias.data(), static_cast<float>(eps),
                           out.data(), count);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const double expected = (x[i] - mean) / std::sqrt(variance + eps) * weight[i] + bias[i];
        ASSERT_NEAR(out[i], expected, 1e-5) << i << " of " << count << ", size " << size;
      }
    }
  }
}

TEST_P(RowKernelsTest, RmsNormWithAndWithoutShift) {
  for (const std::int64_t count : kLengths) {
    for (const float size : {1e-4f, 1.0f, 1000.0f}) {
      const std::vector<float> x = values(count, size), scale = values(count),
                               shift = values(count);
      const double eps = 1e-6;
      double mean = 0;
      for (const float value : x) mean += double{value} * value / static_cast<double>(count);
      for (const bool shifted : {false, true}) {
        std::vector<float> out(x.size());
        kernels().rms_norm(x.data(), scale.data(), shifted ? shift.data() : nullptr,
                           static_cast<float>(eps), out.data(), count);
        for (std::size_t i = 0; i < x.size(); ++i) {
          const double expected =
              x[i] / std::sqrt(mean + eps) * (1.0 + scale[i]) + (shifted ? shift[i] : 0.0f);
          ASSERT_NEAR(out[i], expected, 1e-5) << i << " of " << count << ", size " << size;
        }
      }
    }
  }
}

TEST_P(RowKernelsTest, RotatePairsHalves) {
  for (const std::int64_t half : kLengths) {
    const std::vector<float> x = values(2 * half), cosines = values(half), sines = values(half);
    std::vector<float> out = x;
    kernels().rotate(out.data(), cosines.data(), sines.data(), half);
    for (std::size_t i = 0; i < cosines.size(); ++i) {
      const double a = x[i], b = x[i + cosines.size()], c = cosines[i], s = sines[i];
      ASSERT_NEAR(out[i], a * c - b * s, 2e-6) << i;
      ASSERT_NEAR(out[i + cosines.size()], b * c + a * s, 2e-6) << i;
    }
  }
}

// Of what fp32 has: below e^-87 its numbers lose digits, and softmax has no use for them.
TEST_P(RowKernelsTest, Exponentials) {
  constexpr double kSmallest = 2e-38;
  for (const std::int64_t count : kLengths) {
    for (const float size : {0.0f, 1e-3f, 1.0f, 30.0f, 1e4f}) {
      for (const float scale : {1.0f, 0.0625f}) {
        std::vector<float> x = values(count, size);
        const std::vector<float> before = x;
        const float most = *std::max_element(x.begin(), x.end());
        const double sum = kernels().exponentials(x.data(), scale, count);
        double expected_sum = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
          // The argument is what fp32 makes of it.
          const double expected = std::exp(double{(before[i] - most) * scale});
          expected_sum += expected;
          ASSERT_NEAR(x[i], expected, std::max(1e-6 * expected, kSmallest))
              << before[i] - most << " times " << scale;
        }
        EXPECT_NEAR(sum, expected_sum, 1e-6 * expected_sum) << count;
      }
    }
  }
}

TEST_P(RowKernelsTest, ExponentialsAllAlongTheirRange) {
  std::vector<float> x;
  for (float value = 0; value > -87; value -= 0.0037f) x.push_back(value);
  const std::vector<float> before = x;
  kernels().exponentials(x.data(), 1, static_cast<std::int64_t>(x.size()));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double expected = std::exp(double{before[i]});
    ASSERT_NEAR(x[i], expected, 5e-7 * expected) << before[i];
  }
}

TEST_P(RowKernelsTest, MultiplyBy) {
  for (const std::int64_t count : kLengths) {
    const std::vector<float> x = values(count);
    std::vector<float> out = x;
    kernels().multiply_by(out.data(), 0.3f, count);
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(out[i], x[i] * 0.3f) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, RowKernelsTest, testing::ValuesIn(kLevels),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace pi0::cpu
