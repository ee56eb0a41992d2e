// openpi's PyTorch conversion of a checkpoint: all but its weights.
#pragma once

#include "checkpoint/form/checkpoint_data.h"
#include "checkpoint/form/places.h"
#include "checkpoint/weights/weight_files.h"

namespace pi0 {

// Fills a CheckpointData but for `dtype` and `weights`; model.vocab_size is 0 where the files do
// not say it. What they do not say else is read from the tensors' names and shapes.
CheckpointData open_openpi(const Places& places, const WeightFiles& files,
                           const CheckpointOverrides& options);

}  // namespace pi0
