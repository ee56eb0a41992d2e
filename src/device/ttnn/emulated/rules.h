// What TTNN refuses: its validate functions (0.71.2) for what the shim offers. Each throws Error
// (kUnsupported) with a sentence that names the operation.
#pragma once

#include <span>
#include <string>

#include "device/ttnn/shim/shim.h"

namespace pi0::emulated {

// Throws Error (kUnsupported): "<operation>: <sentence>".
void require(bool holds, const std::string& operation, const std::string& sentence);

void check_shape(const shim::Shape4& shape, const std::string& operation);
void check_to_device(const shim::TensorSpec& spec);
void check_view(const shim::TensorSpec& x, const shim::Shape4& shape, const shim::Shape4& padded);
void check_reshape(const shim::TensorSpec& x, const shim::Shape4& shape);
void check_to_layout(const shim::TensorSpec& x, shim::Layout layout);
void check_fold(const shim::TensorSpec& x, int stride_h, int stride_w);
void check_concat(std::span<const shim::TensorSpec> parts, int dim);
void check_slice(const shim::TensorSpec& x, const shim::Shape4& begin, const shim::Shape4& end);

void check_linear(const shim::TensorSpec& a, const shim::TensorSpec& weight,
                  const shim::TensorSpec* bias, const shim::LinearOptions& options,
                  const Card& card);
void check_norm(const shim::TensorSpec& x, const shim::TensorSpec& weight,
                const shim::TensorSpec* bias, const std::string& operation);
// `b` null for a number.
void check_binary(const shim::TensorSpec& a, const shim::TensorSpec* b,
                  const shim::BinaryOptions& options, const std::string& operation);

void check_create_heads(const shim::TensorSpec& x, const shim::TensorSpec* kv, int num_q_heads,
                        int num_kv_heads);
void check_concat_heads(const shim::TensorSpec& x);
void check_rotary(const shim::TensorSpec& x, const shim::TensorSpec& cos,
                  const shim::TensorSpec& sin);
void check_sdpa(const shim::TensorSpec& q, const shim::TensorSpec& k, const shim::TensorSpec& v,
                const shim::TensorSpec* mask, const shim::SdpaOptions& options, const Card& card);

}  // namespace pi0::emulated
