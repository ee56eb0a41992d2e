#pragma once

#include "policy/runner.h"

namespace pi0 {

struct Network::Impl {
  Impl(const Checkpoint& checkpoint, const NetworkOptions& options) : runner(checkpoint, options) {}
  Runner runner;
};

}  // namespace pi0
