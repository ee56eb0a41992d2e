// A network on its device: what its sessions share.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "device/backend.h"
#include "model/pi0.h"
#include "pi0/network.h"
#include "runtime/weight_cache.h"

namespace pi0 {

NetworkInfo network_info(const ModelConfig& config);

class LoadedNetwork {
 public:
  // Throws Error when the device is not there, memory does not suffice, or a weight is not finite.
  LoadedNetwork(const CheckpointData& checkpoint, const DeviceOptions& options);
  // On a device that has been opened, whose memory suffices.
  LoadedNetwork(const CheckpointData& checkpoint, OpenDevice device,
                const std::function<void(const Progress&)>& progress = {},
                const std::shared_ptr<WeightCache>& cache = nullptr);

  // The public network of it, or of the same one on several devices; and back, to the first of
  // them.
  static Network share(std::vector<std::shared_ptr<LoadedNetwork>> networks);
  static const LoadedNetwork& of(const Network& network);
  // A session on each of its devices, for one caller whose calls they share.
  static std::vector<NetworkSession> session_on_each(const Network& network);

  const NetworkInfo& info() const { return info_; }
  const std::string& device() const { return device_; }
  const std::optional<HostPeak>& peak() const { return peak_; }  // as OpenDevice has it
  const Pi0& model() const { return *model_; }
  // Throws Error (kIo) where a file of the weights has been written to since it was opened: what is
  // mapped of it (the token embedding; on the reference device all) is no longer what was loaded.
  void require_unchanged() const;
  std::mutex& mutex() { return mutex_; }            // of the device
  std::atomic<int>& callers() { return callers_; }  // that were given a session on this device

 private:
  struct Opened {
    OpenDevice device;
    std::shared_ptr<WeightCache> cache;
  };
  static Opened open(const CheckpointData& checkpoint, const DeviceOptions& options);
  LoadedNetwork(const CheckpointData& checkpoint, Opened opened, const DeviceOptions& options);

  NetworkInfo info_;
  std::string device_;
  std::optional<HostPeak> peak_;
  std::vector<std::shared_ptr<const OpenedFile>> weight_files_;
  std::unique_ptr<const Pi0> model_;
  std::mutex mutex_;
  std::atomic<int> callers_ = 0;
};

// A network of weights that are in no directory, or on a device that was opened: Network::load for
// whoever measures or verifies, on one device. Arguments as LoadedNetwork's.
template <typename... Arguments>
Network load_network(const CheckpointData& checkpoint, Arguments&&... arguments) {
  return LoadedNetwork::share(
      {std::make_shared<LoadedNetwork>(checkpoint, std::forward<Arguments>(arguments)...)});
}

// On each of `devices`, one after another; at least one.
Network load_on_each(const CheckpointData& checkpoint, const std::vector<DeviceOptions>& devices);

}  // namespace pi0
