// A network on its device, and sessions of it: they check a call's tensors, leave out what is
// masked, draw the noise. What is public stands on it, and what measures or verifies.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "device/backend.h"
#include "pi0/network.h"
#include "runtime/session.h"
#include "runtime/weight_cache.h"

namespace pi0 {

struct NetworkCall {
  NetworkInput input;
  SampleOptions options;
};

NetworkInfo network_info(const ModelConfig& config);

// What sessions share.
class LoadedNetwork {
 public:
  // Throws Error when the device is not there, memory does not suffice, or a weight is not finite.
  LoadedNetwork(const CheckpointData& checkpoint, const DeviceOptions& options);
  // On a device that has been opened, whose memory suffices.
  LoadedNetwork(const CheckpointData& checkpoint, OpenDevice device,
                const std::function<void(const Progress&)>& progress,
                const std::shared_ptr<WeightCache>& cache = nullptr);

  const NetworkInfo& info() const { return info_; }
  const std::string& device() const { return device_; }
  // As OpenDevice has them.
  const std::optional<HostPeak>& peak() const { return peak_; }
  double least_correlation() const { return least_correlation_; }

 private:
  friend class Runner;
  struct Opened {
    OpenDevice device;
    std::shared_ptr<WeightCache> cache;
  };
  static Opened open(const CheckpointData& checkpoint, const DeviceOptions& options);
  LoadedNetwork(const CheckpointData& checkpoint, Opened opened, const DeviceOptions& options);

  NetworkInfo info_;
  std::string device_;
  std::optional<HostPeak> peak_;
  double least_correlation_ = 0;
  std::unique_ptr<const Pi0> model_;
  std::mutex mutex_;  // of the device
};

// A session. Calls of the sessions of one network take turns.
class Runner {
 public:
  explicit Runner(std::shared_ptr<LoadedNetwork> network);
  // The one session of a network of its own.
  template <typename... Arguments>
  explicit Runner(const CheckpointData& checkpoint, Arguments&&... arguments)
      : Runner(std::make_shared<LoadedNetwork>(checkpoint, std::forward<Arguments>(arguments)...)) {
  }
  ~Runner();
  Runner(Runner&&) = delete;

  const LoadedNetwork& network() const { return *network_; }

  // See NetworkSession.
  std::vector<float> sample_actions(const NetworkInput& input, const SampleOptions& options,
                                    Timing* timing, StageObserver* observer = nullptr);
  void prefetch(const NetworkInput& next);

 private:
  std::shared_ptr<LoadedNetwork> network_;
  std::unique_ptr<Pi0Session> session_;
};

}  // namespace pi0
