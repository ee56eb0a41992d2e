#include "device/cpu/multiply.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace pi0::cpu {
namespace {

// Depth in one step needs no sums to be kept, but then a tile of activations is read from the
// second-level cache at each panel of a block: up to so many bytes of a tile that is cheaper.
// Deeper ones go in steps of which a tile stays in the first-level cache; at the network's sizes
// all rows together are in memory then, by the time that another block reads them, and are fetched
// ahead.
constexpr std::int64_t kWholeTileBytes = 120 * 1024;
// The weights of a block, and the sums of its rows between two steps, stay in the second-level
// cache.
constexpr std::int64_t kColumnsOfBlock = 256, kRowsOfBlock = 512;

// Of a step: a third of the first-level cache, beside the next tile and the weights that pass.
std::int64_t step_tile_bytes() {
  constexpr long kUsual = 32 * 1024;
#if defined(_SC_LEVEL1_DCACHE_SIZE)
  static const long cache = sysconf(_SC_LEVEL1_DCACHE_SIZE);  // 0, -1: not known
#else
  constexpr long cache = 0;
#endif
  return (cache > 0 ? cache : kUsual) / 3;
}

// The index-th of `count` parts.
void prefetch(std::span<const std::byte> bytes, std::int64_t index, std::int64_t count) {
  constexpr std::int64_t kLine = 64;
  const auto size = static_cast<std::int64_t>(bytes.size());
  const std::int64_t end = (index + 1) * size / count;
  for (std::int64_t at = index * size / count; at < end; at += kLine) {
    __builtin_prefetch(bytes.data() + at);
  }
}

PackedRows pack_rows(ComputeContext& context, const RowView& rows, const MultiplyKernel& kernel,
                     std::byte* data, float* scales) {
  PackedRows packed{.tiles = RowTiles(rows.rows, kernel.rows),
                    .padded_depth = round_up(rows.width, kernel.activation_group),
                    .value_bytes = size_of(kernel.activations),
                    .data = data,
                    .scales = scales};
  context.pool->run(packed.tiles.count, [&](std::int64_t tile, int thread) {
    ThreadScratch& scratch = context.scratch[static_cast<std::size_t>(thread)];
    const auto converted = static_cast<std::size_t>(rows.width * packed.value_bytes);
    scratch.start(ThreadScratch::rounded(static_cast<std::size_t>(rows.width) * 4) +
                  ThreadScratch::rounded(converted));
    auto* const widened = scratch.take<float>(rows.width);
    auto* const values = scratch.take<std::byte>(static_cast<std::int64_t>(converted));
    const std::int64_t begin = packed.tiles.begin(tile);
    std::byte* const out = data + begin * packed.padded_depth * packed.value_bytes;
    const int of = packed.tiles.size(tile);
    for (int i = 0; i < of; ++i) {
      const void* const source = rows.row(begin + i);
      if (rows.type == Number::kBf16 && kernel.activations == Number::kBf16) {
        place_row(kernel, *context.kernels, source, rows.width, i, of, out);
        continue;
      }
      const auto* floats = static_cast<const float*>(source);
      if (rows.type == Number::kBf16) {
        context.kernels->from_bf16(static_cast<const std::uint16_t*>(source), widened, rows.width);
        floats = widened;
      }
      scales[begin + i] =
          pack_row(kernel, *context.kernels, floats, rows.width, i, of, out, values);
    }
  });
  return packed;
}

// A part of the product that one thread computes on its own.
struct Block {
  std::int64_t first_panel, end_panel;
  std::int64_t first_tile, end_tile;
};

class Multiplication {
 public:
  Multiplication(ComputeContext& context, const PackedRows& rows, const PackedWeights& weights,
                 const FinishWork& finish)
      : context_(context),
        rows_(rows),
        weights_(weights),
        kernel_(*weights.kernel),
        finish_(finish) {
    const std::int64_t tile_bytes = rows.tiles.full * rows.padded_depth * rows.value_bytes;
    const std::int64_t steps =
        tile_bytes <= kWholeTileBytes ? 1 : divide_up(tile_bytes, step_tile_bytes());
    depth_step_ = round_up(divide_up(rows.padded_depth, steps), kernel_.activation_group);
    divide();
  }

  void run() {
    const std::int64_t panels = weights_.panel_count(), tiles = rows_.tiles.count;
    context_.pool->run(across_ * down_, [&](std::int64_t item, int thread) {
      // Blocks of the same weights one after another: those are near by then.
      const std::int64_t x = item / down_, y = item % down_;
      compute({x * panels / across_, (x + 1) * panels / across_, y * tiles / down_,
               (y + 1) * tiles / down_},
              context_.scratch[static_cast<std::size_t>(thread)]);
    });
  }

