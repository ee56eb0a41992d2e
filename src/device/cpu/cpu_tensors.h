// The tensors and the weights of the CPU device.
#pragma once

#include "device/cpu/attention.h"
#include "device/device.h"

namespace pi0::cpu {

// Rows of fp32: the last dimension is a row. Wide rows are a few values apart, since rows a
// multiple of 4 KiB apart would share the cache's sets.
struct Values : Tensor::Storage {
  Values(const std::shared_ptr<BufferPool>& pool, const Shape& shape, bool apart)
      : width(shape.back()),
        rows(element_count(shape) / width),
        stride(apart && width >= 256 ? round_up(width, 16) + 16 : width),
        buffer(pool, static_cast<std::size_t>(rows * stride) * sizeof(float)) {}

  float* data() const { return buffer.as<float>(); }
  float* row(std::int64_t index) const { return data() + index * stride; }
  RowView view() const { return {data(), Number::kF32, rows, width, stride}; }

  std::int64_t width, rows, stride;
  Buffer buffer;
};

// Keys or values, [sequences, heads, tokens, dim] without gaps; packed once they are attended to.
struct HeadValues final : Values {
  HeadValues(const std::shared_ptr<BufferPool>& pool, const Shape& shape)
      : Values(pool, shape, false) {}
  Buffer packed;
};

inline Values& values_of(const Tensor& tensor) { return tensor.as<Values>(); }

struct CpuLinear final : LinearWeights {
  PackedWeights matrix;
};
struct CpuNorm final : NormWeights {
  const float* weight = nullptr;
  const float* bias = nullptr;
};
struct CpuPatchEmbedding final : PatchEmbeddingWeights {
  PackedWeights matrix;  // [width, 3 * patch * patch]
  const float* positions = nullptr;
  std::int64_t patch = 0;
};
struct CpuQkv final : QkvWeights {
  PackedWeights matrix;  // queries (or none), keys, values: one below the other
  HeadShape heads;
  int query_heads = 0;
};
struct CpuGatedMlp final : GatedMlpWeights {
  PackedWeights gate_up;  // a panel's first half of the columns gate, the second up
  PackedWeights down;
  std::int64_t hidden = 0;
};

}  // namespace pi0::cpu
