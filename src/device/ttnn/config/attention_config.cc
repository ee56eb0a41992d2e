#include "device/ttnn/config/attention_config.h"

#include <algorithm>
#include <string>

#include "pi0/error.h"

namespace pi0 {
namespace {

constexpr std::int64_t kTileBytes = 2048;     // bf16
constexpr std::int64_t kMaskTileBytes = 576;  // bfp4: the mask that TTNN makes itself
constexpr int kSizes[] = {256, 128, 64, 32};

}  // namespace

// As sdpa_program_factory of TTNN 0.71 allocates them.
std::int64_t circular_buffer_bytes(const AttentionShape& shape, const AttentionChunks& chunks) {
  const std::int64_t q = chunks.queries / shim::kTile;
  const std::int64_t k = chunks.keys / shim::kTile;
  const std::int64_t d = shape.head_dim / shim::kTile;
  std::int64_t tiles = 2 * q * d + 4 * k * d;  // operands, read one chunk ahead
  tiles += 2 + q * k + 2 * q * d + 5 * q + q * d;
  const bool ragged = shape.keys % chunks.keys != 0 || shape.queries % chunks.queries != 0;
  const std::int64_t mask = shape.mask ? 2 * q * k * kTileBytes
                            : ragged   ? 2 * q * k * kMaskTileBytes
                                       : 0;
  return tiles * kTileBytes + mask;
}

AttentionChunks attention_chunks(const AttentionShape& shape, const Card& card,
                                 std::int64_t budget) {
  const auto needed = [](std::int64_t rows) {
    return static_cast<int>(std::min<std::int64_t>(shim::round_to_tile(rows), kSizes[0]));
  };
  AttentionChunks chunks;
  for (const int queries : kSizes) {
    const std::int64_t pieces = (shape.queries + queries - 1) / queries;
    const bool idle = shape.pairs * pieces < card.cores() && queries > shim::kTile;
    if (queries > needed(shape.queries) || idle) continue;
    for (const int keys : kSizes) {
      if (keys > needed(shape.keys)) continue;
      const AttentionChunks candidate{queries, keys};
      if (circular_buffer_bytes(shape, candidate) > budget) continue;
      if (chunks.queries * chunks.keys < queries * keys) chunks = candidate;
    }
  }
  if (chunks.queries == 0) {
    throw Error(ErrorCode::kOutOfMemory,
                "ttnn attention: heads of " + std::to_string(shape.head_dim) +
                    " need more than the " + std::to_string(budget) +
                    " bytes of circular buffers a core that are planned for them on card " +
                    card.name + "; --device cpu has no such limit");
  }
  return chunks;
}

}  // namespace pi0
