// What a caller asks of a checkpoint, in its terms.
#pragma once

#include "checkpoint/checkpoint.h"
#include "pi0/policy.h"

namespace pi0 {

// Throws Error (kInvalidInput) when prompt_format or lerobot_version is none that there is.
CheckpointOverrides overrides_of(const CheckpointOptions& options);

}  // namespace pi0