 private:
  // Blocks of about equal size, their number a multiple of the threads where there is enough to
  // share.
  void divide() {
    const std::int64_t threads = context_.pool->size(), panels = weights_.panel_count();
    across_ =
        std::min(panels, threads * divide_up(weights_.padded_columns(), threads * kColumnsOfBlock));
    down_ = divide_up(rows_.tiles.rows, kRowsOfBlock);
    if (across_ < threads) down_ = std::max(down_, divide_up(threads, across_));
    down_ = std::min(down_, rows_.tiles.count);
  }

  void compute(const Block& block, ThreadScratch& scratch) const {
    const std::int64_t columns = kernel_.columns;
    const bool integers = kernel_.weights == Number::kInt8;
    const bool one_step = depth_step_ >= rows_.padded_depth;
    const std::int64_t panels = block.end_panel - block.first_panel;
    const std::int64_t tile_sums_count = rows_.tiles.full * columns;
    const std::int64_t kept = one_step ? 1 : (block.end_tile - block.first_tile) * panels;
    const std::int64_t sums_count = kept * tile_sums_count;
    scratch.start(ThreadScratch::rounded(static_cast<std::size_t>(sums_count) * 4));
    auto* const sums = scratch.take<float>(sums_count);  // or int32
    for (std::int64_t k = 0; k < rows_.padded_depth; k += depth_step_) {
      const bool last = k + depth_step_ >= rows_.padded_depth;
      float* tile_sums = sums;
      for (std::int64_t tile = block.first_tile; tile < block.end_tile; ++tile) {
        const int rows = rows_.tiles.size(tile);
        const std::span<const std::byte> activations = step_of(tile, k);
        std::span<const std::byte> next;
        if (!one_step && tile + 1 < block.end_tile) {
          next = step_of(tile + 1, k);
        } else if (!last) {
          next = step_of(block.first_tile, k + depth_step_);
        }
        for (std::int64_t p = 0; p < panels; ++p, tile_sums += one_step ? 0 : tile_sums_count) {
          const std::int64_t panel = block.first_panel + p;
          const std::byte* const weights = weights_.panels + panel * weights_.panel_bytes() +
                                           k * columns * size_of(kernel_.weights);
          prefetch(next, p, panels);
          kernel_.multiply(activations.data(), weights, tile_sums, depth_at(k), rows, k != 0);
          if (last) {
            context_.kernels->finish_tile(tile_sums, rows, static_cast<int>(columns), integers,
                                          rows_.tiles.begin(tile), panel * columns, finish_);
          }
        }
      }
    }
    if (kernel_.end != nullptr) kernel_.end();
  }

  std::int64_t depth_at(std::int64_t k) const {
    return std::min(depth_step_, rows_.padded_depth - k);
  }
  // What a tile has of the step of depth that begins at k.
  std::span<const std::byte> step_of(std::int64_t tile, std::int64_t k) const {
    // Of a value of depth.
    const std::int64_t bytes = std::int64_t{rows_.tiles.size(tile)} * rows_.value_bytes;
    return {rows_.tile(tile) + k * bytes, static_cast<std::size_t>(depth_at(k) * bytes)};
  }

  ComputeContext& context_;
  const PackedRows& rows_;
  const PackedWeights& weights_;
  const MultiplyKernel& kernel_;
  const FinishWork& finish_;
  std::int64_t depth_step_ = 0;
  std::int64_t across_ = 0, down_ = 0;  // blocks
};

}  // namespace

void multiply(ComputeContext& context, const RowView& rows,
              std::initializer_list<Product> products) {
  const MultiplyKernel& kernel = *products.begin()->weights->kernel;
  const std::int64_t bytes =
      rows.rows * round_up(rows.width, kernel.activation_group) * size_of(kernel.activations);
  const std::int64_t scales_at = round_up(bytes, 64);
  const Buffer buffer(context.buffers, static_cast<std::size_t>(scales_at + rows.rows * 4));
  const PackedRows packed = pack_rows(context, rows, kernel, buffer.as<std::byte>(),
                                      reinterpret_cast<float*>(buffer.as<std::byte>() + scales_at));
  for (Product product : products) {
    product.finish.bias = product.weights->bias;
    product.finish.row_scales = packed.scales;
    product.finish.column_scales = product.weights->scales;
    product.finish.column_offsets = product.weights->offsets;
    Multiplication(context, packed, *product.weights, product.finish).run();
  }
}

}  // namespace pi0::cpu
