#include "device/ttnn/pack.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "device/ttnn/shim/shim.h"

namespace pi0 {

HeadLayout head_layout(int head_dim, bool rotary) {
  const auto padded = static_cast<int>(rotary ? 2 * shim::round_to_tile(head_dim / 2)
                                              : shim::round_to_tile(head_dim));
  return {head_dim, padded, rotary};
}

IndexMap in_order(std::int64_t count) {
  IndexMap map{std::vector<std::int64_t>(static_cast<std::size_t>(count)), count};
  std::iota(map.at.begin(), map.at.end(), 0);
  return map;
}

IndexMap in_heads(int heads, const HeadLayout& layout) {
  IndexMap map;
  map.size = std::int64_t{heads} * layout.padded;
  for (std::int64_t head = 0; head < heads; ++head) {
    for (int i = 0; i < layout.dim; ++i) {
      map.at.push_back(head * layout.padded + layout.at(i));
    }
  }
  return map;
}

IndexMap in_thirds(std::int64_t width) {
  IndexMap map;
  const std::int64_t padded = shim::round_to_tile(width);
  map.size = 3 * padded;
  for (std::int64_t third = 0; third < 3; ++third) {
    for (std::int64_t i = 0; i < width; ++i) map.at.push_back(third * padded + i);
  }
  return map;
}

void PackedMatrix::allocate() {
  if (values_.empty()) values_.assign(static_cast<std::size_t>(inputs_ * outputs_), 0.0f);
}

void PackedMatrix::place(const HostTensor& weight, const IndexMap& in, const IndexMap& out,
                         std::int64_t first, float scale) {
  if (weight.data == nullptr) return;
  allocate();
  const auto columns = static_cast<std::int64_t>(in.at.size());
  // Eight weight rows at a time, so that each line of the transposed matrix is touched once for
  // eight of its values.
  constexpr std::int64_t kBlock = 8;
  std::vector<float> rows(static_cast<std::size_t>(kBlock * columns));
  const auto outputs = static_cast<std::int64_t>(out.at.size());
  for (std::int64_t begin = 0; begin < outputs; begin += kBlock) {
    const std::int64_t count = std::min(kBlock, outputs - begin);
    weight.copy_to(begin * columns,
                   std::span(rows).first(static_cast<std::size_t>(count * columns)));
    for (std::int64_t i = 0; i < columns; ++i) {
      float* line = values_.data() + in.at[i] * outputs_ + first;
      for (std::int64_t o = 0; o < count; ++o) {
        line[out.at[begin + o]] = scale * rows[o * columns + i];
      }
    }
  }
}

void PackedMatrix::place_columns(const HostTensor& weight, std::int64_t first) {
  if (weight.data == nullptr) return;
  allocate();
  std::vector<float> column(static_cast<std::size_t>(inputs_));
  for (std::int64_t o = 0; o < outputs_; ++o) {
    weight.copy_to(o * weight.shape[1] + first, column);
    for (std::int64_t i = 0; i < inputs_; ++i) values_[i * outputs_ + o] = column[i];
  }
}

void PackedMatrix::place_row(const HostTensor& vector, const IndexMap& out, std::int64_t first,
                             float scale) {
  if (vector.data == nullptr) return;
  allocate();
  const std::vector<float> values = vector.to_floats();
  for (std::size_t o = 0; o < values.size(); ++o) values_[first + out.at[o]] = scale * values[o];
}

void round_to_lofi(std::span<float> values) {
  constexpr std::uint32_t kCut = (std::uint32_t{1} << 19) - 1;  // 23 bits less 4
  for (float& value : values) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    value = std::bit_cast<float>((bits + kCut / 2 + 1) & ~kCut);
  }
}

std::vector<float> pack_patches(const HostTensor& weight) {
  if (weight.data == nullptr) return {};
  const std::int64_t outputs = weight.shape[0];
  const std::int64_t pixels = weight.shape[2] * weight.shape[3];
  const std::vector<float> kernel = weight.to_floats();
  std::vector<float> packed(kernel.size());
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (std::int64_t channel = 0; channel < 3; ++channel) {
      for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
        packed[(pixel * 3 + channel) * outputs + o] = kernel[(o * 3 + channel) * pixels + pixel];
      }
    }
  }
  return packed;
}

std::vector<float> cut_to_patches(std::span<const float> images, std::int64_t cameras,
                                  std::int64_t size, std::int64_t patch) {
  const std::int64_t whole = size / patch * patch;
  if (images.empty() || whole == size) return {images.begin(), images.end()};
  std::vector<float> cut;
  cut.reserve(static_cast<std::size_t>(cameras * whole * whole * 3));
  for (std::int64_t camera = 0; camera < cameras; ++camera) {
    for (std::int64_t row = 0; row < whole; ++row) {
      const auto line = images.begin() + (camera * size + row) * size * 3;
      cut.insert(cut.end(), line, line + whole * 3);
    }
  }
  return cut;
}

RotaryTables rotary_tables(int first, std::int64_t tokens, const HeadLayout& layout) {
  const auto size = static_cast<std::size_t>(tokens * layout.padded);
  RotaryTables tables{std::vector<float>(size, 1.0f), std::vector<float>(size, 0.0f)};
  const int half = layout.dim / 2;
  for (int i = 0; i < half; ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(2 * half);
    const float inverse_frequency = 1.0f / std::pow(10000.0f, exponent);
    for (std::int64_t token = 0; token < tokens; ++token) {
      const float angle = static_cast<float>(first + token) * inverse_frequency;
      const float cosine = std::cos(angle), sine = std::sin(angle);
      for (const int column : {i, layout.padded / 2 + i}) {
        tables.cos[token * layout.padded + column] = cosine;
        tables.sin[token * layout.padded + column] = sine;
      }
    }
  }
  return tables;
}

}  // namespace pi0
