// How long the last calls took.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

namespace pi0 {

class Latencies {
 public:
  void add(double ms) { of_[count_++ % of_.size()] = ms; }
  bool empty() const { return count_ == 0; }
  // Of the last of them; 0 of none.
  double longest() const {
    const auto end = of_.begin() + static_cast<std::ptrdiff_t>(std::min(count_, of_.size()));
    return of_.begin() == end ? 0 : *std::max_element(of_.begin(), end);
  }

 private:
  std::array<double, 16> of_ = {};
  std::size_t count_ = 0;
};

}  // namespace pi0
