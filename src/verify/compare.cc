#include "verify/compare.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace pi0 {

Difference compare(std::span<const float> expected, std::span<const float> actual) {
  assert(expected.size() == actual.size());
  Difference difference;
  double sum_e = 0, sum_a = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double e = expected[i], a = actual[i];
    const double distance = std::abs(e - a);
    if (std::isfinite(distance)) {
      difference.largest = std::max(difference.largest, distance);
      difference.magnitude = std::max(difference.magnitude, std::abs(e));
    } else {
      difference.largest = std::numeric_limits<double>::infinity();
    }
    sum_e += e;
    sum_a += a;
  }
  const auto count = static_cast<double>(expected.size());
  double ee = 0, aa = 0, ea = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {  // a second pass: no cancellation
    const double e = expected[i] - sum_e / count, a = actual[i] - sum_a / count;
    ee += e * e;
    aa += a * a;
    ea += e * a;
  }
  if (ee > 0 && aa > 0) {
    difference.correlation = ea / std::sqrt(ee * aa);
  } else {
    difference.correlation = difference.largest == 0 ? 1 : 0;
  }
  return difference;
}

}  // namespace pi0
