// softmax(q kᵀ / sqrt(dim)) v, a block of queries at a time: no more scores are in memory than one
// thread's block has.
#pragma once

#include "device/cpu/multiply.h"

namespace pi0::cpu {

// Keys and values of several heads (of several sequences), packed as weights of two products: keys
// with a column a token, values with a column a dimension.
struct PackedHeads {
  std::int64_t heads = 0;  // times sequences
  std::int64_t tokens = 0;
  std::int64_t dim = 0;
  const std::byte* keys = nullptr;
  const std::byte* values = nullptr;
};

// Bytes of the keys and values that pack_heads() writes.
struct PackedHeadsSize {
  PackedHeadsSize(const MultiplyKernel& kernel, std::int64_t tokens, std::int64_t dim);
  std::int64_t keys, values;  // of one head
};

// keys, values [heads, tokens, dim] in fp32.
PackedHeads pack_heads(Workshop& shop, const MultiplyKernel& kernel, const float* keys,
                       const float* values, std::int64_t heads, std::int64_t tokens,
                       std::int64_t dim, std::byte* packed_keys, std::byte* packed_values);

struct AttentionWork {
  const MultiplyKernel* kernel = nullptr;  // of floating point, its weights kept as it reads them
  const float* queries = nullptr;          // [sequences, heads, tokens, dim]
  std::int64_t sequences = 0, heads = 0, tokens = 0, dim = 0;
  std::int64_t kv_heads = 0;
  std::span<const PackedHeads* const> runs;  // of keys and values, one after another; 1 or 2
  float* out = nullptr;                      // [sequences * tokens][stride], heads joined
  std::int64_t stride = 0;
};
void attend(Workshop& shop, const AttentionWork& work);

}  // namespace pi0::cpu
