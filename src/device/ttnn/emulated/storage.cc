#include "device/ttnn/emulated/storage.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace pi0::emulated {
namespace {

using shim::DataType;

constexpr int kShared = 16;  // values with one exponent
constexpr std::uint8_t kNotFinite = 0xff;

// Bits of a block float's mantissa, the leading one included.
int mantissa_width(DataType type) { return type == DataType::kBfloat4B ? 3 : 7; }

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0;
  return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// As tt_metal/impl/data_format/blockfloat_common.cpp packs: the largest exponent is shared;
// mantissas with their leading bit are shifted down to it, to nearest with ties to even, and
// saturate rather than carry into the exponent. Denormals are zero.
std::uint8_t to_mantissa(std::uint32_t bits, std::uint32_t shared_exponent, int width) {
  const std::uint32_t exponent = (bits >> 23) & 0xff;
  if (exponent == 0) return 0;
  const std::uint32_t shift = shared_exponent - exponent;
  if (shift >= 24) return 0;
  // TTNN drops the bits that the first shift loses before it rounds, and so does this.
  const std::uint32_t mantissa = ((bits & 0x7fffff) | 0x800000) >> shift;
  const int dropped = 24 - width;
  const std::uint32_t half = 1U << (dropped - 1);
  std::uint32_t kept = mantissa >> dropped;
  const std::uint32_t rest = mantissa & (2 * half - 1);
  if (rest > half || (rest == half && (kept & 1) == 1)) ++kept;
  kept = std::min(kept, (1U << width) - 1);
  return static_cast<std::uint8_t>(kept == 0 ? 0 : kept | (bits >> 31) << 7);
}

// What one unit of a mantissa of so many bits is.
float unit_of(std::uint8_t exponent, int width) {
  if (exponent == kNotFinite) return std::numeric_limits<float>::quiet_NaN();
  return std::ldexp(1.0f, exponent - 127 - (width - 1));
}

}  // namespace

float round_to_bfloat16(float value) { return bf16_to_float(to_bf16(value)); }

float round_away_to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return value;
  return std::bit_cast<float>((bits + 0x8000) & 0xffff0000);
}

float truncate_to_tf32(float value) {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0xffffe000);
}

Values::Values(DataType dtype, std::int64_t rows, std::int64_t width)
    : dtype_(dtype), rows_(rows), width_(width) {
  const auto size = static_cast<std::size_t>(rows * width);
  switch (dtype) {
    case DataType::kFloat32:
      fp32_.resize(size);
      break;
    case DataType::kBfloat16:
      bf16_.resize(size);
      break;
    case DataType::kBfloat8B:
    case DataType::kBfloat4B:
      mantissas_.resize(size);
      exponents_.resize(size / kShared);
      break;
  }
}

void Values::read(std::int64_t first, std::span<float> out) const {
  const auto begin = static_cast<std::size_t>(first * width_);
  switch (dtype_) {
    case DataType::kFloat32:
      std::copy_n(fp32_.begin() + static_cast<std::ptrdiff_t>(begin), out.size(), out.begin());
      break;
    case DataType::kBfloat16:
      for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = std::bit_cast<float>(std::uint32_t{bf16_[begin + i]} << 16);
      }
      break;
    case DataType::kBfloat8B:
    case DataType::kBfloat4B:
      for (std::size_t i = 0; i < out.size(); i += kShared) {
        const std::uint8_t exponent = exponents_[(begin + i) / kShared];
        const float unit = unit_of(exponent, mantissa_width(dtype_));
        for (std::size_t j = i; j < i + kShared; ++j) {
          const std::uint8_t mantissa = mantissas_[begin + j];
          const float magnitude = unit * static_cast<float>(mantissa & 0x7f);
          out[j] = (mantissa & 0x80) != 0 ? -magnitude : magnitude;
        }
      }
      break;
  }
}

void Values::write(std::int64_t first, std::span<const float> in) {
  const auto begin = static_cast<std::size_t>(first * width_);
  const int width = mantissa_width(dtype_);
  switch (dtype_) {
    case DataType::kFloat32:
      std::copy(in.begin(), in.end(), fp32_.begin() + static_cast<std::ptrdiff_t>(begin));
      break;
    case DataType::kBfloat16:
      for (std::size_t i = 0; i < in.size(); ++i) bf16_[begin + i] = to_bf16(in[i]);
      break;
    case DataType::kBfloat8B:
    case DataType::kBfloat4B:
      for (std::size_t i = 0; i < in.size(); i += kShared) {
        std::uint32_t shared = 0;
        for (std::size_t j = i; j < i + kShared; ++j) {
          shared = std::max(shared, std::bit_cast<std::uint32_t>(in[j]) >> 23 & 0xff);
        }
        exponents_[(begin + i) / kShared] = static_cast<std::uint8_t>(shared);
        for (std::size_t j = i; j < i + kShared; ++j) {
          mantissas_[begin + j] = to_mantissa(std::bit_cast<std::uint32_t>(in[j]), shared, width);
        }
      }
      break;
  }
}

std::vector<float> Values::read_all() const {
  std::vector<float> values(static_cast<std::size_t>(rows_ * width_));
  read(0, values);
  return values;
}

void Values::poison() {
  std::fill(fp32_.begin(), fp32_.end(), std::numeric_limits<float>::quiet_NaN());
  std::fill(bf16_.begin(), bf16_.end(), std::uint16_t{0x7fc0});
  std::fill(exponents_.begin(), exponents_.end(), kNotFinite);
}

}  // namespace pi0::emulated
