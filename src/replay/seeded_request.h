// A recorded request for a server to compute again.
#pragma once

#include <cstddef>
#include <vector>

#include "record/recorded_call.h"

namespace pi0 {

// The message as it came, its "pi0" with the seed, the steps and the delay that were settled for
// it; as it is where it is no map.
std::vector<std::byte> seeded_request(const RecordedCall& recorded);

}  // namespace pi0
