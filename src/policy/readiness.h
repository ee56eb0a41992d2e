// Whether a policy can be loaded, without the minutes that its weights take.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "pi0/policy.h"

namespace pi0 {

struct Readiness {
  std::filesystem::path tokenizer;   // that would be taken; empty where there is none
  std::string device;                // that would run it, and why; empty where there is none
  std::vector<std::string> refused;  // what Policy::load would throw, a sentence each
};

// Looks at everything that is asked for; a card is opened and closed.
Readiness readiness_of(const Inspection& inspection, const CheckpointOptions& options,
                       const DeviceOptions& device);

}  // namespace pi0
