// The checkpoint that a server serves, and what its messages are.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "pi0/policy.h"
#include "robots/robot.h"
#include "serve/options.h"

namespace pi0 {

struct ServedModel {
  Checkpoint checkpoint;
  Robot robot;
  std::vector<std::string> warnings = {};
};

// Opens the checkpoint; loads nothing. Throws Error.
std::shared_ptr<const ServedModel> open_model(const ServerOptions& options);

}  // namespace pi0
