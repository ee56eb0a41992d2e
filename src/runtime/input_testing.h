// Any input that a network takes.
#pragma once

#include "pi0/network.h"

namespace pi0 {

inline NetworkInput input_of(const NetworkInfo& info) {
  NetworkInput input;
  input.images.assign(std::size_t{3} * info.image_size * info.image_size, 0.25f);
  input.tokens = {2, 5, 7};
  input.state.assign(static_cast<std::size_t>(info.state_dim), 0.5f);
  return input;
}

}  // namespace pi0
