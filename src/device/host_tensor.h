// A tensor in host memory, in the type that its file has: what weights are prepared from.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "base/half.h"
#include "base/shape_text.h"

namespace pi0 {

enum class DType { kF32, kF16, kBF16 };

constexpr std::size_t size_of(DType type) { return type == DType::kF32 ? 4 : 2; }
constexpr const char* name_of(DType type) {
  return type == DType::kF32 ? "f32" : type == DType::kF16 ? "f16" : "bf16";
}

using Shape = std::vector<std::int64_t>;

inline std::int64_t element_count(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

// A view, row-major and dense; `owner` keeps the memory alive (a mapping, a buffer). Without data
// it is a shape alone; such a tensor has no values to copy.
struct HostTensor {
  std::string name;  // what an error calls it
  DType dtype = DType::kF32;
  Shape shape;
  const std::byte* data = nullptr;
  std::shared_ptr<const void> owner;

  std::int64_t size() const { return element_count(shape); }

  // Elements [begin, begin + out.size()) as fp32.
  void copy_to(std::int64_t begin, std::span<float> out) const;
  std::vector<float> to_floats() const;
};

// Throws Error (kInvalidCheckpoint) naming the tensor and the first index when a value is not
// finite.
void require_finite(const HostTensor& tensor);

}  // namespace pi0
