// What of the shim computes.
#include <ttnn/operations/eltwise/binary/binary.hpp>
#include <ttnn/operations/experimental/transformer/nlp_concat_heads/nlp_concat_heads.hpp>
#include <ttnn/operations/experimental/transformer/nlp_create_qkv_heads/nlp_create_qkv_heads.hpp>
#include <ttnn/operations/experimental/transformer/rotary_embedding/rotary_embedding.hpp>
#include <ttnn/operations/matmul/matmul.hpp>
#include <ttnn/operations/normalization/layernorm/layernorm.hpp>
#include <ttnn/operations/normalization/rmsnorm/rmsnorm.hpp>
#include <ttnn/operations/transformer/sdpa/sdpa.hpp>

#include "device/ttnn/real/real_shim_class.h"

namespace pi0::shim {
namespace {

// Later releases ask, before the memory configuration, whether keys and values are tied. A
// template, so that only the call that the release at hand has is compiled.
template <typename T>
auto moved_create_qkv_heads(const T& x, const std::optional<T>& kv, std::uint32_t num_q_heads,
                            std::uint32_t num_kv_heads, const tt::tt_metal::MemoryConfig& memory) {
  using ttnn::experimental::nlp_create_qkv_heads;
  if constexpr (requires {
                  nlp_create_qkv_heads(x, kv, num_q_heads, num_kv_heads, false, memory);
                }) {
    return nlp_create_qkv_heads(x, kv, num_q_heads, num_kv_heads, false, memory);
  } else {
    return nlp_create_qkv_heads(x, kv, num_q_heads, num_kv_heads, false, false, memory);
  }
}

}  // namespace

Tensor RealShim::linear(const Tensor& a, const Tensor& weight, const Tensor* bias,
                        const LinearOptions& options) {
  return guarded("linear", [&] {
    return out(ttnn::linear(in(a), in(weight), in(bias), false, false, to_ttnn(options.placement),
                            to_ttnn(options.dtype),
                            to_ttnn(options.program_config, options.activation), std::nullopt,
                            to_ttnn(options.compute)));
  });
}

Tensor RealShim::layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                            const NormOptions& options) {
  return guarded("layer_norm", [&] {
    return out(ttnn::layer_norm(
        in(x), options.epsilon, in(weight), in(bias), std::nullopt, to_ttnn(options.placement),
        ttnn::prim::LayerNormDefaultProgramConfig{}, to_ttnn(options.compute)));
  });
}

Tensor RealShim::rms_norm(const Tensor& x, const Tensor& weight, const Tensor* bias,
                          const NormOptions& options) {
  return guarded("rms_norm", [&] {
    return out(ttnn::rms_norm(
        in(x), options.epsilon, in(weight), in(bias), std::nullopt, to_ttnn(options.placement),
        ttnn::prim::LayerNormDefaultProgramConfig{}, to_ttnn(options.compute)));
  });
}

Tensor RealShim::add(const Tensor& a, const Tensor& b, const BinaryOptions& options) {
  return guarded("add", [&] {
    const auto activation = to_ttnn(options.lhs_activation);
    return into(options.output,
                ttnn::add(in(a), in(b), to_ttnn(options.dtype), to_ttnn(options.placement),
                          in(options.output), {}, activation));
  });
}

Tensor RealShim::add(const Tensor& a, float b, const BinaryOptions& options) {
  return guarded("add", [&] {
    const auto activation = to_ttnn(options.lhs_activation);
    return into(options.output,
                ttnn::add(in(a), b, to_ttnn(options.dtype), to_ttnn(options.placement),
                          in(options.output), {}, activation));
  });
}

Tensor RealShim::multiply(const Tensor& a, const Tensor& b, const BinaryOptions& options) {
  return guarded("multiply", [&] {
    const auto activation = to_ttnn(options.lhs_activation);
    return into(options.output,
                ttnn::multiply(in(a), in(b), to_ttnn(options.dtype), to_ttnn(options.placement),
                               in(options.output), {}, activation));
  });
}

Tensor RealShim::multiply(const Tensor& a, float b, const BinaryOptions& options) {
  return guarded("multiply", [&] {
    const auto activation = to_ttnn(options.lhs_activation);
    return into(options.output,
                ttnn::multiply(in(a), b, to_ttnn(options.dtype), to_ttnn(options.placement),
                               in(options.output), {}, activation));
  });
}

Heads RealShim::nlp_create_qkv_heads(const Tensor& x, const Tensor* kv, int num_q_heads,
                                     int num_kv_heads, Placement placement) {
  return guarded("nlp_create_qkv_heads", [&] {
    auto heads =
        moved_create_qkv_heads(in(x), in(kv), static_cast<std::uint32_t>(num_q_heads),
                               static_cast<std::uint32_t>(num_kv_heads), to_ttnn(placement));
    return Heads{out(std::move(std::get<0>(heads))), out(std::move(std::get<1>(heads))),
                 out(std::move(std::get<2>(heads)))};
  });
}

Tensor RealShim::nlp_concat_heads(const Tensor& x, Placement placement) {
  return guarded("nlp_concat_heads", [&] {
    return out(ttnn::experimental::nlp_concat_heads(in(x), to_ttnn(placement)));
  });
}

Tensor RealShim::rotary_embedding(const Tensor& x, const Tensor& cos, const Tensor& sin,
                                  Placement placement, const ComputeKernelConfig& compute) {
  return guarded("rotary_embedding", [&] {
    return out(ttnn::experimental::rotary_embedding(in(x), in(cos), in(sin), std::nullopt,
                                                    to_ttnn(placement), to_ttnn(compute)));
  });
}

Tensor RealShim::scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                              const Tensor* mask, const SdpaOptions& options) {
  return guarded("scaled_dot_product_attention", [&] {
    return out(ttnn::transformer::scaled_dot_product_attention(
        in(q), in(k), in(v), in(mask), false, options.scale, std::nullopt,
        to_ttnn(options.placement), program_config(options), to_ttnn(options.compute)));
  });
}

}  // namespace pi0::shim
