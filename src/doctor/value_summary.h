// What a tensor's values are like, all of them, in one pass.
#pragma once

#include <cstdint>

#include "device/host_tensor.h"

namespace pi0 {

struct ValueSummary {
  std::int64_t count = 0;
  std::int64_t not_finite = 0;
  float least = 0;
  float largest = 0;
  double square = 0;  // sums of the values' second and fourth powers
  double fourth = 0;

  bool constant() const { return not_finite == 0 && least == largest; }
  double rms() const;
  // 3 of a normal distribution around 0, 1.8 of a uniform one, more of longer tails.
  double kurtosis() const;
  void add(const ValueSummary& other);
};

// Of elements [begin, begin + count).
ValueSummary summarise(const HostTensor& tensor, std::int64_t begin, std::int64_t count);

}  // namespace pi0
