// A directory that lerobot saved: all but its weights.
#pragma once

#include "checkpoint/form/checkpoint_data.h"
#include "checkpoint/form/places.h"

namespace pi0 {

// Fills a CheckpointData but for `dtype` and `weights`; model.vocab_size is 0 where the files do
// not say it.
CheckpointData open_lerobot(const Places& places, const CheckpointOverrides& options);

}  // namespace pi0
