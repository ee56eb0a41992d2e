// How many multiplications and additions an operation of device.h is.
#pragma once

#include "device/device.h"

namespace pi0::flops {

inline double elements(const Tensor& tensor) {
  return static_cast<double>(element_count(tensor.shape()));
}

// x [rows, in] through matrices of `weights` values together: two for each value and row.
inline double matrices(const Tensor& x, double weights) {
  return 2 * static_cast<double>(x.dim(0)) * weights;
}

// Mean, difference, square, sum, and three to scale and shift.
inline double layer_norm(const Tensor& x) { return 7 * elements(x); }

// Square, sum, and two to scale; one more to shift.
inline double rms_norm(const Tensor& x, bool shifted) { return (shifted ? 5 : 4) * elements(x); }

// Two multiplications and an addition for each value of `count` of the heads, where they are
// rotated.
inline double rotary(const Tensor& x, int count, const HeadShape& heads) {
  if (!heads.rotary) return 0;
  return 3.0 * static_cast<double>(x.dim(0)) * count * heads.head_dim;
}

// Scores and sums of values, and four for each score: scale, difference, sum, quotient.
inline double attention(const Tensor& queries, std::int64_t keys) {
  const auto scores = static_cast<double>(queries.dim(0) * queries.dim(1) * queries.dim(2) * keys);
  return scores * (4 * static_cast<double>(queries.dim(3)) + 4);
}

// Adding `result` to a residual, times a gate where there is one.
inline double residual(const Tensor& result, bool gated) {
  return (gated ? 2 : 1) * elements(result);
}

}  // namespace pi0::flops
