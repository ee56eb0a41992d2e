// A network on its device: checks a call's tensors, leaves out what is masked, draws the noise.
// Network and Policy run it; `pi0 verify` observes it.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "device/backend.h"
#include "model/pi0.h"
#include "pi0/network.h"
#include "policy/weight_cache.h"

namespace pi0 {

struct NetworkCall {
  NetworkInput input;
  SampleOptions options;
};

class Runner {
 public:
  // Throws Error when the device is not there, memory does not suffice, or a weight is not finite.
  Runner(const Checkpoint& checkpoint, const NetworkOptions& options);
  // On a device that has been opened, whose memory suffices.
  Runner(const Checkpoint& checkpoint, OpenDevice device,
         const std::function<void(const Progress&)>& progress,
         const std::shared_ptr<WeightCache>& cache = nullptr);

  const NetworkInfo& info() const { return info_; }
  const std::string& device() const { return device_; }
  // As OpenDevice has them.
  const std::optional<HostPeak>& peak() const { return peak_; }
  double least_correlation() const { return least_correlation_; }

  // See Network::sample_actions. Calls are serialised.
  std::vector<float> sample_actions(const NetworkInput& input, const SampleOptions& options,
                                    Timing* timing, StageObserver* observer = nullptr);

  // The same for `count` calls in their order: `call(i)` says what the i-th is, `done` is given its
  // result. A device may take the images of the next call while it computes one, so `call(i + 1)`
  // is asked for before `done(i)`.
  using Done = std::function<void(std::size_t, std::vector<float>, const Timing&)>;
  void sample_batch(std::size_t count, const std::function<NetworkCall(std::size_t)>& call,
                    const Done& done);

 private:
  struct Opened {
    OpenDevice device;
    std::shared_ptr<WeightCache> cache;
  };
  static Opened open(const Checkpoint& checkpoint, const NetworkOptions& options);
  Runner(const Checkpoint& checkpoint, Opened opened, const NetworkOptions& options);

  Pi0Input prepare(const NetworkInput& input, const SampleOptions& options) const;
  std::vector<float> sample(const std::shared_ptr<const Pi0Input>& input, Timing* timing,
                            StageObserver* observer, std::shared_ptr<const Pi0Input> next);

  NetworkInfo info_;
  std::string device_;
  std::optional<HostPeak> peak_;
  double least_correlation_ = 0;
  std::mutex mutex_;
  std::unique_ptr<Pi0> model_;
  // Whose images may be on the device already: kept until the call after, so that no other input
  // is taken for it.
  std::shared_ptr<const Pi0Input> announced_;
};

}  // namespace pi0
