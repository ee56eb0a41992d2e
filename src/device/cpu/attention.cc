#include "device/cpu/attention.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

namespace pi0::cpu {
namespace {

constexpr std::int64_t kTilesOfBlock =
    4;  // of queries, which meet a panel of keys while it is near
constexpr std::size_t kMostRuns = 2;

// A run's part of a row of scores.
struct Run {
  const PackedHeads* heads = nullptr;
  PackedHeadsSize size;
  std::int64_t key_panels, padded_tokens;
};

// A thread's block: queries `first` to `end` of one head.
class Block {
 public:
  Block(Workshop& shop, const AttentionWork& work, std::span<const Run> runs, std::int64_t sequence,
        std::int64_t head, std::int64_t first, std::int64_t end, ThreadScratch& scratch)
      : kernels_(*shop.kernels),
        work_(work),
        kernel_(*work.kernel),
        runs_(runs),
        sequence_(sequence),
        head_(head),
        first_(first),
        tiles_(end - first, work.kernel->rows),
        padded_dim_(round_up(work.dim, kernel_.activation_group)) {
    for (const Run& run : runs) {
      tokens_ += run.heads->tokens;
      panels_ += run.key_panels;
      padded_tokens_ += run.padded_tokens;
    }
    const std::int64_t rows = tiles_.rows, row = std::max(padded_dim_, padded_tokens_) + 64;
    const std::int64_t packed = padded_dim_ + padded_tokens_;
    scratch.start(static_cast<std::size_t>(rows * (packed + panels_ * kernel_.columns) * 4 +
                                           2 * row * 4 + rows * 4 +
                                           tiles_.full * kernel_.columns * 4 + 16 * 64));
    row_ = scratch.take<float>(row);
    converted_ = scratch.take<float>(row);
    inverse_sums_ = scratch.take<float>(rows);
    queries_ = scratch.take<std::byte>(rows * padded_dim_ * size_of(kernel_.activations));
    scores_ = scratch.take<float>(rows * panels_ * kernel_.columns);
    weights_ = scratch.take<std::byte>(rows * padded_tokens_ * size_of(kernel_.activations));
    sums_ = scratch.take<float>(tiles_.full * kernel_.columns);
  }

  void compute() {
    if (kernel_.begin != nullptr) kernel_.begin();
    pack_queries();
    multiply_keys();
    for (std::int64_t tile = 0; tile < tiles_.count; ++tile) {
      for (int i = 0; i < tiles_.size(tile); ++i) soften(tile, i);
    }
    multiply_values();
    if (kernel_.end != nullptr) kernel_.end();
  }

 private:
  std::int64_t kv_head() const {
    return sequence_ * work_.kv_heads + head_ * work_.kv_heads / work_.heads;
  }
  std::byte* packed_tile(std::byte* base, std::int64_t tile, std::int64_t depth) const {
    return base + tiles_.begin(tile) * depth * size_of(kernel_.activations);
  }
  // [panel][row][column] of a tile.
  float* scores_of(std::int64_t tile) const {
    return scores_ + tiles_.begin(tile) * panels_ * kernel_.columns;
  }
  // A run's part of a tile's weights of values.
  std::byte* weights_of(std::int64_t tile, std::size_t run) const {
    std::byte* const part = packed_tile(weights_, tile, padded_tokens_);
    return run == 0
               ? part
               : part + tiles_.size(tile) * runs_[0].padded_tokens * size_of(kernel_.activations);
  }

  void pack_queries() {
    const float* const queries =
        work_.queries + ((sequence_ * work_.heads + head_) * work_.tokens + first_) * work_.dim;
    for (std::int64_t tile = 0; tile < tiles_.count; ++tile) {
      for (int i = 0; i < tiles_.size(tile); ++i) {
        const float* row = queries + (tiles_.begin(tile) + i) * work_.dim;
        if (padded_dim_ != work_.dim) {
          std::memcpy(row_, row, static_cast<std::size_t>(work_.dim) * 4);
          std::fill(row_ + work_.dim, row_ + padded_dim_, 0.0f);
          row = row_;
        }
        pack_row(kernel_, kernels_, row, padded_dim_, i, tiles_.size(tile),
                 packed_tile(queries_, tile, padded_dim_), converted_);
      }
    }
  }

