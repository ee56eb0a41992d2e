// A network on its device: checks a call's tensors, leaves out what is masked, draws the noise.
// Network and Policy run it; `pi0 verify` observes it.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "model/pi0.h"
#include "pi0/network.h"

namespace pi0 {

class Runner {
 public:
  // Throws Error when the device is not there, memory does not suffice, or a weight is not finite.
  Runner(const Checkpoint& checkpoint, const NetworkOptions& options);

  const NetworkInfo& info() const { return info_; }
  const std::string& device() const { return device_; }

  // See Network::sample_actions. Calls are serialised.
  std::vector<float> sample_actions(const NetworkInput& input, const SampleOptions& options,
                                    Timing* timing, StageObserver* observer = nullptr);

 private:
  Pi0Input prepare(const NetworkInput& input, const SampleOptions& options) const;

  NetworkInfo info_;
  std::string device_;
  std::mutex mutex_;
  std::unique_ptr<Pi0> model_;
};

}  // namespace pi0
