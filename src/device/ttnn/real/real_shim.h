// TTNN itself, where this build has it (cmake -DPI0_TTNN=ON).
#pragma once

#include <memory>
#include <string>

#include "device/ttnn/shim/shim.h"

namespace pi0 {

bool ttnn_is_built();
// Cards that can be opened; 0 where TTNN is not built or finds none.
int count_cards();
// Tenstorrent's simulator stands in for them (TT_METAL_SIMULATOR names it).
bool cards_are_simulated();
// Opens a card. Throws Error (kUnsupported) with the way out when there is no such card, when it
// is in use, when its firmware does not fit the library, or when the TTNN that is loaded is another
// build than this library was compiled with.
std::unique_ptr<shim::Api> make_real_shim(int card);

}  // namespace pi0