  void multiply_keys() {
    std::int64_t panel = 0;
    for (const Run& run : runs_) {
      const std::byte* keys = run.heads->keys + kv_head() * run.size.keys;
      for (std::int64_t p = 0; p < run.key_panels; ++p, ++panel) {
        for (std::int64_t tile = 0; tile < tiles_.count; ++tile) {
          const int rows = tiles_.size(tile);
          kernel_.multiply(packed_tile(queries_, tile, padded_dim_), keys,
                           scores_of(tile) + panel * rows * kernel_.columns, padded_dim_, rows,
                           false);
        }
        keys += padded_dim_ * kernel_.columns * size_of(kernel_.weights);
      }
    }
  }

  // One row of scores becomes weights of the values, not yet divided by their sum.
  void soften(std::int64_t tile, int i) {
    const int rows = tiles_.size(tile), columns = kernel_.columns;
    const float* panel = scores_of(tile) + i * columns;
    float* out = row_;
    for (const Run& run : runs_) {
      for (std::int64_t p = 0; p < run.key_panels; ++p, panel += rows * columns) {
        std::memcpy(out + p * columns, panel, static_cast<std::size_t>(columns) * 4);
      }
      out += run.heads->tokens;  // over what only pads the panel
    }
    const float scale = 1.0f / std::sqrt(static_cast<float>(work_.dim));
    const float sum = kernels_.exponentials(row_, scale, tokens_);
    inverse_sums_[tiles_.begin(tile) + i] = 1.0f / sum;
    // The last run first: its padding with zeros goes over what follows it.
    float* end = row_ + tokens_;
    for (std::size_t r = runs_.size(); r-- > 0;) {
      const Run& run = runs_[r];
      end -= run.heads->tokens;
      std::fill(end + run.heads->tokens, end + run.padded_tokens, 0.0f);
      pack_row(kernel_, kernels_, end, run.padded_tokens, i, rows, weights_of(tile, r), converted_);
    }
  }

  void multiply_values() {
    const int columns = kernel_.columns;
    for (std::int64_t begin = 0; begin < work_.dim; begin += columns) {
      const std::int64_t count = std::min<std::int64_t>(columns, work_.dim - begin);
      for (std::int64_t tile = 0; tile < tiles_.count; ++tile) {
        const int rows = tiles_.size(tile);
        for (std::size_t r = 0; r < runs_.size(); ++r) {
          const Run& run = runs_[r];
          const std::byte* const values = run.heads->values + kv_head() * run.size.values +
                                          begin * run.padded_tokens * size_of(kernel_.weights);
          kernel_.multiply(weights_of(tile, r), values, sums_, run.padded_tokens, rows, r != 0);
        }
        for (int i = 0; i < rows; ++i) {
          float* const sums = sums_ + i * columns;
          const std::int64_t row = tiles_.begin(tile) + i;
          kernels_.multiply_by(sums, inverse_sums_[row], count);
          std::memcpy(work_.out + (sequence_ * work_.tokens + first_ + row) * work_.stride +
                          head_ * work_.dim + begin,
                      sums, static_cast<std::size_t>(count) * 4);
        }
      }
    }
  }

