#include "runtime/loaded_network.h"

#include "device/registry/registry.h"
#include "runtime/device_request.h"
#include "runtime/memory.h"

namespace pi0 {

NetworkInfo network_info(const ModelConfig& config) {
  return {.num_cameras = config.num_cameras,
          .image_size = config.image_size,
          .max_tokens = config.max_tokens,
          .vocab_size = config.vocab_size,
          .state_dim = config.kind == ModelKind::kPi0 ? config.state_dim : 0,
          .action_dim = config.action_dim,
          .action_horizon = config.action_horizon,
          .num_steps = config.num_steps,
          .rtc_training_max_delay = config.rtc_training_max_delay};
}

LoadedNetwork::Opened LoadedNetwork::open(const CheckpointData& checkpoint,
                                          const DeviceOptions& options) {
  Opened opened;
  DeviceRequest request = device_request(options);
  if (!options.cache.empty()) {
    request.memory = [&](const std::string& form) {
      opened.cache = WeightCache::open(options.cache, checkpoint, form);
      return opened.cache;
    };
  }
  opened.device = open_device(request);
  require_memory(checkpoint, opened.device, options.memory_limit_bytes);
  return opened;
}

LoadedNetwork::LoadedNetwork(const CheckpointData& checkpoint, const DeviceOptions& options)
    : LoadedNetwork(checkpoint, open(checkpoint, options), options) {}

LoadedNetwork::LoadedNetwork(const CheckpointData& checkpoint, Opened opened,
                             const DeviceOptions& options)
    : LoadedNetwork(checkpoint, std::move(opened.device), options.progress, opened.cache) {}

LoadedNetwork::LoadedNetwork(const CheckpointData& checkpoint, OpenDevice device,
                             const std::function<void(const Progress&)>& progress,
                             const std::shared_ptr<WeightCache>& cache)
    : device_(std::move(device.description)),
      peak_(std::move(device.peak)),
      weight_files_(checkpoint.weight_files) {
  std::size_t total = 0;
  for (const TensorSpec& spec : architecture(checkpoint.model)) total += spec.optional ? 0 : 1;
  const auto prepared = [&](int done) {
    require_unchanged();  // what a file has lost must not be touched
    if (progress) progress({"preparing weights", static_cast<std::size_t>(done), total});
  };
  require_unchanged();
  model_ =
      std::make_unique<const Pi0>(checkpoint.model, cache ? cache->source() : checkpoint.weights,
                                  std::move(device.device), prepared);
  require_unchanged();
  if (cache) cache->finish();
  if (progress) progress({"preparing weights", total, total});
  info_ = network_info(checkpoint.model);
  info_.least_correlation = device.least_correlation;
  if (cache) info_.warnings = cache->warnings();
}

void LoadedNetwork::require_unchanged() const {
  for (const auto& file : weight_files_) file->require_unchanged();
}

Network load_on_each(const CheckpointData& checkpoint, const std::vector<DeviceOptions>& devices) {
  std::vector<std::shared_ptr<LoadedNetwork>> networks;
  for (DeviceOptions device : devices) {
    if (device.progress) {  // of all of them as one
      device.progress = [progress = device.progress, before = networks.size(),
                         count = devices.size()](const Progress& one) {
        progress({one.stage, before * one.total + one.done, count * one.total});
      };
    }
    networks.push_back(std::make_shared<LoadedNetwork>(checkpoint, device));
  }
  return LoadedNetwork::share(std::move(networks));
}

}  // namespace pi0
