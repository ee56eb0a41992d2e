// The tensors and the weights of the CPU device.
#pragma once

#include "device/cpu/attention.h"
#include "device/device.h"

namespace pi0::cpu {

// Rows of `values` values, `row_stride()` apart: those of wide rows a few more, since rows a
// multiple of 4 KiB apart would share the cache's sets.
inline std::int64_t row_stride(std::int64_t values) {
  return values >= 256 ? round_up(values, 32) + 32 : values;
}

struct CpuTensor : Tensor::Storage {
  // In the order of the shape, without gaps.
  virtual std::vector<float> read() const = 0;
};

// Rows of fp32: the last dimension is a row.
struct Values final : CpuTensor {
  Values(const std::shared_ptr<BufferPool>& pool, const Shape& shape, bool apart)
      : width(shape.back()),
        rows(element_count(shape) / width),
        stride(apart ? row_stride(width) : width),
        buffer(pool, static_cast<std::size_t>(rows * stride) * sizeof(float)) {}

  float* data() const { return buffer.as<float>(); }
  float* row(std::int64_t index) const { return data() + index * stride; }
  RowView view() const { return {data(), Number::kF32, rows, width, stride}; }
  std::vector<float> read() const override {
    std::vector<float> values;
    values.reserve(static_cast<std::size_t>(rows * width));
    for (std::int64_t r = 0; r < rows; ++r) values.insert(values.end(), row(r), row(r) + width);
    return values;
  }

  std::int64_t width, rows, stride;
  Buffer buffer;
};

// Queries, keys or values, [sequences, heads, tokens, dim], in the type that attention multiplies;
// stored as they are projected. Keys and values are packed once they are attended to.
struct HeadValues final : CpuTensor {
  HeadValues(const std::shared_ptr<BufferPool>& pool, const Shape& shape, Number type)
      : rows{nullptr,
             type,
             shape[0],
             shape[1],
             shape[2],
             shape[3],
             row_stride(shape[1] * shape[3])},
        buffer(pool, static_cast<std::size_t>(shape[0] * shape[2] * rows.stride * size_of(type))) {
    rows.data = buffer.as<std::byte>();
  }

  std::vector<float> read() const override;

  HeadRows rows;
  Buffer buffer;
  Buffer packed;
};

inline Values& values_of(const Tensor& tensor) { return tensor.as<Values>(); }
inline HeadValues& heads_of(const Tensor& tensor) { return tensor.as<HeadValues>(); }

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
  std::optional<PackedWeights> queries;
  PackedWeights keys, values;
  HeadShape heads;
};
struct CpuGatedMlp final : GatedMlpWeights {
  PackedWeights gate_up;  // a panel's first half of the columns gate, the second up
  PackedWeights down;
  std::int64_t hidden = 0;
};

}  // namespace pi0::cpu
