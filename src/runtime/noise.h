// Standard normal noise from a seed.
#pragma once

#include <cstdint>
#include <span>

namespace pi0 {

// Fills `out` with independent N(0, 1) values. The same seed gives the same values with every
// compiler (std::normal_distribution does not promise that). PyTorch's generator is another one:
// to repeat its noise, give the noise itself.
void draw_noise(std::uint64_t seed, std::span<float> out);

// A seed that is new at every call.
std::uint64_t fresh_seed();

}  // namespace pi0
