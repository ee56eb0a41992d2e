#include "device/cpu/packed.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "pi0/error.h"

namespace pi0::cpu {
namespace {

// A row of the weights' source as values of `kernel.weights`, still contiguous.
class RowConverter {
 public:
  RowConverter(const MultiplyKernel& kernel, std::int64_t depth)
      : kernel_(kernel),
        floats_(static_cast<std::size_t>(depth)),
        values_(static_cast<std::size_t>(depth) * size_of(kernel.weights)) {}

  // Returns the scale of integers.
  float convert(const WeightRow& row) {
    const HostTensor& tensor = *row.tensor;
    const auto depth = static_cast<std::int64_t>(floats_.size());
    if (kernel_.weights == Number::kBf16 && tensor.dtype == DType::kBF16) {
      std::memcpy(values_.data(), tensor.data + row.index * depth * 2, values_.size());
      return 1;
    }
    tensor.copy_to(row.index * depth, floats_);
    if (kernel_.weights == Number::kF32) {
      std::memcpy(values_.data(), floats_.data(), values_.size());
      return 1;
    }
    if (kernel_.weights == Number::kBf16) {
      auto* const out = reinterpret_cast<std::uint16_t*>(values_.data());
      for (std::int64_t i = 0; i < depth; ++i) out[i] = float_to_bf16(floats_[i]);
      return 1;
    }
    float largest = 0;
    for (const float x : floats_) largest = std::max(largest, std::abs(x));
    const float scale = largest / 127.0f;
    const float factor = largest == 0 ? 0 : 127.0f / largest;
    auto* const out = reinterpret_cast<std::int8_t*>(values_.data());
    for (std::int64_t i = 0; i < depth; ++i) {
      out[i] = static_cast<std::int8_t>(std::lrint(floats_[i] * factor));
    }
    return scale;
  }
  const std::byte* values() const { return values_.data(); }
  std::int32_t sum() const {  // of integers
    std::int32_t sum = 0;
    for (const std::byte value : values_) sum += std::to_integer<std::int8_t>(value);
    return sum;
  }

