// What the matrix and vector units of a core compute, with the precision that they have.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "device/ttnn/shim/shim.h"

namespace pi0::emulated {

// Row-major and dense.
struct Matrix {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<float> values;

  Matrix() = default;
  Matrix(std::int64_t r, std::int64_t c)
      : rows(r), columns(c), values(static_cast<std::size_t>(r * c)) {}
  std::span<float> row(std::int64_t r) {
    return std::span(values).subspan(static_cast<std::size_t>(r * columns),
                                     static_cast<std::size_t>(columns));
  }
  std::span<const float> row(std::int64_t r) const {
    return std::span(values).subspan(static_cast<std::size_t>(r * columns),
                                     static_cast<std::size_t>(columns));
  }
};

// a [m, k] x b [k, n]; all sizes multiples of 32. `a` is TTNN's in0, `b` its in1: the multiplier
// sees fewer bits of each where the fidelity is lower. Before the last `reloaded` columns of `a`
// the sums so far come back from L1 through the unpacker, in tf32; 0: they do not.
Matrix multiply(const Matrix& a, const Matrix& b, const shim::ComputeKernelConfig& compute,
                std::int64_t reloaded = 0);

// Of two values, as the matrix unit multiplies tiles element by element: a from SrcA, b from SrcB.
float product(float a, float b, const shim::ComputeKernelConfig& compute);

// Their sum, likewise: both in tf32, the smaller brought to the larger one's exponent first, where
// it keeps what 10 bits of mantissa hold.
float added(float a, float b, bool fp32_dest_acc_en);

// As the vector unit computes it: gelu by erf, from 2.78125 on the value itself, as
// calculate_gelu_piecewise has it; silu.
float apply(shim::Unary unary, float value);

// Of one padded row: over its first `width` values, in place. weight and bias are padded rows, bias
// may be empty. `centred` takes the mean off (layer norm), else RMS norm. What is summed is cut to
// `summed_bits` of mantissa.
void normalise(std::span<float> row, std::int64_t width, bool centred,
               std::span<const float> weight, std::span<const float> bias, float epsilon,
               int summed_bits, const shim::ComputeKernelConfig& compute);

struct Attention {
  float scale = 1;
  std::int64_t keys = 0;         // logical
  std::int64_t k_chunk = 32;     // keys at a time, whose sums are then rescaled
  const Matrix* mask = nullptr;  // padded, already divided by `scale`; its own padding counts
  shim::ComputeKernelConfig compute;
};
// Of one head; q [rows, head_dim], k, v [keys, head_dim], all padded.
Matrix attend(const Matrix& q, const Matrix& k, const Matrix& v, const Attention& attention);

}  // namespace pi0::emulated
