// The inner kernel of machines with vectors: a tile of sums that stays in registers, two to a row,
// row by row times the weights of one group of depth after another. `Vector` says how a machine
// does it:
//
//   Sum, Sums {first, second}        a register of sums, and the two of a row
//   kColumns, kRows, kGroup          sums in a register, rows of a full tile, values a unit
//   kUnitBytes, kWeightBytes         of a unit of activations, of a group of a tile's weights
//   Sum zero()
//   Sums load(const void*)           a row of a tile, and back
//   void store(void*, Sums)
//   Weights weights(const void*)     {first, second}: a group, widened where it is stored narrower
//   Unit unit(const void*)           one unit of an activation in every place
//   Sum multiply_add(Sum, Unit, a register of weights)
//
// The two registers have the first and the second half of the columns, or whatever weights(),
// load() and store() agree on.
#pragma once

#include "device/cpu/kernels/kernels.h"

namespace pi0::cpu {
namespace {  // in each file that includes it: no copy is shared between instruction sets

template <typename Vector, int kTileRows>
void multiply_rows(const char* a, const char* b, char* tile, std::int64_t depth, bool add) {
  constexpr int kRowBytes = 2 * Vector::kColumns * 4;  // of sums
  typename Vector::Sums sums[kTileRows];
#pragma GCC unroll 16
  for (int i = 0; i < kTileRows; ++i) {
    if (add) {
      sums[i] = Vector::load(tile + i * kRowBytes);
    } else {
      sums[i] = {Vector::zero(), Vector::zero()};
    }
  }
  for (std::int64_t k = 0; k < depth; k += Vector::kGroup) {
    const auto weights = Vector::weights(b);
    b += Vector::kWeightBytes;
#pragma GCC unroll 16
    for (int i = 0; i < kTileRows; ++i) {
      const auto unit = Vector::unit(a + i * Vector::kUnitBytes);
      sums[i].first = Vector::multiply_add(sums[i].first, unit, weights.first);
      sums[i].second = Vector::multiply_add(sums[i].second, unit, weights.second);
    }
    a += kTileRows * Vector::kUnitBytes;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kTileRows; ++i) Vector::store(tile + i * kRowBytes, sums[i]);
}

// The kernel of a tile with as many rows as are left.
template <typename Vector, int kTileRows = Vector::kRows>
void multiply_tile(const void* activations, const void* weights, void* tile, std::int64_t depth,
                   int rows, bool add) {
  if constexpr (kTileRows > 1) {
    if (rows < kTileRows) {
      return multiply_tile<Vector, kTileRows - 1>(activations, weights, tile, depth, rows, add);
    }
  }
  multiply_rows<Vector, kTileRows>(static_cast<const char*>(activations),
                                   static_cast<const char*>(weights), static_cast<char*>(tile),
                                   depth, add);
}

// The instruction on registers alone: as many sums as a full tile has, none waiting for another.
// keep() hides from the compiler that all of them, and all times, come to the same.
template <typename Vector>
void peak(std::int64_t times) {
  constexpr int kSums = Vector::kRows * 2;
  alignas(64) static const char zeros[Vector::kWeightBytes] = {};
  typename Vector::Sum sums[kSums];
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) {
    sums[i] = Vector::zero();
    Vector::keep(sums[i]);
  }
  auto unit = Vector::unit(zeros);
  auto weights = Vector::weights(zeros).first;
  Vector::keep(weights);
  for (std::int64_t time = 0; time < times; ++time) {
#pragma GCC unroll 32
    for (int i = 0; i < kSums; ++i) {
      Vector::keep(unit);
      sums[i] = Vector::multiply_add(sums[i], unit, weights);
    }
  }
  alignas(64) char result[128];
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) {
    Vector::store(result, {sums[i], sums[i]});
    asm volatile("" ::"r"(result) : "memory");
  }
}
template <typename Vector>
constexpr double kPeakOperations = 2.0 * Vector::kRows * 2 * Vector::kColumns* Vector::kGroup;

// `Kernel` for what a Vector reads; the rest by hand.
template <typename Vector>
constexpr MultiplyKernel tile_kernel(const char* name, Number activations, Number weights,
                                     int offset = 0) {
  return {
      .name = name,
      .activations = activations,
      .weights = weights,
      .rows = Vector::kRows,
      .columns = 2 * Vector::kColumns,
      .activation_group = Vector::kGroup,
      .weight_group = Vector::kGroup,
      .offset = offset,
      .multiply = multiply_tile<Vector>,
      .end = nullptr,
      .peak = peak<Vector>,
      .peak_operations = kPeakOperations<Vector>,
  };
}

}  // namespace
}  // namespace pi0::cpu
