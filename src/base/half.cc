#include "base/half.h"

#include <cmath>

namespace pi0 {

float f16_to_float(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16;
  const int exponent = (bits >> 10) & 0x1f;
  const std::uint32_t mantissa = bits & 0x3ffu;
  if (exponent == 0) {  // zero and subnormals: mantissa * 2^-24, exact in fp32
    const float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign ? -magnitude : magnitude;
  }
  const std::uint32_t biased = exponent == 0x1f ? 0xffu : exponent - 15u + 127u;
  return std::bit_cast<float>(sign | (biased << 23) | (mantissa << 13));
}

}  // namespace pi0
