// The inner kernel of machines with vectors: a tile of sums that stays in registers, row by row
// times one column vector after another. `Vector` says how a machine does it:
//
//   Sum                                the type of a register of sums
//   kColumns, kRows, kGroup            sums in a register, rows of a full tile, values a unit
//   Sum zero(), load(const void*), void store(void*, Sum)
//   Weights weights(const void*)       the next register of weights
//   Unit unit(const void*)             one unit of an activation in every place
//   Sum multiply_add(Sum, Unit, Weights)
#pragma once

#include "device/cpu/kernels/kernels.h"

namespace pi0::cpu {
namespace {  // in each file that includes it: no copy is shared between instruction sets

constexpr int kTileVectors = 2;  // registers of sums in a row of a tile

template <typename Vector, int kTileRows>
void multiply_rows(const char* a, const char* b, char* tile, std::int64_t depth, bool add) {
  constexpr int kRegister = Vector::kColumns * 4;  // bytes of sums
  constexpr int kWeights = Vector::kColumns * Vector::kUnitBytes;
  typename Vector::Sum sums[kTileRows][kTileVectors];
#pragma GCC unroll 16
  for (int i = 0; i < kTileRows; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < kTileVectors; ++j) {
      sums[i][j] = add ? Vector::load(tile + (i * kTileVectors + j) * kRegister) : Vector::zero();
    }
  }
  for (std::int64_t k = 0; k < depth; k += Vector::kGroup) {
    const auto first = Vector::weights(b), second = Vector::weights(b + kWeights);
    b += kTileVectors * kWeights;
#pragma GCC unroll 16
    for (int i = 0; i < kTileRows; ++i) {
      const auto unit = Vector::unit(a + i * Vector::kUnitBytes);
      sums[i][0] = Vector::multiply_add(sums[i][0], unit, first);
      sums[i][1] = Vector::multiply_add(sums[i][1], unit, second);
    }
    a += kTileRows * Vector::kUnitBytes;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kTileRows; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < kTileVectors; ++j) {
      Vector::store(tile + (i * kTileVectors + j) * kRegister, sums[i][j]);
    }
  }
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
  constexpr int kSums = Vector::kRows * kTileVectors;
  alignas(64) static const char zeros[64] = {};
  typename Vector::Sum sums[kSums];
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) {
    sums[i] = Vector::zero();
    Vector::keep(sums[i]);
  }
  auto unit = Vector::unit(zeros);
  auto weights = Vector::weights(zeros);
  Vector::keep(weights);
  for (std::int64_t time = 0; time < times; ++time) {
#pragma GCC unroll 32
    for (int i = 0; i < kSums; ++i) {
      Vector::keep(unit);
      sums[i] = Vector::multiply_add(sums[i], unit, weights);
    }
  }
  alignas(64) char result[64];
#pragma GCC unroll 32
  for (int i = 0; i < kSums; ++i) {
    Vector::store(result, sums[i]);
    asm volatile("" ::"r"(result) : "memory");
  }
}
template <typename Vector>
constexpr double kPeakOperations =
    2.0 * Vector::kRows* kTileVectors* Vector::kColumns* Vector::kGroup;

// `Kernel` for what a Vector reads; the rest by hand.
template <typename Vector>
constexpr MultiplyKernel tile_kernel(const char* name, Number activations, Number stored,
                                     Number weights, int offset,
                                     void (*expand)(const void*, void*, std::int64_t)) {
  return {
      .name = name,
      .activations = activations,
      .stored = stored,
      .weights = weights,
      .rows = Vector::kRows,
      .columns = kTileVectors * Vector::kColumns,
      .activation_group = Vector::kGroup,
      .weight_group = Vector::kGroup,
      .offset = offset,
      .multiply = multiply_tile<Vector>,
      .begin = nullptr,
      .end = nullptr,
      .expand = expand,
      .peak = peak<Vector>,
      .peak_operations = kPeakOperations<Vector>,
  };
}

}  // namespace
}  // namespace pi0::cpu
