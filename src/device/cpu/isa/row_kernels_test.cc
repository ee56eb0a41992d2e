// Work on rows, compiled for each level, against formulas in double: on lengths that fill no
// vector.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "device/cpu/isa/kernels_testing.h"

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

TEST_P(RowKernelsTest, ColumnLargestWhereverItIs) {
  for (const int columns : tile_columns()) {
    for (const std::int64_t rows : kLengths) {
      const std::vector<float> x = values(rows * columns);
      std::vector<float> most(static_cast<std::size_t>(columns), -INFINITY);
      std::vector<float> expected = most;
      most[3] = expected[3] = 9;  // of rows before
      for (std::size_t i = 0; i < x.size(); ++i) {
        float& one = expected[i % static_cast<std::size_t>(columns)];
        one = std::max(one, x[i]);
      }
      kernels().column_largest(x.data(), rows, columns, most.data());
      ASSERT_EQ(most, expected) << rows << " rows of " << columns;
    }
  }
}

// Of what fp32 has: below e^-87 its numbers lose digits, and softmax has no use for them.
TEST_P(RowKernelsTest, ColumnExponentials) {
  constexpr double kSmallest = 2e-38;
  for (const int columns : tile_columns()) {
    const auto width = static_cast<std::size_t>(columns);
    for (const std::int64_t rows : kLengths) {
      for (const float size : {0.0f, 1e-3f, 1.0f, 30.0f, 1e4f}) {
        const std::vector<float> x = values(rows * columns, size);
        std::vector<float> most(width, -INFINITY);
        kernels().column_largest(x.data(), rows, columns, most.data());
        for (const float scale : {1.0f, 0.0625f}) {
          std::vector<float> out(x.size() + 1, 77), sums = values(columns);
          std::vector<double> expected_sums(sums.begin(), sums.end());
          kernels().column_exponentials(x.data(), rows, columns, most.data(), scale, sums.data(),
                                        Number::kF32, out.data());
          for (std::size_t i = 0; i < x.size(); ++i) {
            // The argument is what fp32 makes of it.
            const double expected = std::exp(double{(x[i] - most[i % width]) * scale});
            expected_sums[i % width] += expected;
            ASSERT_NEAR(out[i], expected, std::max(1e-6 * expected, kSmallest))
                << x[i] - most[i % width] << " times " << scale;
          }
          ASSERT_EQ(out.back(), 77) << "written behind the end";
          for (std::size_t j = 0; j < width; ++j) {
            ASSERT_NEAR(sums[j], expected_sums[j], 1e-5 * std::max(1.0, expected_sums[j])) << j;
          }

          // In bf16: the same, two rows side by side.
          const auto pairs = static_cast<std::size_t>((rows + 1) / 2);
          std::vector<std::uint16_t> packed(pairs * width * 2 + 1, 0x4d4d);
          std::vector<float> same_sums(width, 0.0f);
          kernels().column_exponentials(x.data(), rows, columns, most.data(), scale,
                                        same_sums.data(), Number::kBf16, packed.data());
          for (std::size_t i = 0; i < pairs * width * 2; ++i) {
            const std::size_t row = i / (2 * width) * 2 + i % 2, column = i % (2 * width) / 2;
            const bool there = row < static_cast<std::size_t>(rows);
            const std::uint16_t expected = there ? nearest_bf16(out[row * width + column]) : 0;
            ASSERT_EQ(packed[i], expected) << "row " << row << ", column " << column;
          }
          ASSERT_EQ(packed.back(), 0x4d4d) << "written behind the end";
        }
      }
    }
  }
}

TEST_P(RowKernelsTest, ColumnExponentialsAllAlongTheirRange) {
  std::vector<float> x;
  for (float value = 0; value > -87; value -= 0.0037f) x.push_back(value);
  x.resize(x.size() / 32 * 32);
  std::vector<float> out(x.size());
  const std::vector<float> most(32, 0.0f);
  std::vector<float> sums(32);
  kernels().column_exponentials(x.data(), static_cast<std::int64_t>(x.size() / 32), 32, most.data(),
                                1, sums.data(), Number::kF32, out.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double expected = std::exp(double{x[i]});
    ASSERT_NEAR(out[i], expected, 5e-7 * expected) << x[i];
  }
}

TEST_P(RowKernelsTest, TakeColumn) {
  for (const int columns : tile_columns()) {
    for (const std::int64_t rows : kLengths) {
      const std::vector<float> x = values(rows * columns);
      for (const std::size_t column : {0, 5, columns - 1}) {
        std::vector<float> out(static_cast<std::size_t>(rows) + 1, 77);
        // Ends with the last: sanitizers see what is read beyond.
        const std::vector<float> in(x.begin() + static_cast<std::ptrdiff_t>(column),
                                    x.end() - columns + 1 + static_cast<std::ptrdiff_t>(column));
        kernels().take_column(in.data(), rows, columns, 0.3f, out.data());
        for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
          ASSERT_EQ(out[r], x[r * static_cast<std::size_t>(columns) + column] * 0.3f) << r;
        }
        ASSERT_EQ(out.back(), 77) << "written behind the end";
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, RowKernelsTest, testing::ValuesIn(kLevels),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace pi0::cpu
