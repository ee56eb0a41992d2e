// What a caller asks of a checkpoint, in its terms.
#pragma once

#include "checkpoint/checkpoint.h"
#include "pi0/policy.h"

namespace pi0 {

// Throws Error (kInvalidInput) when prompt_format is neither "pi0" nor "pi05".
CheckpointOverrides overrides_of(const CheckpointOptions& options);

}  // namespace pi0
