// What becomes of a finished tile, at each level of compilation, against formulas in double.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <ostream>

#include "device/cpu/isa/kernels_testing.h"
#include "device/host_tensor.h"

namespace pi0::cpu {
namespace {

double gelu(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
double apply(Function function, double x) {
  switch (function) {
    case Function::kGelu:
      return gelu(x);
    case Function::kSilu:
      return x / (1 + std::exp(-x));
    case Function::kNone:
      break;
  }
  return x;
}

constexpr int kRows = 5;               // of a tile
constexpr std::int64_t kFirstRow = 2;  // of the tile in what is finished
constexpr float kUntouched = 12345;

// Two panels of `tile_columns`; the second has fewer columns of the result.
struct Problem {
  int tile_columns;
  std::int64_t columns;
  bool integers, with_bias, with_row, with_gate;
  Finish finish = Finish::kStore;
  Function function = Function::kNone;
  Number out_type = Number::kF32;
  bool gate_by_row = false;
};
void PrintTo(const Problem& p, std::ostream* out) {
  *out << p.tile_columns << " columns of " << p.columns << (p.integers ? ", integers" : "")
       << (p.with_bias ? ", bias" : "") << (p.with_row ? ", row" : "")
       << (p.with_gate ? ", gate" : "") << (p.gate_by_row ? " by row" : "") << ", finish "
       << static_cast<int>(p.finish) << ", function " << static_cast<int>(p.function) << ", type "
       << static_cast<int>(p.out_type);
}

class FinishTileTest : public LevelTest {
 protected:
  void check(const Problem& p) {
    const bool halves = p.finish == Finish::kGate;
    const std::int64_t panel = halves ? p.tile_columns / 2 : p.tile_columns;  // of the result
    const std::int64_t panels = (p.columns + panel - 1) / panel;
    const std::int64_t padded = panels * p.tile_columns;
    const std::int64_t stride = p.columns + 3, rows = kFirstRow + kRows + 1;
    // Sums of integers come to some 100000: scales that make values of size 1 of them.
    const std::vector<float> bias = values(padded), row_scales = values(rows, 0.01f),
                             column_scales = values(padded, 1e-3f);
    // As many as `columns`: sanitizers see what is read beyond.
    const std::int64_t gate_stride = p.gate_by_row ? p.columns + 2 : 0;
    const std::vector<float> row = values(p.columns),
                             gate = values((kFirstRow + kRows - 1) * gate_stride + p.columns);
    std::vector<std::int32_t> offsets(static_cast<std::size_t>(padded));
    for (auto& one : offsets) one = 128 * (static_cast<std::int32_t>(generator() % 2000) - 1000);

    std::vector<float> before = values(rows * stride);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < stride; ++c) {
        const bool inside = c < p.columns && r >= kFirstRow && r < kFirstRow + kRows;
        if (!inside) before[static_cast<std::size_t>(r * stride + c)] = kUntouched;
      }
    }
    std::vector<float> out = before;
    std::vector<std::uint16_t> out_bf16(out.size(), 0x1234);

    FinishWork work;
    work.finish = p.finish;
    work.function = p.function;
    work.out_type = p.out_type;
    work.out = p.out_type == Number::kBf16 ? static_cast<void*>(out_bf16.data()) : out.data();
    work.stride = stride;
    work.columns = p.columns;
    work.bias = p.with_bias ? bias.data() : nullptr;
    work.row = p.with_row ? row.data() : nullptr;
    work.gate = p.with_gate ? gate.data() : nullptr;
    work.gate_stride = gate_stride;
    if (p.integers) {
      work.row_scales = row_scales.data();
      work.column_scales = column_scales.data();
      work.column_offsets = offsets.data();
    }

    std::vector<std::vector<double>> y;  // by panel, [kRows][tile_columns]
    for (std::int64_t n = 0; n < panels; ++n) {
      std::vector<float> tile = values(kRows * p.tile_columns);
      std::vector<double>& sums = y.emplace_back(tile.begin(), tile.end());
      for (std::size_t i = 0; i < tile.size(); ++i) {
        const std::size_t j = i % static_cast<std::size_t>(p.tile_columns);
        const auto column = static_cast<std::size_t>(n * p.tile_columns) + j;
        if (p.integers) {
          const auto whole = static_cast<std::int32_t>(tile[i] * 1000);
          std::memcpy(&tile[i], &whole, 4);
          const std::size_t r = kFirstRow + i / static_cast<std::size_t>(p.tile_columns);
          sums[i] = (double{static_cast<float>(whole - offsets[column])}) * column_scales[column] *
                    row_scales[r];
        }
        if (p.with_bias) sums[i] += bias[column];
      }
      kernels().finish_tile(tile.data(), kRows, p.tile_columns, p.integers, kFirstRow,
                            n * p.tile_columns, work);
    }

    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < stride; ++c) {
        const auto at = static_cast<std::size_t>(r * stride + c);
        if (before[at] == kUntouched) {
          ASSERT_EQ(out[at], kUntouched) << testing::PrintToString(p) << ", at " << r << ' ' << c;
          ASSERT_EQ(out_bf16[at], 0x1234) << testing::PrintToString(p) << ", at " << r << ' ' << c;
          continue;
        }
        const std::vector<double>& sums = y[static_cast<std::size_t>(c / panel)];
        const auto i = static_cast<std::size_t>((r - kFirstRow) * p.tile_columns + c % panel);
        double expected = sums[i];
        if (halves) {
          expected = gelu(expected) * sums[i + static_cast<std::size_t>(panel)];
        } else {
          if (p.with_row) expected += row[static_cast<std::size_t>(c)];
          expected = apply(p.function, expected);
          if (p.finish == Finish::kAdd) {
            const auto own = static_cast<std::size_t>(r * gate_stride + c);
            expected = before[at] + (p.with_gate ? double{gate[own]} : 1.0) * expected;
          }
        }
        double actual = out[at], error = 3e-6;
        if (p.out_type == Number::kBf16) {
          ASSERT_EQ(out[at], before[at]);
          actual = bf16_to_float(out_bf16[at]);
          error = 1.0 / 256 + 1e-5;  // half of the last of 8 bits
        }
        ASSERT_NEAR(actual, expected, error * std::max(1.0, std::abs(expected)))
            << testing::PrintToString(p) << ", at " << r << ' ' << c;
      }
    }
  }
};

