// A checkpoint directory, as lerobot saves it or as openpi's PyTorch conversion leaves it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/form/checkpoint_data.h"
#include "checkpoint/weights/weight_check.h"

namespace pi0 {

// Reads everything but the weights' contents, which stay mapped. Throws Error on the first thing
// that makes the checkpoint unusable; of the weights' tensors it names all that are wrong.
CheckpointData open_checkpoint(const std::filesystem::path& directory,
                               const CheckpointOverrides& options = {});

// The same without refusing what is found wrong around the network, or among its tensors. Throws
// Error as open_checkpoint does for what it cannot do without.
struct Inspection {
  CheckpointData checkpoint;  // `weights` is null where a tensor is missing or wrong
  TensorReport tensors;
  std::vector<std::string> refused;  // what open_checkpoint would throw, a sentence each
  // What surrounds the network could not be read, as `refused` says: `checkpoint` has none of it.
  bool network_alone = false;
};
Inspection inspect_checkpoint(const std::filesystem::path& directory,
                              const CheckpointOverrides& options = {});

}  // namespace pi0
