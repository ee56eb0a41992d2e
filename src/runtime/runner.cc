#include "runtime/runner.h"

#include <cmath>
#include <span>

#include "device/registry/registry.h"
#include "pi0/error.h"
#include "runtime/device_request.h"
#include "runtime/memory.h"
#include "runtime/noise.h"
#include "runtime/stopwatch.h"

namespace pi0 {
namespace {

constexpr int kMaxSteps = 10000;  // far above any use; keeps a mistyped number from hanging

void require(bool holds, const std::string& sentence) {
  if (!holds) throw Error(ErrorCode::kInvalidInput, sentence);
}

std::string count(std::size_t number) { return std::to_string(number); }

void require_finite_values(const char* name, const std::vector<float>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    throw Error(ErrorCode::kInvalidInput, std::string(name) + ": value " + count(i) + " is " +
                                              std::to_string(values[i]) +
                                              ", expected a finite number");
  }
}

// True where `mask` says so, or everywhere when there is none.
bool valid(const std::vector<std::uint8_t>& mask, std::size_t i) {
  return mask.empty() || mask[i] != 0;
}

// Channel-last, without the masked cameras.
void pack_images(const NetworkInput& input, const NetworkInfo& info, Pi0Input& packed) {
  const std::size_t pixels = static_cast<std::size_t>(info.image_size) * info.image_size;
  const std::size_t cameras = input.images.size() / (3 * pixels);
  const std::string sides = count(info.image_size) + ", " + count(info.image_size);
  require(input.images.size() == cameras * 3 * pixels,
          "images: " + count(input.images.size()) + " values, expected [cameras, " +
              (input.layout == PixelLayout::kHwc ? sides + ", 3" : "3, " + sides) +
              "], a multiple of " + count(3 * pixels));
  require(cameras <= static_cast<std::size_t>(info.num_cameras),
          "images: " + count(cameras) + " cameras, expected at most " + count(info.num_cameras));
  require(input.image_masks.empty() || input.image_masks.size() == cameras,
          "image_masks: " + count(input.image_masks.size()) + " flags for " + count(cameras) +
              " cameras");
  require_finite_values("images", input.images);
  packed.images.reserve(input.images.size());
  for (std::size_t camera = 0; camera < cameras; ++camera) {
    if (!valid(input.image_masks, camera)) continue;
    const auto values = std::span(input.images).subspan(camera * 3 * pixels, 3 * pixels);
    if (input.layout == PixelLayout::kHwc) {
      packed.images.insert(packed.images.end(), values.begin(), values.end());
    } else {
      for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
        for (std::size_t channel = 0; channel < 3; ++channel) {
          packed.images.push_back(values[channel * pixels + pixel]);
        }
      }
    }
    ++packed.cameras;
  }
  require(packed.cameras > 0, "images: no camera is valid, expected at least one");
}

