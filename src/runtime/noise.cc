#include "runtime/noise.h"

#include <cmath>
#include <numbers>
#include <random>

namespace pi0 {

void draw_noise(std::uint64_t seed, std::span<float> out) {
  std::mt19937_64 generator(seed);
  // (0, 1], 53 bits: the logarithm below never sees zero.
  const auto uniform = [&] { return (static_cast<double>(generator() >> 11) + 1.0) * 0x1p-53; };
  for (std::size_t i = 0; i < out.size(); i += 2) {  // Box-Muller: two values from two
    const double radius = std::sqrt(-2.0 * std::log(uniform()));
    const double angle = 2.0 * std::numbers::pi * uniform();
    out[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < out.size()) out[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
}

std::uint64_t fresh_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

}  // namespace pi0
