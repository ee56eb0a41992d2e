#pragma once

#include <memory>
#include <mutex>

#include "pi0/network.h"
#include "runtime/runner.h"

namespace pi0 {

struct Network::Impl {
  explicit Impl(std::shared_ptr<LoadedNetwork> network)
      : loaded(std::move(network)), runner(loaded) {}

  std::shared_ptr<LoadedNetwork> loaded;
  std::mutex mutex;
  Runner runner;  // of the network's own calls
};

}  // namespace pi0
