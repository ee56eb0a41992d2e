// Floats of 16 bits: bfloat16, and IEEE 754 binary16.
#pragma once

#include <bit>
#include <cstdint>

namespace pi0 {

inline float bf16_to_float(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}
inline std::uint16_t float_to_bf16(float value) {  // to nearest, ties to even; finite
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
float f16_to_float(std::uint16_t bits);

}  // namespace pi0
