// Plain loops over small tiles, which a compiler turns into whatever vectors the target has.
#include "device/cpu/kernels/kernels.h"

namespace pi0::cpu::portable {
namespace {

using std::int64_t;

constexpr int kRowsOfTile = 4;
constexpr int kColumns = 16;

float widened(float x) { return x; }
float widened(std::uint16_t bf16) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(bf16) << 16);
}
std::int32_t widened(std::int8_t x) { return x; }

template <int kTileRows, int kGroup, typename Value, typename Weight, typename Sum>
void multiply_rows(const Value* a, const Weight* b, Sum* tile, int64_t depth, bool add) {
  Sum sums[kTileRows][kColumns];
  for (int i = 0; i < kTileRows; ++i) {
    for (int j = 0; j < kColumns; ++j) sums[i][j] = add ? tile[i * kColumns + j] : Sum(0);
  }
  for (int64_t k = 0; k < depth; k += kGroup) {
    for (int i = 0; i < kTileRows; ++i) {
      for (int g = 0; g < kGroup; ++g) {
        const Sum x = a[i * kGroup + g];
        for (int j = 0; j < kColumns; ++j) sums[i][j] += x * widened(b[j * kGroup + g]);
      }
    }
    a += kTileRows * kGroup;
    b += kColumns * kGroup;
  }
  for (int i = 0; i < kTileRows; ++i) {
    for (int j = 0; j < kColumns; ++j) tile[i * kColumns + j] = sums[i][j];
  }
}

template <int kGroup, typename Value, typename Weight, typename Sum>
void multiply(const void* activations, const void* weights, void* tile, int64_t depth, int rows,
              bool add) {
  const auto* const a = static_cast<const Value*>(activations);
  const auto* const b = static_cast<const Weight*>(weights);
  auto* const sums = static_cast<Sum*>(tile);
  switch (rows) {
    case 1:
      return multiply_rows<1, kGroup>(a, b, sums, depth, add);
    case 2:
      return multiply_rows<2, kGroup>(a, b, sums, depth, add);
    case 3:
      return multiply_rows<3, kGroup>(a, b, sums, depth, add);
    default:
      return multiply_rows<kRowsOfTile, kGroup>(a, b, sums, depth, add);
  }
}

// A tile that stays where the compiler put it; what else a plain loop can do at best is not known.
constexpr int64_t kPeakDepth = 32;
template <int kGroup, typename Value, typename Weight, typename Sum>
void peak(int64_t times) {
  static const Value a[kPeakDepth * kRowsOfTile] = {};
  static const Weight b[kPeakDepth * kColumns] = {};
  Sum tile[kRowsOfTile * kColumns] = {};
  for (int64_t i = 0; i < times; ++i) {
    multiply_rows<kRowsOfTile, kGroup>(a, b, tile, kPeakDepth, true);
    asm volatile("" ::"r"(tile) : "memory");
  }
}

template <int kGroup, typename Value, typename Weight, typename Sum>
constexpr MultiplyKernel plain_loops(Number activations, Number weights) {
  return {
      .name = "plain loops",
      .activations = activations,
      .weights = weights,
      .rows = kRowsOfTile,
      .columns = kColumns,
      .activation_group = kGroup,
      .weight_group = kGroup,
      .offset = 0,
      .multiply = multiply<kGroup, Value, Weight, Sum>,
      .end = nullptr,
      .peak = peak<kGroup, Value, Weight, Sum>,
      .peak_operations = 2.0 * kPeakDepth * kRowsOfTile * kColumns,
  };
}

}  // namespace

extern const MultiplyKernel kF32 = plain_loops<1, float, float, float>(Number::kF32, Number::kF32);
extern const MultiplyKernel kBf16 =
    plain_loops<1, float, std::uint16_t, float>(Number::kF32, Number::kBf16);
extern const MultiplyKernel kInt8 =  // two a group, so that a unit has four bytes
    plain_loops<2, std::int16_t, std::int8_t, std::int32_t>(Number::kInt16, Number::kInt8);

}  // namespace pi0::cpu::portable
