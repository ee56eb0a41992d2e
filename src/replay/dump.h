// A recorded call's observation, for looking at.
#pragma once

#include <filesystem>
#include <vector>

#include "replay/record.h"

namespace pi0 {

// Into `directory`, which is made where it is not there: call-N-CAMERA.png for each image, and
// call-N.json with what was told, asked and answered; of a batch, call-N.I… for each. Returns what
// was written. Throws Error.
std::vector<std::filesystem::path> dump_call(const RecordedCall& recorded, const RecordHead& head,
                                             const std::filesystem::path& directory);

}  // namespace pi0
