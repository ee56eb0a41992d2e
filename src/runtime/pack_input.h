// A caller's tensors, checked, as a session takes them.
#pragma once

#include <vector>

#include "pi0/network.h"
#include "runtime/session.h"

namespace pi0 {

// Channel-last, without the masked cameras. Throws Error (kInvalidInput) for what does not fit.
struct PackedImages {
  std::vector<float> values;  // [cameras, image_size, image_size, 3]
  int cameras = 0;            // at least one
};
PackedImages pack_images(const NetworkInput& input, const NetworkInfo& info);

// The whole call, with its noise drawn where none is given. `options` lives as long as the result.
Pi0Input pack_input(const NetworkInput& input, const SampleOptions& options,
                    const NetworkInfo& info);

// Throws Error (kInvalidInput) naming the value and `name`.
void require_finite_values(const char* name, const std::vector<float>& values);

}  // namespace pi0