  const RowKernels& kernels_;
  const AttentionWork& work_;
  const MultiplyKernel& kernel_;
  std::span<const Run> runs_;
  std::int64_t sequence_, head_, first_;
  RowTiles tiles_;
  std::int64_t padded_dim_;
  std::int64_t tokens_ = 0, panels_ = 0, padded_tokens_ = 0;  // of all runs
  float* row_;
  float* converted_;
  float* inverse_sums_;
  std::byte* queries_;
  float* scores_;
  std::byte* weights_;
  float* sums_;
};

}  // namespace

PackedHeadsSize::PackedHeadsSize(const MultiplyKernel& kernel, std::int64_t tokens,
                                 std::int64_t dim)
    : keys(round_up(tokens, kernel.columns) * round_up(dim, kernel.activation_group) *
           size_of(kernel.weights)),
      values(round_up(dim, kernel.columns) * round_up(tokens, kernel.activation_group) *
             size_of(kernel.weights)) {}

PackedHeads pack_heads(Workshop& shop, const MultiplyKernel& kernel, const float* keys,
                       const float* values, std::int64_t heads, std::int64_t tokens,
                       std::int64_t dim, std::byte* packed_keys, std::byte* packed_values) {
  const PackedHeadsSize size(kernel, tokens, dim);
  const int bytes = size_of(kernel.weights), unit = kernel.weight_group * bytes;
  const std::int64_t padded_dim = round_up(dim, kernel.activation_group);
  const std::int64_t key_panel = padded_dim * kernel.columns * bytes;
  const std::int64_t value_panel =
      round_up(tokens, kernel.activation_group) * kernel.columns * bytes;
  const RowKernels& rows = *shop.kernels;
  // A row of the source as the kernel's type.
  const auto convert = [&](const float* row, float* padded, std::byte* converted) -> const void* {
    std::memcpy(padded, row, static_cast<std::size_t>(dim) * 4);
    std::fill(padded + dim, padded + padded_dim, 0.0f);
    if (kernel.weights == Number::kF32) return padded;
    rows.to_bf16(padded, reinterpret_cast<std::uint16_t*>(converted), padded_dim);
    return converted;
  };
  shop.pool->run(2 * heads, [&](std::int64_t item, int thread) {
    ThreadScratch& scratch = shop.scratch[static_cast<std::size_t>(thread)];
    scratch.start(static_cast<std::size_t>(
        2 * ThreadScratch::rounded(static_cast<std::size_t>(padded_dim) * 4)));
    auto* const padded = scratch.take<float>(padded_dim);
    auto* const converted = scratch.take<std::byte>(padded_dim * 4);
    const std::int64_t head = item / 2;
    if (item % 2 == 0) {
      std::byte* const out = packed_keys + head * size.keys;
      std::memset(out, 0, static_cast<std::size_t>(size.keys));
      for (std::int64_t t = 0; t < tokens; ++t) {
        const void* const row = convert(keys + (head * tokens + t) * dim, padded, converted);
        rows.scatter(row, out + t / kernel.columns * key_panel + t % kernel.columns * unit,
                     padded_dim / kernel.weight_group, kernel.columns, unit);
      }
      return;
    }
    std::byte* const out = packed_values + head * size.values;
    std::memset(out, 0, static_cast<std::size_t>(size.values));
    for (std::int64_t t = 0; t < tokens; ++t) {
      const void* const row = convert(values + (head * tokens + t) * dim, padded, converted);
      const std::int64_t place =
          t / kernel.weight_group * kernel.columns * kernel.weight_group + t % kernel.weight_group;
      for (std::int64_t begin = 0; begin < dim; begin += kernel.columns) {
        const std::int64_t count = std::min<std::int64_t>(kernel.columns, dim - begin);
        std::byte* const panel = out + begin / kernel.columns * value_panel;
        if (kernel.weights == Number::kF32) {
          std::memcpy(reinterpret_cast<float*>(panel) + place,
                      static_cast<const float*>(row) + begin, static_cast<std::size_t>(count) * 4);
        } else {
          auto* const to = reinterpret_cast<std::uint16_t*>(panel) + place;
          const auto* const from = static_cast<const std::uint16_t*>(row) + begin;
          for (std::int64_t c = 0; c < count; ++c) to[c * kernel.weight_group] = from[c];
        }
      }
    }
  });
  return {heads, tokens, dim, packed_keys, packed_values};
}

void attend(Workshop& shop, const AttentionWork& work) {
  const MultiplyKernel& kernel = *work.kernel;
  std::vector<Run> runs;
  for (const PackedHeads* heads : work.runs) {
    runs.push_back({heads, PackedHeadsSize(kernel, heads->tokens, work.dim),
                    divide_up(heads->tokens, kernel.columns),
                    round_up(heads->tokens, kernel.activation_group)});
  }
  assert(runs.size() <= kMostRuns);
  const std::int64_t blocks = divide_up(work.tokens, kTilesOfBlock * kernel.rows);
  const std::int64_t rows = divide_up(work.tokens, blocks);
  shop.pool->run(work.sequences * work.heads * blocks, [&](std::int64_t item, int thread) {
    const std::int64_t first = std::min(item % blocks * rows, work.tokens);
    const std::int64_t end = std::min(first + rows, work.tokens);
    if (first == end) return;
    const std::int64_t head = item / blocks % work.heads, sequence = item / blocks / work.heads;
    Block(shop, work, runs, sequence, head, first, end,
          shop.scratch[static_cast<std::size_t>(thread)])
        .compute();
  });
}

}  // namespace pi0::cpu
