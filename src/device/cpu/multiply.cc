#include "device/cpu/multiply.h"

#include <algorithm>
#include <cstring>

namespace pi0::cpu {
namespace {

// A step of depth, in bytes of a row of activations: with it a tile of activations stays in the
// first-level cache while it meets the panels of a block. SigLIP's 1152 values are one step.
constexpr std::int64_t kDepthBytes = 2304;
// The weights of a block, and the sums of its rows between two steps, stay in the second-level
// cache. Where the depth takes many steps the activations no longer stay in the third: then a block
// is wider, so that they are read less often.
constexpr std::int64_t kColumnsOfBlock = 128, kColumnsOfDeepBlock = 256;
constexpr std::int64_t kDeep = 8;  // steps
constexpr std::int64_t kRowsOfBlock = 400;

PackedRows pack_rows(Workshop& shop, const RowView& rows, const MultiplyKernel& kernel,
                     std::byte* data, float* scales) {
  PackedRows packed{.tiles = RowTiles(rows.rows, kernel.rows),
                    .padded_depth = round_up(rows.width, kernel.activation_group),
                    .value_bytes = size_of(kernel.activations),
                    .data = data,
                    .scales = scales};
  shop.pool->run(packed.tiles.count, [&](std::int64_t tile, int thread) {
    ThreadScratch& scratch = shop.scratch[static_cast<std::size_t>(thread)];
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
        place_row(kernel, *shop.kernels, source, rows.width, i, of, out);
        continue;
      }
      const auto* floats = static_cast<const float*>(source);
      if (rows.type == Number::kBf16) {
        shop.kernels->from_bf16(static_cast<const std::uint16_t*>(source), widened, rows.width);
        floats = widened;
      }
      scales[begin + i] = pack_row(kernel, *shop.kernels, floats, rows.width, i, of, out, values);
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
  Multiplication(Workshop& shop, const PackedRows& rows, const PackedWeights& weights,
                 const FinishWork& finish)
      : shop_(shop), rows_(rows), weights_(weights), kernel_(*weights.kernel), finish_(finish) {
    const std::int64_t most = kDepthBytes / size_of(kernel_.activations);
    depth_step_ = round_up(divide_up(rows.padded_depth, divide_up(rows.padded_depth, most)),
                           kernel_.activation_group);
    divide();
  }

  void run() {
    const std::int64_t panels = weights_.panel_count(), tiles = rows_.tiles.count;
    shop_.pool->run(across_ * down_, [&](std::int64_t item, int thread) {
      // Blocks of the same weights one after another: those are near by then.
      const std::int64_t x = item / down_, y = item % down_;
      compute({x * panels / across_, (x + 1) * panels / across_, y * tiles / down_,
               (y + 1) * tiles / down_},
              shop_.scratch[static_cast<std::size_t>(thread)]);
    });
  }

 private:
  // Blocks of about equal size, their number a multiple of the threads where there is enough to
  // share.
  void divide() {
    const std::int64_t threads = shop_.pool->size(), panels = weights_.panel_count();
    const bool deep = rows_.padded_depth > kDeep * depth_step_;
    const std::int64_t columns = deep ? kColumnsOfDeepBlock : kColumnsOfBlock;
    across_ = std::min(panels, threads * divide_up(weights_.padded_columns(), threads * columns));
    down_ = divide_up(rows_.tiles.rows, kRowsOfBlock);
    if (across_ < threads) down_ = std::max(down_, divide_up(threads, across_));
    down_ = std::min(down_, rows_.tiles.count);
  }

  void compute(const Block& block, ThreadScratch& scratch) const {
    const std::int64_t columns = kernel_.columns, full = rows_.tiles.full;
    const bool integers = kernel_.weights == Number::kInt8;
    const std::int64_t tiles = block.end_tile - block.first_tile;
    const std::int64_t panels = block.end_panel - block.first_panel;
    const std::int64_t sums_count = tiles * full * panels * columns;
    scratch.start(ThreadScratch::rounded(static_cast<std::size_t>(sums_count) * 4));
    auto* const sums = scratch.take<float>(sums_count);  // or int32
    if (kernel_.begin != nullptr) kernel_.begin();
    for (std::int64_t k = 0; k < rows_.padded_depth; k += depth_step_) {
      const std::int64_t depth = std::min(depth_step_, rows_.padded_depth - k);
      const bool last = k + depth == rows_.padded_depth;
      for (std::int64_t t = 0; t < tiles; ++t) {
        const std::int64_t tile = block.first_tile + t;
        const int rows = rows_.tiles.size(tile);
        const std::byte* const activations = rows_.tile(tile) + k * rows * rows_.value_bytes;
        for (std::int64_t p = 0; p < panels; ++p) {
          const std::int64_t panel = block.first_panel + p;
          const std::byte* const weights = weights_.panels + panel * weights_.panel_bytes() +
                                           k * columns * size_of(kernel_.weights);
          float* const tile_sums = sums + (t * panels + p) * full * columns;
          kernel_.multiply(activations, weights, tile_sums, depth, rows, k != 0);
          if (last) {
            shop_.kernels->finish_tile(tile_sums, rows, static_cast<int>(columns), integers,
                                       rows_.tiles.begin(tile), panel * columns, finish_);
          }
        }
      }
    }
    if (kernel_.end != nullptr) kernel_.end();
  }

  Workshop& shop_;
  const PackedRows& rows_;
  const PackedWeights& weights_;
  const MultiplyKernel& kernel_;
  const FinishWork& finish_;
  std::int64_t depth_step_ = 0;
  std::int64_t across_ = 0, down_ = 0;  // blocks
};

}  // namespace

void multiply(Workshop& shop, const RowView& rows, std::initializer_list<Product> products) {
  const MultiplyKernel& kernel = *products.begin()->weights->kernel;
  const std::int64_t bytes =
      rows.rows * round_up(rows.width, kernel.activation_group) * size_of(kernel.activations);
  const std::int64_t scales_at = round_up(bytes, 64);
  const Buffer buffer(shop.buffers, static_cast<std::size_t>(scales_at + rows.rows * 4));
  const PackedRows packed = pack_rows(shop, rows, kernel, buffer.as<std::byte>(),
                                      reinterpret_cast<float*>(buffer.as<std::byte>() + scales_at));
  for (Product product : products) {
    product.finish.bias = product.weights->bias;
    product.finish.row_scales = packed.scales;
    product.finish.column_scales = product.weights->scales;
    product.finish.column_sums = product.weights->sums;
    product.finish.offset = kernel.offset;
    Multiplication(shop, packed, *product.weights, product.finish).run();
  }
}

}  // namespace pi0::cpu
