#include "policy/normalize.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/text.h"
#include "checkpoint/form/sentence.h"

namespace pi0 {
namespace {

// openpi's transforms.py: Normalize and Unnormalize, eps added both ways.
struct Openpi {
  using Number = double;
  static Number in(Number x, const Normalization& n, std::size_t i) {
    if (n.mode == NormalizationMode::kMeanStd) return (x - n.first[i]) / (n.second[i] + n.eps);
    return (x - n.first[i]) / (n.second[i] - n.first[i] + n.eps) * 2.0 - 1.0;
  }
  static Number out(Number x, const Normalization& n, std::size_t i) {
    if (n.mode == NormalizationMode::kMeanStd) return x * (n.second[i] + n.eps) + n.first[i];
    return (x + 1.0) / 2.0 * (n.second[i] - n.first[i] + n.eps) + n.first[i];
  }
};

// lerobot's normalize_processor.py: mean/std adds eps going in alone; ranges use it in place of a
// range that is exactly zero, both ways.
struct Lerobot {
  using Number = float;
  static Number range(const Normalization& n, std::size_t i) {
    const Number range = static_cast<Number>(n.second[i]) - static_cast<Number>(n.first[i]);
    return range == 0 ? static_cast<Number>(n.eps) : range;
  }
  static Number in(Number x, const Normalization& n, std::size_t i) {
    const auto first = static_cast<Number>(n.first[i]);
    if (n.mode == NormalizationMode::kMeanStd) {
      return (x - first) / (static_cast<Number>(n.second[i]) + static_cast<Number>(n.eps));
    }
    return 2.0f * (x - first) / range(n, i) - 1.0f;
  }
  static Number out(Number x, const Normalization& n, std::size_t i) {
    const auto first = static_cast<Number>(n.first[i]);
    if (n.mode == NormalizationMode::kMeanStd) return x * static_cast<Number>(n.second[i]) + first;
    if (n.mode == NormalizationMode::kMinMax) return (x + 1.0f) / 2.0f * range(n, i) + first;
    return (x + 1.0f) * range(n, i) / 2.0f + first;
  }
};

template <typename Number>
using Rule = Number (*)(Number, const Normalization&, std::size_t);

template <typename Number>
double apply(float value, std::size_t dimension, const Normalization& normalization,
             Rule<Number> rule) {
  const bool known =
      normalization.mode != NormalizationMode::kIdentity && dimension < normalization.first.size();
  return known ? rule(value, normalization, dimension) : value;
}

template <typename Number>
std::vector<double> apply(std::span<const float> vector, const Normalization& normalization,
                          Rule<Number> rule) {
  std::vector<double> result;
  result.reserve(vector.size());
  for (std::size_t i = 0; i < vector.size(); ++i) {
    result.push_back(apply(vector[i], i, normalization, rule));
  }
  return result;
}

constexpr double kFar = 10;  // normalised, where training's values are about -1 to 1

}  // namespace

double normalize(float value, std::size_t dimension, const Normalization& normalization,
                 Family family) {
  return family == Family::kOpenpi ? apply(value, dimension, normalization, Openpi::in)
                                   : apply(value, dimension, normalization, Lerobot::in);
}

std::vector<double> normalize(std::span<const float> vector, const Normalization& normalization,
                              Family family) {
  return family == Family::kOpenpi ? apply(vector, normalization, Openpi::in)
                                   : apply(vector, normalization, Lerobot::in);
}

std::vector<double> unnormalize(std::span<const float> vector, const Normalization& normalization,
                                Family family) {
  return family == Family::kOpenpi ? apply(vector, normalization, Openpi::out)
                                   : apply(vector, normalization, Lerobot::out);
}

std::string far_outside(std::span<const float> vector, std::span<const double> normalised,
                        const Normalization& normalization) {
  const bool deviation = normalization.mode == NormalizationMode::kMeanStd;
  const std::size_t known = std::min(vector.size(), normalization.first.size());
  std::vector<std::string> far;
  for (std::size_t i = 0; i < known; ++i) {
    if (std::abs(normalised[i]) <= kFar) continue;
    far.push_back("value " + std::to_string(i) + " is " + short_text(vector[i], 4) + " where " +
                  (deviation ? "the mean is " : "the range is ") +
                  short_text(normalization.first[i], 4) + (deviation ? " and the std " : " to ") +
                  short_text(normalization.second[i], 4));
  }
  return list_of(far, ", ", 4);
}

}  // namespace pi0
