// Normalising what goes into the network and un-normalising what comes out, as the family of the
// checkpoint does it: openpi in fp64 (NumPy), lerobot in fp32 (PyTorch), in their order of
// operations. Nothing is clamped.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace pi0 {

// One vector. Statistics longer than it are cut; dimensions beyond them stay as they are.
std::vector<double> normalize(std::span<const float> vector, const Normalization& normalization,
                              Family family);
std::vector<double> unnormalize(std::span<const float> vector, const Normalization& normalization,
                                Family family);
// One value, of that dimension of such a vector.
double normalize(float value, std::size_t dimension, const Normalization& normalization,
                 Family family);

// A sentence's part on the values of `vector` that lie far outside their statistics, more than ten
// times their range (ten deviations) from the middle, as other units or another order of joints
// bring them there; empty where none does. `normalised`: the same vector, normalised.
std::string far_outside(std::span<const float> vector, std::span<const double> normalised,
                        const Normalization& normalization);

}  // namespace pi0
