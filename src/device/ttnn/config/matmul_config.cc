#include "device/ttnn/config/matmul_config.h"

#include <algorithm>

#include "pi0/error.h"

namespace pi0 {
namespace {

constexpr int kFewRows = 4;        // tiles: up to 128 tokens
constexpr int kDestTilesFp32 = 4;  // what the destination registers hold of fp32 sums
constexpr int kDestTilesBf16 = 8;  // and of bf16 ones
constexpr std::int64_t kFp32TileBytes = 4096;
constexpr std::int64_t kBf16TileBytes = 2048;

int divide_up(int a, int b) { return (a + b - 1) / b; }

int largest_divisor(int n, int limit) {
  for (int d = std::min(n, limit); d > 1; --d) {
    if (n % d == 0) return d;
  }
  return 1;
}

// The output sub-block of most tiles that the destination registers hold; of equals the widest.
void choose_subblock(shim::MatmulProgramConfig& config, bool fp32) {
  const int limit = fp32 ? kDestTilesFp32 : kDestTilesBf16;
  int best = 0;
  for (int width = std::min(config.out_block_w, limit); width >= 1; --width) {
    if (config.out_block_w % width != 0) continue;
    const int height = largest_divisor(config.out_block_h, limit / width);
    if (height * width <= best) continue;
    best = height * width;
    config.out_subblock_h = height;
    config.out_subblock_w = width;
  }
}

// How much of the inner dimension a block takes. With few rows a core waits for its weights, and
// fewer, longer reads are best; else from 8 tiles on the multiplication hides the reading. A
// dimension that only larger numbers divide (19 tiles: 588 pixels of a patch) is taken so.
int widest_block(int inner, bool few_rows) {
  const int width = largest_divisor(inner, few_rows ? 32 : 9);
  return width >= 4 ? width : largest_divisor(inner, 32);
}

}  // namespace

// As matmul_multicore_reuse_mcast_{1d,2d}_program_factory of TTNN 0.71 allocate them.
std::int64_t circular_buffer_bytes(const MatmulShape& shape,
                                   const shim::MatmulProgramConfig& config) {
  const std::int64_t depth = config.in0_block_w == shape.inner ? 1 : 2;  // reads one block ahead
  const std::int64_t in0 = depth * config.in0_block_w * config.out_block_h * shape.in0_tile_bytes;
  const std::int64_t in1 = depth * config.in0_block_w * config.out_block_w * shape.in1_tile_bytes;
  const std::int64_t tiles = std::int64_t{config.out_block_h} * config.out_block_w;
  const std::int64_t sum_bytes = shape.fp32_dest_acc_en ? kFp32TileBytes : kBf16TileBytes;
  // Partial sums share the output's memory where they have its type.
  const std::int64_t sums = sum_bytes == shape.out_tile_bytes ? 0 : tiles * sum_bytes;
  const std::int64_t bias = shape.bias ? config.out_block_w * kBf16TileBytes : 0;
  return in0 + in1 + tiles * shape.out_tile_bytes + sums + bias;
}

shim::MatmulProgramConfig matmul_config(const MatmulShape& shape, const Card& card,
                                        std::int64_t budget) {
  shim::MatmulProgramConfig config;
  config.grid = {card.grid_x, card.grid_y};
  config.one_dimension = shape.rows <= kFewRows;
  config.per_core_M = config.one_dimension ? shape.rows : divide_up(shape.rows, card.grid_y);
  config.out_block_h = config.per_core_M;
  const int columns = divide_up(shape.columns, config.one_dimension ? card.cores() : card.grid_x);
  const int widest = widest_block(shape.inner, config.one_dimension);
  // A core's columns in as few blocks as fit, since for each it reads its rows of the first operand
  // again; equal ones before a rounded number of columns, and only when more than kBlocks would be
  // needed, a narrower cut of the inner dimension.
  constexpr int kBlocks = 4;
  for (int width = widest; width >= 1; --width) {
    if (shape.inner % width != 0) continue;
    config.in0_block_w = width;
    const int most = width > 4 && shape.inner % 4 == 0 ? std::min(kBlocks, columns) : columns;
    for (const bool equal : {true, false}) {
      for (int parts = 1; parts <= most; ++parts) {
        if (equal && columns % parts != 0) continue;
        config.out_block_w = divide_up(columns, parts);
        config.per_core_N = config.out_block_w * parts;
        choose_subblock(config, shape.fp32_dest_acc_en);
        if (circular_buffer_bytes(shape, config) <= budget) return config;
      }
    }
  }
  throw Error(ErrorCode::kOutOfMemory,
              "ttnn linear: " + std::to_string(shape.rows) + " x " + std::to_string(shape.inner) +
                  " x " + std::to_string(shape.columns) + " tiles need " +
                  std::to_string(circular_buffer_bytes(shape, config)) +
                  " bytes of circular buffers a core, but " + std::to_string(budget) +
                  " are planned for them on card " + card.name +
                  "; fewer cameras or tokens need less, and --device cpu has no such limit");
}

}  // namespace pi0