// Throws Error (kInvalidInput) for what does not fit.
Pi0Input pack(const NetworkInput& input, const SampleOptions& options, const NetworkInfo& info) {
  Pi0Input packed;
  pack_images(input, info, packed);
  require(input.tokens.size() <= static_cast<std::size_t>(info.max_tokens),
          "tokens: " + count(input.tokens.size()) + ", expected at most " + count(info.max_tokens));
  require(input.token_mask.empty() || input.token_mask.size() == input.tokens.size(),
          "token_mask: " + count(input.token_mask.size()) + " flags for " +
              count(input.tokens.size()) + " tokens");
  for (std::size_t i = 0; i < input.tokens.size(); ++i) {
    if (!valid(input.token_mask, i)) continue;
    require(input.tokens[i] >= 0 && input.tokens[i] < info.vocab_size,
            "tokens: token " + count(i) + " is " + std::to_string(input.tokens[i]) +
                ", expected 0 to " + count(info.vocab_size - 1));
    packed.tokens.push_back(input.tokens[i]);
  }

  if (info.state_dim > 0) {
    require(input.state.size() == static_cast<std::size_t>(info.state_dim),
            "state: " + count(input.state.size()) + " values, expected " + count(info.state_dim) +
                " (padded with zeros)");
    require_finite_values("state", input.state);
    packed.state = input.state;
  }

  packed.steps = options.steps != 0 ? options.steps : info.num_steps;
  require(packed.steps > 0 && packed.steps <= kMaxSteps,
          "steps: " + std::to_string(packed.steps) + ", expected 1 to " + count(kMaxSteps));
  const std::size_t actions = static_cast<std::size_t>(info.action_horizon) * info.action_dim;
  require(!options.seed || options.noise.empty(),
          "seed and noise: both given, expected one of them (a seed draws the noise)");
  packed.noise = options.noise;
  if (packed.noise.empty()) {
    packed.noise.resize(actions);
    draw_noise(options.seed ? *options.seed : fresh_seed(), packed.noise);
  }
  require(packed.noise.size() == actions, "noise: " + count(packed.noise.size()) +
                                              " values, expected [" + count(info.action_horizon) +
                                              ", " + count(info.action_dim) + "]");
  require_finite_values("noise", packed.noise);
  if (options.progress) {
    packed.progress = [&options](std::string_view stage, int done, int total) {
      options.progress({stage, static_cast<std::size_t>(done), static_cast<std::size_t>(total)});
    };
  }
  return packed;
}

}  // namespace

NetworkInfo network_info(const ModelConfig& config) {
  return {.num_cameras = config.num_cameras,
          .image_size = config.image_size,
          .max_tokens = config.max_tokens,
          .vocab_size = config.vocab_size,
          .state_dim = config.kind == ModelKind::kPi0 ? config.state_dim : 0,
          .action_dim = config.action_dim,
          .action_horizon = config.action_horizon,
          .num_steps = config.num_steps};
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
      least_correlation_(device.least_correlation) {
  std::size_t total = 0;
  for (const TensorSpec& spec : architecture(checkpoint.model)) total += spec.optional ? 0 : 1;
  const auto prepared = [&](int done) {
    if (progress) progress({"preparing weights", static_cast<std::size_t>(done), total});
  };
  model_ =
      std::make_unique<const Pi0>(checkpoint.model, cache ? cache->source() : checkpoint.weights,
                                  std::move(device.device), prepared);
  if (cache) cache->finish();
  if (progress) progress({"preparing weights", total, total});
  info_ = network_info(checkpoint.model);
  if (cache) info_.warnings = cache->warnings();
}

Runner::Runner(std::shared_ptr<LoadedNetwork> network)
    : network_(std::move(network)), session_(std::make_unique<Pi0Session>(*network_->model_)) {}

Runner::~Runner() {
  const std::lock_guard device(network_->mutex_);
  session_.reset();
}

std::vector<float> Runner::sample_actions(const NetworkInput& input, const SampleOptions& options,
                                          Timing* timing, StageObserver* observer) {
  const Stopwatch watch;
  const Pi0Input packed = pack(input, options, network_->info());
  Pi0Timing spent;
  std::vector<float> actions;
  {
    const std::lock_guard device(network_->mutex_);
    actions = session_->sample_actions(packed, observer,
                                       timing != nullptr && options.time_stages ? &spent : nullptr);
  }
  require_finite_values("actions", actions);  // an overflow inside the network is not passed on
  if (timing != nullptr) {
    *timing = {.vision_ms = spent.vision,
               .prefix_ms = spent.prefix,
               .denoise_ms = spent.denoise,
               .total_ms = watch.elapsed_ms()};
  }
  return actions;
}

void Runner::prefetch(const NetworkInput& next) {
  Pi0Input packed;
  pack_images(next, network_->info(), packed);
  const std::lock_guard device(network_->mutex_);
  session_->prefetch(std::move(packed.images));
}

}  // namespace pi0
