// A shape as errors and tables show it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pi0 {

// "[2, 3]"
inline std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i ? ", " : "") + std::to_string(shape[i]);
  }
  return text + "]";
}

}  // namespace pi0
