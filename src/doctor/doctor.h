// What may be wrong with a checkpoint, before a robot moves by it.
#pragma once

#include <filesystem>
#include <functional>

#include "doctor/finding.h"
#include "pi0/policy.h"

namespace pi0 {

// What the robot has seen and done before; either, both or neither.
struct OwnData {
  std::filesystem::path recording = {};    // see sample_of()
  std::filesystem::path data_sample = {};  // see read_data_sample()
};

// All checks; those of predictions where there is data. Throws Error, as `pi0 info` does, where
// there is no checkpoint to look at, and where the data cannot be read or does not fit; a check
// that cannot be made is a finding. `device.progress` is told of the weights, which are all read,
// and of the predictions.
Findings examine(const std::filesystem::path& checkpoint, const CheckpointOptions& options,
                 const DeviceOptions& device, const OwnData& data = {});

}  // namespace pi0
