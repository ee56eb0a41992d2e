// Plain loops over small tiles, which a compiler turns into whatever vectors the target has.
#include "device/cpu/kernels/kernels.h"

namespace pi0::cpu::portable {
namespace {

using std::int64_t;

constexpr int kRowsOfTile = 4;
constexpr int kColumns = 16;

template <int kTileRows, int kGroup, typename Value, typename Sum>
void multiply_rows(const Value* a, const Value* b, Sum* tile, int64_t depth, bool add) {
  Sum sums[kTileRows][kColumns];
  for (int i = 0; i < kTileRows; ++i) {
    for (int j = 0; j < kColumns; ++j) sums[i][j] = add ? tile[i * kColumns + j] : Sum(0);
  }
  for (int64_t k = 0; k < depth; k += kGroup) {
    for (int i = 0; i < kTileRows; ++i) {
      for (int g = 0; g < kGroup; ++g) {
        const Sum x = a[i * kGroup + g];
        for (int j = 0; j < kColumns; ++j) sums[i][j] += x * static_cast<Sum>(b[j * kGroup + g]);
      }
    }
    a += kTileRows * kGroup;
    b += kColumns * kGroup;
  }
  for (int i = 0; i < kTileRows; ++i) {
    for (int j = 0; j < kColumns; ++j) tile[i * kColumns + j] = sums[i][j];
  }
}

template <int kGroup, typename Value, typename Sum>
void multiply(const void* activations, const void* weights, void* tile, int64_t depth, int rows,
              bool add) {
  const auto* const a = static_cast<const Value*>(activations);
  const auto* const b = static_cast<const Value*>(weights);
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

void expand_bf16(const void* stored, void* weights, int64_t count) {
  kRows.from_bf16(static_cast<const std::uint16_t*>(stored), static_cast<float*>(weights), count);
}

void expand_int8(const void* stored, void* weights, int64_t count) {
  const auto* const in = static_cast<const std::int8_t*>(stored);
  auto* const out = static_cast<std::int16_t*>(weights);
  for (int64_t i = 0; i < count; ++i) out[i] = in[i];
}

// A tile that stays where the compiler put it; what else a plain loop can do at best is not known.
template <int kGroup, typename Value, typename Sum>
void peak(int64_t times) {
  constexpr int64_t kDepth = 32;
  static const Value a[kDepth * kRowsOfTile] = {}, b[kDepth * kColumns] = {};
  Sum tile[kRowsOfTile * kColumns] = {};
  for (int64_t i = 0; i < times; ++i) {
    multiply_rows<kRowsOfTile, kGroup>(a, b, tile, kDepth, true);
    asm volatile("" ::"r"(tile) : "memory");
  }
}
constexpr double kPeakOperations = 2.0 * 32 * kRowsOfTile * kColumns;

}  // namespace

extern const MultiplyKernel kF32 = {
    .name = "plain loops",
    .activations = Number::kF32,
    .stored = Number::kF32,
    .weights = Number::kF32,
    .rows = kRowsOfTile,
    .columns = kColumns,
    .activation_group = 1,
    .weight_group = 1,
    .offset = 0,
    .multiply = multiply<1, float, float>,
    .begin = nullptr,
    .end = nullptr,
    .expand = nullptr,
    .peak = peak<1, float, float>,
    .peak_operations = kPeakOperations,
};
extern const MultiplyKernel kBf16 = {
    .name = "plain loops",
    .activations = Number::kF32,
    .stored = Number::kBf16,
    .weights = Number::kF32,
    .rows = kRowsOfTile,
    .columns = kColumns,
    .activation_group = 1,
    .weight_group = 1,
    .offset = 0,
    .multiply = multiply<1, float, float>,
    .begin = nullptr,
    .end = nullptr,
    .expand = expand_bf16,
    .peak = peak<1, float, float>,
    .peak_operations = kPeakOperations,
};
extern const MultiplyKernel kInt8 = {
    .name = "plain loops",
    .activations = Number::kInt16,
    .stored = Number::kInt8,
    .weights = Number::kInt16,
    .rows = kRowsOfTile,
    .columns = kColumns,
    .activation_group = 2,  // so that a unit has four bytes
    .weight_group = 2,
    .offset = 0,
    .multiply = multiply<2, std::int16_t, std::int32_t>,
    .begin = nullptr,
    .end = nullptr,
    .expand = expand_int8,
    .peak = peak<2, std::int16_t, std::int32_t>,
    .peak_operations = kPeakOperations,
};

}  // namespace pi0::cpu::portable
