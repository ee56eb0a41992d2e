// A Tenstorrent card on the CPU: tiles and their padding, rounding of every stored tensor, memory
// that runs out where the card's would, and the rules by which TTNN refuses a call.
#pragma once

#include <memory>

#include "device/ttnn/shim/shim.h"

namespace pi0 {

// Without `arithmetic` nothing is computed: shapes, placement and memory alone, so that a
// full-size call takes seconds; to_host() then gives zeros.
std::unique_ptr<shim::Api> make_emulated_shim(const Card& card, bool arithmetic = true);

}  // namespace pi0
