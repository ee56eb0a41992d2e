#include "device/host_tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "pi0/error.h"

namespace pi0 {

void HostTensor::copy_to(std::int64_t begin, std::span<float> out) const {
  const std::byte* source = data + static_cast<std::size_t>(begin) * size_of(dtype);
  if (dtype == DType::kF32) {
    std::memcpy(out.data(), source, out.size_bytes());
    return;
  }
  const auto widen = [&](auto to_float) {  // a loop for each type, of which one becomes vectors
    for (std::size_t i = 0; i < out.size(); ++i) {
      std::uint16_t bits;  // memcpy: a file need not align its tensors
      std::memcpy(&bits, source + i * sizeof bits, sizeof bits);
      out[i] = to_float(bits);
    }
  };
  if (dtype == DType::kBF16) {
    widen([](std::uint16_t bits) { return bf16_to_float(bits); });
  } else {
    widen([](std::uint16_t bits) { return f16_to_float(bits); });
  }
}

std::vector<float> HostTensor::to_floats() const {
  std::vector<float> values(static_cast<std::size_t>(size()));
  copy_to(0, values);
  return values;
}

void require_finite(const HostTensor& tensor) {
  if (tensor.data == nullptr) return;
  constexpr std::int64_t kBlock = 4096;  // keeps the converted values in the first-level cache
  std::vector<float> block(kBlock);
  for (std::int64_t begin = 0; begin < tensor.size(); begin += kBlock) {
    const auto count = static_cast<std::size_t>(std::min(kBlock, tensor.size() - begin));
    const std::span values(block.data(), count);
    tensor.copy_to(begin, values);
    // All bits of the exponent: infinite, or not a number. Sums of comparisons become vectors.
    int wrong = 0;
    for (std::size_t i = 0; i < count; ++i) {
      wrong += (std::bit_cast<std::uint32_t>(values[i]) & 0x7f800000u) == 0x7f800000u ? 1 : 0;
    }
    if (wrong == 0) continue;
    for (std::size_t i = 0; i < count; ++i) {
      if (!std::isfinite(values[i])) {
        throw Error(ErrorCode::kInvalidCheckpoint,
                    fmt::format("tensor {}: element {} is {}, expected a finite number",
                                tensor.name, begin + static_cast<std::int64_t>(i), values[i]));
      }
    }
  }
}

}  // namespace pi0
