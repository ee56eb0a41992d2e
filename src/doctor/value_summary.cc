#include "doctor/value_summary.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <span>

namespace pi0 {
namespace {

constexpr std::size_t kLanes = 16;    // sums side by side, which become vectors
constexpr std::size_t kBlock = 2048;  // stays in the first-level cache; fp32 sums no longer

ValueSummary of_block(const std::array<float, kBlock>& values, std::size_t count) {
  std::array<float, kLanes> least, largest, square{}, fourth{};
  std::array<std::int32_t, kLanes> wrong{};
  least.fill(values[0]);
  largest.fill(values[0]);
  const auto take = [&](std::size_t begin, std::size_t lanes) {
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const float value = values[begin + lane];
      const float squared = value * value;
      least[lane] = value < least[lane] ? value : least[lane];
      largest[lane] = value > largest[lane] ? value : largest[lane];
      square[lane] += squared;
      fourth[lane] += squared * squared;
      wrong[lane] += (std::bit_cast<std::uint32_t>(value) & 0x7f800000u) == 0x7f800000u;
    }
  };
  const std::size_t whole = count / kLanes * kLanes;
  for (std::size_t begin = 0; begin < whole; begin += kLanes) take(begin, kLanes);
  take(whole, count - whole);
  ValueSummary result;
  result.count = static_cast<std::int64_t>(count);
  result.least = *std::min_element(least.begin(), least.end());
  result.largest = *std::max_element(largest.begin(), largest.end());
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    result.square += square[lane];
    result.fourth += fourth[lane];
    result.not_finite += wrong[lane];
  }
  return result;
}

}  // namespace

double ValueSummary::rms() const {
  return count == 0 ? 0 : std::sqrt(square / static_cast<double>(count));
}

double ValueSummary::kurtosis() const {
  return square > 0 ? fourth * static_cast<double>(count) / (square * square) : 0;
}

void ValueSummary::add(const ValueSummary& other) {
  if (other.count == 0) return;
  least = count == 0 ? other.least : std::min(least, other.least);
  largest = count == 0 ? other.largest : std::max(largest, other.largest);
  count += other.count;
  not_finite += other.not_finite;
  square += other.square;
  fourth += other.fourth;
}

ValueSummary summarise(const HostTensor& tensor, std::int64_t begin, std::int64_t count) {
  ValueSummary result;
  std::array<float, kBlock> values;
  for (std::int64_t done = 0; done < count; done += kBlock) {
    const auto size = static_cast<std::size_t>(std::min<std::int64_t>(kBlock, count - done));
    tensor.copy_to(begin + done, std::span(values.data(), size));
    result.add(of_block(values, size));
  }
  return result;
}

}  // namespace pi0
