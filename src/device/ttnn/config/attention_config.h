// How attention is cut into chunks of queries and keys, which pass through L1 one by one.
#pragma once

#include <cstdint>

#include "device/ttnn/shim/shim.h"

namespace pi0 {

struct AttentionShape {
  std::int64_t pairs = 1;  // sequences * heads
  std::int64_t queries = 0;
  std::int64_t keys = 0;
  std::int64_t head_dim = 0;  // padded
  bool mask = false;
};

struct AttentionChunks {
  int queries = 0;
  int keys = 0;
};

// Per core, in bytes, of bf16 tensors and sums that are not streamed.
std::int64_t circular_buffer_bytes(const AttentionShape& shape, const AttentionChunks& chunks);

// Large chunks, since the keys are read again for each chunk of queries; but so small that every
// core has one, and that the circular buffers stay within `budget` bytes. Throws Error
// (kOutOfMemory) where none are that small.
AttentionChunks attention_chunks(const AttentionShape& shape, const Card& card,
                                 std::int64_t budget);

}  // namespace pi0
