// The two families of checkpoint: each reads all but the weights of its directory.
#pragma once

#include <filesystem>

#include "checkpoint/checkpoint.h"
#include "checkpoint/weight_files.h"

namespace pi0 {

// Both fill a CheckpointData but for `dtype` and `weights`; model.vocab_size is 0 where the files
// do not say it.
CheckpointData open_lerobot(const std::filesystem::path& directory,
                            const CheckpointOverrides& options);

// What openpi's files do not say is read from the tensors' names and shapes.
CheckpointData open_openpi(const std::filesystem::path& directory, const WeightFiles& files,
                           const CheckpointOverrides& options);

}  // namespace pi0
