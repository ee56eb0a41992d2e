#include "device/ttnn/emulated/programs.h"

#include <algorithm>

namespace pi0::emulated {
namespace {

using shim::ComputeKernelConfig;
using shim::DataType;
using shim::divide_up;
using shim::kTile;
using shim::round_up;
using shim::TensorSpec;

constexpr std::int64_t kBf16Tile = tile_bytes(DataType::kBfloat16);
constexpr std::int64_t kFp32Tile = tile_bytes(DataType::kFloat32);

std::int64_t tiles_across(const TensorSpec& spec) { return spec.padded[3] / kTile; }

}  // namespace

// matmul_multicore_reuse_mcast_2d_program_factory.cpp, and _1d_ with mcast_in0.
std::int64_t linear_buffers(const TensorSpec& a, const TensorSpec& weight, const TensorSpec* bias,
                            const shim::LinearOptions& options) {
  const shim::MatmulProgramConfig& config = options.program_config;
  const std::int64_t blocks = tiles_across(a) / config.in0_block_w;
  const std::int64_t depth = blocks > 1 ? 2 : 1;  // the next block is read meanwhile
  const std::int64_t out_tiles = std::int64_t{config.out_block_h} * config.out_block_w;
  const std::int64_t out = out_tiles * tile_bytes(options.dtype);
  // Partial sums: where they are added up in L1 they need a format for it.
  const bool l1_acc = options.compute.packer_l1_acc &&
                      (bias != nullptr || config.one_dimension ? blocks > 1 : blocks > 2);
  DataType sums = options.dtype;
  if (l1_acc) sums = DataType::kBfloat16;
  if (options.compute.fp32_dest_acc_en) sums = DataType::kFloat32;
  std::int64_t total = config.out_block_h * config.in0_block_w * depth * tile_bytes(a.dtype) +
                       config.out_block_w * config.in0_block_w * depth * tile_bytes(weight.dtype) +
                       out;
  if (sums != options.dtype) total += out_tiles * tile_bytes(sums);  // else they share `out`
  if (bias != nullptr) total += config.out_block_w * tile_bytes(bias->dtype);
  return total;
}

// sdpa_program_factory.cpp; the streaming kernel where there is neither a mask nor fp32 sums.
std::int64_t sdpa_buffers(const TensorSpec& q, const TensorSpec& k, const TensorSpec* mask,
                          const shim::SdpaOptions& options) {
  const std::int64_t rows = options.q_chunk_size / kTile;
  const std::int64_t keys = options.k_chunk_size / kTile;
  const std::int64_t width = tiles_across(q);
  const std::int64_t cores = std::int64_t{options.grid.x} * options.grid.y;
  const std::int64_t q_chunks = divide_up(q.shape[2], options.q_chunk_size);
  const std::int64_t by_batch = std::min(q.shape[0], cores);
  const std::int64_t by_head = std::min(cores / by_batch, q.shape[1]);
  const std::int64_t by_chunk = std::min(cores / (by_batch * by_head), q_chunks);
  const std::int64_t chunks_per_core = divide_up(q_chunks, by_chunk);

  const bool padded =
      q.shape[2] % options.q_chunk_size != 0 || k.shape[2] % options.k_chunk_size != 0;
  const bool streaming = mask == nullptr && !options.compute.fp32_dest_acc_en;
  std::int64_t total = rows * width * (chunks_per_core > 1 ? 2 : 1) * tile_bytes(q.dtype);
  total += 2 * 2 * keys * width * tile_bytes(k.dtype);  // keys and values, double buffered
  if (mask != nullptr) {
    total += 2 * rows * keys * tile_bytes(mask->dtype);
  } else if (padded && streaming) {
    total += (k.shape[2] % kTile != 0 ? 2 : 1) * kBf16Tile;
  } else if (padded) {
    total += 2 * rows * keys * tile_bytes(DataType::kBfloat4B);  // the mask that it makes
  }
  total += 2 * kBf16Tile;  // two identities
  if (streaming) total += kBf16Tile;
  total += (rows * keys + 2 * rows * width + 5 * rows) * kBf16Tile;
  std::int64_t out_tiles = rows * width;
  if (streaming) {
    // Two groups of rows, of the height of the output's sub-blocks: at most 2.
    out_tiles = 2 * std::min<std::int64_t>(rows, 2) * width;
  }
  return total + out_tiles * tile_bytes(q.dtype);
}

// layernorm_op_multi_core.cpp, with its default program configuration.
std::int64_t norm_buffers(const TensorSpec& x, const TensorSpec& weight, const TensorSpec* bias,
                          bool centred, const ComputeKernelConfig& compute, const Card& card) {
  const std::int64_t block = compute.fp32_dest_acc_en ? 4 : 8;
  const std::int64_t tile = compute.fp32_dest_acc_en ? kFp32Tile : kBf16Tile;
  const auto total = [&](std::int64_t row, bool large) {
    std::int64_t sum = row * tile_bytes(x.dtype) + 2 * block * tile_bytes(x.dtype) + 2 * kBf16Tile +
                       2 * kBf16Tile + 2 * tile + row * tile + 8 * tile + 2 * block * tile +
                       row * tile_bytes(weight.dtype);
    if (bias != nullptr) sum += row * tile_bytes(bias->dtype);
    if (centred) sum += 2 * tile;
    if (centred || large) sum += row * tile;
    if (large) sum += kFp32Tile;
    return sum;
  };
  const std::int64_t row = round_up(tiles_across(x), block);
  // A row that does not fit is taken in parts. What TTNN adds up to decide it includes buffers
  // that an RMS norm then does not have.
  const std::int64_t decisive =
      total(row, false) + (centred ? 0 : 2 * tile + row * tile) + 2 * block * tile;
  const std::int64_t l1 = card.arch == "blackhole" ? 1536 * 1024 : 1464 * 1024;
  if (static_cast<double>(decisive) < 0.95 * static_cast<double>(l1)) return total(row, false);
  return total(56 * kBf16Tile / tile, true);
}

// binary_ng_program_factory.cpp.
std::int64_t binary_buffers(const TensorSpec& a, const TensorSpec* b, const TensorSpec& out,
                            const shim::BinaryOptions& options) {
  std::int64_t total = 2 * tile_bytes(a.dtype) + 2 * tile_bytes(out.dtype);
  if (b == nullptr)
    return total + tile_bytes(a.dtype == DataType::kFloat32 ? a.dtype : DataType::kBfloat16);
  total += 2 * tile_bytes(b->dtype);
  if (b->shape[2] == 1 && a.shape[2] > 1) total += 2 * tile_bytes(b->dtype);
  if (options.lhs_activation != shim::Unary::kNone) total += tile_bytes(a.dtype);
  return total;
}

// rotary_embedding_program_factory.cpp: a head of one tile is rotated by a matrix, a wider one by
// exchanging its halves.
std::int64_t rotary_buffers(const TensorSpec& x, const TensorSpec& table) {
  const std::int64_t width = tiles_across(x);
  const std::int64_t tile = tile_bytes(x.dtype);
  const std::int64_t table_tile = tile_bytes(table.dtype);
  if (width == 1) {
    const std::int64_t matrix = is_block_float(x.dtype) ? tile : kBf16Tile;
    return 2 * tile + matrix + 2 * 2 * table_tile + 3 * tile + 2 * tile;
  }
  return 2 * (2 * width * tile) + 2 * (2 * width * table_tile) + kBf16Tile + tile + 2 * table_tile +
         2 * width * tile;
}

std::int64_t create_heads_buffers(const TensorSpec& x) { return 4 * tile_bytes(x.dtype); }

std::int64_t concat_heads_buffers(const TensorSpec& x) {
  return 2 * x.padded[1] * tiles_across(x) * tile_bytes(x.dtype);
}

// fold_multi_core_dram_program_factory.cpp.
std::int64_t fold_buffers(const TensorSpec& x, int stride_h, int stride_w, const Card& card) {
  const std::int64_t patch = std::int64_t{stride_h} * stride_w;
  const std::int64_t stick = x.padded[3] * (x.dtype == DataType::kFloat32 ? 4 : 2);
  const std::int64_t aligned = round_up(stick, card.arch == "blackhole" ? 64 : 32);
  return 2 * aligned * patch + (aligned == stick ? 0 : stick * patch);
}

std::int64_t layout_buffers(const TensorSpec& tiled) {
  return 2 * tiles_across(tiled) * tile_bytes(tiled.dtype);
}

std::int64_t copy_buffers(const TensorSpec& x, const Card& card) {
  if (x.layout == shim::Layout::kTile) return 2 * tile_bytes(x.dtype);
  const std::int64_t row = x.padded[3] * (x.dtype == DataType::kFloat32 ? 4 : 2);
  return 2 * round_up(row, card.arch == "blackhole" ? 64 : 32);
}

}  // namespace pi0::emulated
