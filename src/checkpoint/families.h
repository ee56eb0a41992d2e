// The two families of checkpoint: each reads all but the weights of its directory.
#pragma once

#include <filesystem>

#include "checkpoint/checkpoint.h"
#include "checkpoint/weight_files.h"

namespace pi0 {

// Both fill a Checkpoint but for `dtype` and `weights`; model.vocab_size is 0 where the files do
// not say it.
Checkpoint open_lerobot(const std::filesystem::path& directory, const CheckpointOptions& options);

// What openpi's files do not say is read from the tensors' names and shapes.
Checkpoint open_openpi(const std::filesystem::path& directory, const WeightFiles& files,
                       const CheckpointOptions& options);

}  // namespace pi0
