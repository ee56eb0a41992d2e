// The circular buffers that each operation's program takes of a core's L1, in bytes, as TTNN's
// program factories (0.71.2) size them; checked against its mock device in emulated_programs_test.
#pragma once

#include <cstdint>

#include "device/ttnn/shim/shim.h"

namespace pi0::emulated {

// The matrix multiplication with this shape in tiles; `bias` may be null.
std::int64_t linear_buffers(const shim::TensorSpec& a, const shim::TensorSpec& weight,
                            const shim::TensorSpec* bias, const shim::LinearOptions& options);
// `mask` may be null.
std::int64_t sdpa_buffers(const shim::TensorSpec& q, const shim::TensorSpec& k,
                          const shim::TensorSpec* mask, const shim::SdpaOptions& options);
// Layer norm where `centred`, else RMS norm; weight, bias: null where absent.
std::int64_t norm_buffers(const shim::TensorSpec& x, const shim::TensorSpec& weight,
                          const shim::TensorSpec* bias, bool centred,
                          const shim::ComputeKernelConfig& compute, const Card& card);
// `b` null for a number.
std::int64_t binary_buffers(const shim::TensorSpec& a, const shim::TensorSpec* b,
                            const shim::TensorSpec& out, const shim::BinaryOptions& options);
std::int64_t rotary_buffers(const shim::TensorSpec& x, const shim::TensorSpec& table);
std::int64_t create_heads_buffers(const shim::TensorSpec& x);
std::int64_t concat_heads_buffers(const shim::TensorSpec& x);
std::int64_t fold_buffers(const shim::TensorSpec& x, int stride_h, int stride_w, const Card& card);
// Tilize or untilize: a row of tiles in, a row of tiles out.
std::int64_t layout_buffers(const shim::TensorSpec& tiled);
// Pages that pass through: two of them.
std::int64_t copy_buffers(const shim::TensorSpec& x, const Card& card);

}  // namespace pi0::emulated