 private:
  const MultiplyKernel& kernel_;
  std::vector<float> floats_;
  std::vector<std::byte> values_;
};

// Products of at most 255 (127, with an offset of 128) and 127 whose sum 32 bits hold.
constexpr std::int64_t kMostIntegers = std::numeric_limits<std::int32_t>::max() / (255 * 127);

// Units of kBytes to every `stride`-th place.
template <int kBytes>
void spread(const std::byte* in, std::int64_t units, std::byte* out, std::int64_t stride) {
  for (std::int64_t i = 0; i < units; ++i) {
    std::memcpy(out + i * stride * kBytes, in + i * kBytes, kBytes);
  }
}

}  // namespace

void place_column(const MultiplyKernel& kernel, const std::byte* values, std::int64_t depth,
                  int column, std::byte* panel) {
  const int size = size_of(kernel.weights);
  const int unit = kernel.weight_group * size;
  const std::int64_t whole = depth / kernel.weight_group;
  std::byte* const out = panel + column * unit;
  if (unit == 4) {
    spread<4>(values, whole, out, kernel.columns);
  } else {
    spread<2>(values, whole, out, kernel.columns);
  }
  std::memcpy(out + whole * unit * kernel.columns, values + whole * unit,
              static_cast<std::size_t>((depth % kernel.weight_group) * size));
}

PackedWeights pack_weights(const MultiplyKernel& kernel, std::int64_t columns, std::int64_t depth,
                           const std::function<WeightRow(std::int64_t)>& row,
                           const HostTensor* bias, PreparedMemory& memory, ThreadPool& pool) {
  const bool integers = kernel.weights == Number::kInt8;
  if (integers && depth > kMostIntegers) {
    const HostTensor* const tensor = row(0).tensor;
    const std::string name = tensor == nullptr ? "weights" : tensor->name;
    throw Error(
        ErrorCode::kUnsupported,
        fmt::format("{}: {} inputs, expected at most {}, which int8 sums exactly; take bf16", name,
                    depth, kMostIntegers));
  }
  PackedWeights packed{.kernel = &kernel, .depth = depth, .columns = columns};
  const std::int64_t panels = packed.panel_count(), panel_bytes = packed.panel_bytes();
  const std::int64_t padded = packed.padded_columns();
  const PreparedMemory::Block block = memory.take(static_cast<std::size_t>(panels * panel_bytes));
  packed.panels = block.data;
  // bias, scales, offsets: one block
  const std::size_t vectors = (bias != nullptr ? 1 : 0) + (integers ? 2 : 0);
  PreparedMemory::Block rest;
  if (vectors > 0) rest = memory.take(vectors * static_cast<std::size_t>(padded) * 4);
  if (block.data == nullptr) return packed;  // make_absent_memory()
  auto* next = reinterpret_cast<float*>(rest.data);
  float* const biases = bias != nullptr ? next : nullptr;
  if (bias != nullptr) next += padded;
  float* const scales = integers ? next : nullptr;
  auto* const offsets = integers ? reinterpret_cast<std::int32_t*>(next + padded) : nullptr;
  packed.bias = biases;
  packed.scales = scales;
  packed.offsets = offsets;
  if (block.ready) return packed;

  std::vector<float> bias_values;
  if (bias != nullptr && bias->data != nullptr) bias_values = bias->to_floats();
  pool.run(panels, [&](std::int64_t panel, int) {
    RowConverter converter(kernel, depth);
    std::byte* const out = block.data + panel * panel_bytes;
    std::memset(out, 0, static_cast<std::size_t>(panel_bytes));
    for (int j = 0; j < kernel.columns; ++j) {
      const std::int64_t column = panel * kernel.columns + j;
      const WeightRow source = column < columns ? row(column) : WeightRow();
      const bool there = source.tensor != nullptr && source.tensor->data != nullptr;
      float scale = 0;
      if (there) {
        scale = converter.convert(source);
        place_column(kernel, converter.values(), depth, j, out);
      }
      if (biases != nullptr) {
        const bool biased = source.tensor != nullptr && !bias_values.empty();
        biases[column] = biased ? bias_values[static_cast<std::size_t>(source.index)] : 0.0f;
      }
      if (integers) {
        scales[column] = scale;
        offsets[column] = there ? kernel.offset * converter.sum() : 0;
      }
    }
  });
  return packed;
}

const float* keep_floats(const HostTensor& tensor, PreparedMemory& memory) {
  const auto count = static_cast<std::size_t>(tensor.size());
  const PreparedMemory::Block block = memory.take(count * 4);
  auto* const values = reinterpret_cast<float*>(block.data);
  if (!block.ready && tensor.data != nullptr) tensor.copy_to(0, std::span(values, count));
  return values;
}

void place_row(const MultiplyKernel& kernel, const RowKernels& kernels, const void* values,
               std::int64_t depth, int index, int rows, void* tile) {
  const int unit = kernel.activation_group * size_of(kernel.activations);
  const std::int64_t whole = depth / kernel.activation_group;
  auto* const out = static_cast<std::byte*>(tile) + index * unit;
  kernels.scatter(values, out, whole, rows, unit);
  const std::int64_t rest = depth % kernel.activation_group;
  if (rest == 0) return;
  std::byte* const last = out + whole * rows * unit;
  std::memset(last, 0, static_cast<std::size_t>(unit));
  std::memcpy(last, static_cast<const std::byte*>(values) + whole * unit,
              static_cast<std::size_t>(rest * size_of(kernel.activations)));
}

float pack_row(const MultiplyKernel& kernel, const RowKernels& kernels, const float* row,
               std::int64_t depth, int index, int rows, void* tile, void* scratch) {
  if (kernel.activations == Number::kF32) {
    place_row(kernel, kernels, row, depth, index, rows, tile);
    return 1;
  }
  float step = 1;
  if (kernel.activations == Number::kBf16) {
    kernels.to_bf16(row, static_cast<std::uint16_t*>(scratch), depth);
  } else {
    const float largest = kernels.largest(row, depth);
    step = largest / 127.0f;
    const float factor = largest == 0 ? 0 : 127.0f / largest;
    if (kernel.activations == Number::kInt8) {
      kernels.to_int8(row, factor, kernel.offset, static_cast<std::uint8_t*>(scratch), depth);
    } else {
      kernels.to_int16(row, factor, static_cast<std::int16_t*>(scratch), depth);
    }
  }
  place_row(kernel, kernels, scratch, depth, index, rows, tile);
  return step;
}

}  // namespace pi0::cpu