// Results of one column, of less and more than a panel, of whole panels, and one more.
constexpr std::int64_t kColumns[] = {1, 7, 16, 17, 31, 32, 33, 63, 64, 65};

TEST_P(FinishTileTest, StoresAndAdds) {
  for (const int tile_columns : LevelTest::tile_columns()) {
    for (const std::int64_t columns : kColumns) {
      for (const bool integers : {false, true}) {
        for (const bool with_bias : {false, true}) {
          for (const Function function : {Function::kNone, Function::kGelu, Function::kSilu}) {
            for (const bool with_row : {false, true}) {
              for (const Number type : {Number::kF32, Number::kBf16}) {
                check({tile_columns, columns, integers, with_bias, with_row, false, Finish::kStore,
                       function, type});
                if (HasFatalFailure()) return;
              }
            }
          }
          for (const auto& [with_gate, by_row] :
               {std::pair(false, false), {true, false}, {true, true}}) {
            check({tile_columns, columns, integers, with_bias, false, with_gate, Finish::kAdd,
                   Function::kNone, Number::kF32, by_row});
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

TEST_P(FinishTileTest, Gates) {
  for (const int tile_columns : LevelTest::tile_columns()) {
    for (const std::int64_t columns : kColumns) {
      for (const bool integers : {false, true}) {
        for (const bool with_bias : {false, true}) {
          for (const Number type : {Number::kF32, Number::kBf16}) {
            check({tile_columns, columns, integers, with_bias, false, false, Finish::kGate,
                   Function::kNone, type});
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

// Two heads: rows of two sequences, whose second begins within the tile.
TEST_P(FinishTileTest, RotatesHeads) {
  for (const int tile_columns : LevelTest::tile_columns()) {
    for (const std::int64_t half : {1, 7, 8, 9, 16, 17, 36, 128}) {
      const std::int64_t side = tile_columns / 2, panels = (half + side - 1) / side;
      const std::int64_t tokens = kFirstRow + 2, stride = 4 * half + 3, rows = kFirstRow + kRows;
      const std::vector<float> bias = values(2 * panels * tile_columns),
                               cosines = values(tokens * half), sines = values(tokens * half);
      std::vector<float> out(static_cast<std::size_t>(rows * stride), kUntouched);
      std::vector<std::uint16_t> out_bf16(out.size(), 0x1234);
      FinishWork work;
      work.finish = Finish::kRotate;
      work.stride = stride;
      work.columns = 4 * half;
      work.bias = bias.data();
      work.cosines = cosines.data();
      work.sines = sines.data();
      work.tokens = tokens;
      work.half = half;
      std::vector<std::vector<float>> tiles;
      for (std::int64_t n = 0; n < 2 * panels; ++n) {
        tiles.push_back(values(kRows * tile_columns));
        for (const Number type : {Number::kF32, Number::kBf16}) {
          work.out_type = type;
          work.out = type == Number::kF32 ? static_cast<void*>(out.data()) : out_bf16.data();
          kernels().finish_tile(tiles.back().data(), kRows, tile_columns, false, kFirstRow,
                                n * tile_columns, work);
        }
      }
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < stride; ++c) {
          const auto at = static_cast<std::size_t>(r * stride + c);
          if (r < kFirstRow || c >= 4 * half) {
            ASSERT_EQ(out[at], kUntouched) << r << ' ' << c;
            ASSERT_EQ(out_bf16[at], 0x1234) << r << ' ' << c;
            continue;
          }
          const std::int64_t head = c / (2 * half), i = c % half;
          const std::int64_t panel = head * panels + i / side;
          const auto y = [&](std::int64_t column) {
            return double{tiles[static_cast<std::size_t>(panel)][static_cast<std::size_t>(
                       (r - kFirstRow) * tile_columns + column)]} +
                   bias[static_cast<std::size_t>(panel * tile_columns + column)];
          };
          const auto angle = static_cast<std::size_t>(r % tokens * half + i);
          const double a = y(i % side), b = y(side + i % side);
          const double expected = c % (2 * half) < half ? a * cosines[angle] - b * sines[angle]
                                                        : b * cosines[angle] + a * sines[angle];
          const double size = std::max(1.0, std::abs(expected));
          ASSERT_NEAR(out[at], expected, 2e-6 * size)
              << "half " << half << ", at " << r << ' ' << c;
          ASSERT_NEAR(bf16_to_float(out_bf16[at]), expected, size / 256 + 1e-5)
              << "half " << half << ", at " << r << ' ' << c;
        }
      }
    }
  }
}

// Where tanh and exp have come to their limits, and far beyond.
TEST_P(FinishTileTest, FunctionsAllAlongTheirRange) {
  std::vector<float> inputs;
  for (const float x : {0.0f, -0.0f, 1e-30f, 1e-8f, 1e-3f, 88.0f, 104.0f, 1e3f, 1e4f, 1e10f}) {
    inputs.push_back(x);
    inputs.push_back(-x);
  }
  for (float x = -20; x < 20; x += 0.0091f) inputs.push_back(x);
  inputs.resize((inputs.size() + 31) / 32 * 32);
  for (const Function function : {Function::kGelu, Function::kSilu}) {
    std::vector<float> out(inputs.size());
    FinishWork work;
    work.function = function;
    work.out = out.data();
    work.stride = work.columns = 32;
    const auto rows = static_cast<int>(inputs.size() / 32);
    kernels().finish_tile(inputs.data(), rows, 32, false, 0, 0, work);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const double expected = apply(function, inputs[i]);
      // Of large negative x, next to nothing is left of what cancels.
      ASSERT_NEAR(out[i], expected, std::max(1e-6 * std::abs(expected), 2e-7))
          << "function " << static_cast<int>(function) << " of " << inputs[i];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, FinishTileTest, testing::ValuesIn(kLevels),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace pi0::cpu
