// softmax(q kᵀ / sqrt(dim)) v, a panel of queries at a time: no more scores are in memory than
// those of one panel a thread. Queries are the columns of both products, kᵀ's rows being keys and
// vᵀ's dimensions, so that a row of scores is a vector of as many queries, and the exponentials of
// all rows are the second product's weights as they come.
#pragma once

#include "device/cpu/multiply.h"

namespace pi0::cpu {

// Queries, keys, values or what attention makes of them: a row a token, its heads side by side.
struct HeadRows {
  void* data = nullptr;
  Number type = Number::kF32;  // or kBf16
  std::int64_t sequences = 0, heads = 0, tokens = 0, dim = 0;
  std::int64_t stride = 0;  // of a row, in values

  std::byte* at(std::int64_t sequence, std::int64_t head, std::int64_t token) const {
    return static_cast<std::byte*>(data) +
           ((sequence * tokens + token) * stride + head * dim) * size_of(type);
  }
};

// Keys and values of all heads and sequences, packed as activations are: keys with a row a token,
// values with a row a dimension.
struct PackedHeads {
  std::int64_t tokens = 0;
  const std::byte* keys = nullptr;
  const std::byte* values = nullptr;
};

// Bytes of the keys and values that pack_heads() writes.
struct PackedHeadsSize {
  PackedHeadsSize(const MultiplyKernel& kernel, std::int64_t tokens, std::int64_t dim);
  std::int64_t keys, values;  // of one head
};

// keys, values of the kernel's type.
PackedHeads pack_heads(ComputeContext& context, const MultiplyKernel& kernel, const HeadRows& keys,
                       const HeadRows& values, std::byte* packed_keys, std::byte* packed_values);

struct AttentionWork {
  const MultiplyKernel* kernel = nullptr;  // of floating point, activations and weights of one type
  HeadRows queries;                        // of that type, as keys and values are
  std::int64_t kv_heads = 0;
  std::span<const PackedHeads> runs;  // of keys and values, one after another
  HeadRows out;                       // fp32
};
void attend(ComputeContext& context, const AttentionWork& work);

}  // namespace pi0::cpu
