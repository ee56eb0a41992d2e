// How far two sets of numbers are apart.
#pragma once

#include <span>

namespace pi0 {

struct Difference {
  double largest = 0;      // |expected - actual|
  double magnitude = 0;    // the largest |expected|
  double correlation = 1;  // Pearson's; 1 where both are constant and equal, else 0 if one is
};

// Both of one size. A value that is not finite in one alone, or not equal, makes `largest`
// infinite.
Difference compare(std::span<const float> expected, std::span<const float> actual);

}  // namespace pi0
