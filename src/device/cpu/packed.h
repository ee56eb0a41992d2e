// Both operands of a multiplication, packed as a kernel reads them (kernels/kernels.h has the
// layouts).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>

#include "device/cpu/kernels/kernels.h"
#include "device/cpu/scratch.h"
#include "device/host_tensor.h"
#include "device/prepared_memory.h"
#include "host/thread_pool.h"

namespace pi0::cpu {

constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
constexpr std::int64_t round_up(std::int64_t a, std::int64_t b) { return divide_up(a, b) * b; }

// Weights [columns, depth] (out, in), transposed into panels.
struct PackedWeights {
  const MultiplyKernel* kernel = nullptr;
  std::int64_t depth = 0;
  std::int64_t columns = 0;
  const std::byte* panels = nullptr;
  const float* bias = nullptr;  // [padded_columns()], or null
  // int8: what a weight is a multiple of, and what the offset of activations adds to a sum.
  const float* scales = nullptr;          // [padded_columns()]
  const std::int32_t* offsets = nullptr;  // [padded_columns()]

  std::int64_t padded_depth() const { return round_up(depth, kernel->activation_group); }
  std::int64_t panel_count() const { return divide_up(columns, kernel->columns); }
  std::int64_t padded_columns() const { return panel_count() * kernel->columns; }
  std::int64_t panel_bytes() const {
    return padded_depth() * kernel->columns * size_of(kernel->weights);
  }
};

// Row `column` of the weights is `row(column)`: of a tensor, at an index; without data, zeros.
struct WeightRow {
  const HostTensor* tensor = nullptr;
  std::int64_t index = 0;
};
// Packs into `memory` (or takes what is there already). `bias`, by index of the rows, may be null.
// Throws Error (kUnsupported) where integers are so deep that their sums might not be exact.
PackedWeights pack_weights(const MultiplyKernel& kernel, std::int64_t columns, std::int64_t depth,
                           const std::function<WeightRow(std::int64_t)>& row,
                           const HostTensor* bias, PreparedMemory& memory, ThreadPool& pool);

// `depth` values of the kernel's own type as column `column` of a panel of zeros.
void place_column(const MultiplyKernel& kernel, const std::byte* values, std::int64_t depth,
                  int column, std::byte* panel);

// A float vector in `memory`: what a norm or a position embedding keeps.
const float* keep_floats(const HostTensor& tensor, PreparedMemory& memory);

// Rows of activations in tiles of about equally many, at most `most`: the first ones have one more.
struct RowTiles {
  RowTiles(std::int64_t all, int most)
      : rows(all),
        count(divide_up(rows, most)),
        full(divide_up(rows, count)),
        fewest(rows / count),
        larger(rows % count) {}
  std::int64_t rows;
  std::int64_t count;
  std::int64_t full;            // of the largest
  std::int64_t fewest, larger;  // of the smallest; how many have one more
  std::int64_t begin(std::int64_t tile) const { return tile * fewest + std::min(tile, larger); }
  int size(std::int64_t tile) const { return static_cast<int>(fewest + (tile < larger ? 1 : 0)); }
};

// Rows of fp32 or bf16 to read.
struct RowView {
  const void* data = nullptr;
  Number type = Number::kF32;  // or kBf16
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t stride = 0;  // in values

  const void* row(std::int64_t index) const {
    return static_cast<const std::byte*>(data) + index * stride * size_of(type);
  }
};

// Activations, packed.
struct PackedRows {
  RowTiles tiles;
  std::int64_t padded_depth = 0;
  int value_bytes = 0;
  std::byte* data = nullptr;
  float* scales = nullptr;  // a row's, of integers

  const std::byte* tile(std::int64_t index) const {
    return data + tiles.begin(index) * padded_depth * value_bytes;
  }
};

// Packs `row` (fp32, `depth` values) as row `index` of a tile of `rows`, with zeros up to a whole
// group, which meet weights of zero. Integers are rounded to 127 steps of the row's largest value;
// returns that step. `scratch` has room for `depth` of the kernel's activations.
float pack_row(const MultiplyKernel& kernel, const RowKernels& kernels, const float* row,
               std::int64_t depth, int index, int rows, void* tile, void* scratch);

// The same of values that are of the kernel's own type, already.
void place_row(const MultiplyKernel& kernel, const RowKernels& kernels, const void* values,
               std::int64_t depth, int index, int rows, void* tile);

}  // namespace pi0::cpu
