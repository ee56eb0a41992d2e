// Inputs made up, for a network of any sizes: to measure, audit and compare without an observation.
#pragma once

#include <cstdint>

#include "model/config.h"
#include "pi0/network.h"

namespace pi0 {

struct NetworkCall {
  NetworkInput input;
  SampleOptions options;
};

struct InputSize {
  int cameras = 0;  // 0: all that the network has
  int tokens = 0;   // 0: as many as the network takes
  int steps = 0;    // 0: as the network says
};

// Uniform pixels in [-1, 1] and tokens of the vocabulary, a state and noise of N(0, 1); the same
// for the same seed. Throws Error (kInvalidInput) when the network does not take so much.
NetworkCall random_call(const ModelConfig& config, const InputSize& size, std::uint64_t seed);

// "pi0" or "pi05".
std::string network_name(const ModelConfig& config);

// "3 cameras, 48 tokens, 10 steps".
std::string describe(const ModelConfig& config, const NetworkCall& call);

}  // namespace pi0
