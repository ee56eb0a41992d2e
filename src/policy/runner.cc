#include "policy/runner.h"

#include <cmath>

#include "device/registry/registry.h"
#include "model/stopwatch.h"
#include "pi0/error.h"
#include "policy/memory.h"
#include "policy/noise.h"
#include "policy/options.h"

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

}  // namespace

Runner::Opened Runner::open(const Checkpoint& checkpoint, const NetworkOptions& options) {
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

Runner::Runner(const Checkpoint& checkpoint, const NetworkOptions& options)
    : Runner(checkpoint, open(checkpoint, options), options) {}

Runner::Runner(const Checkpoint& checkpoint, Opened opened, const NetworkOptions& options)
    : Runner(checkpoint, std::move(opened.device), options.progress, opened.cache) {}

Runner::Runner(const Checkpoint& checkpoint, OpenDevice device,
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
  model_ = std::make_unique<Pi0>(checkpoint.model, cache ? cache->source() : checkpoint.weights,
                                 std::move(device.device), prepared);
  if (cache) cache->finish();
  if (progress) progress({"preparing weights", total, total});
  const ModelConfig& config = checkpoint.model;
  info_ = {.num_cameras = config.num_cameras,
           .image_size = config.image_size,
           .max_tokens = config.max_tokens,
           .vocab_size = config.vocab_size,
           .state_dim = config.kind == ModelKind::kPi0 ? config.state_dim : 0,
           .action_dim = config.action_dim,
           .action_horizon = config.action_horizon,
           .num_steps = config.num_steps,
           .warnings = cache ? cache->warnings() : std::vector<std::string>()};
}

Pi0Input Runner::prepare(const NetworkInput& input, const SampleOptions& options) const {
  Pi0Input packed;
  const std::size_t pixels = static_cast<std::size_t>(info_.image_size) * info_.image_size;
  const std::size_t cameras = input.images.size() / (3 * pixels);
  require(input.images.size() == cameras * 3 * pixels,
          "images: " + count(input.images.size()) + " values, expected [cameras, 3, " +
              count(info_.image_size) + ", " + count(info_.image_size) + "], a multiple of " +
              count(3 * pixels));
  require(cameras <= static_cast<std::size_t>(info_.num_cameras),
          "images: " + count(cameras) + " cameras, expected at most " + count(info_.num_cameras));
  require(input.image_masks.empty() || input.image_masks.size() == cameras,
          "image_masks: " + count(input.image_masks.size()) + " flags for " + count(cameras) +
              " cameras");
  require_finite_values("images", input.images);
  packed.images.reserve(input.images.size());
  for (std::size_t camera = 0; camera < cameras; ++camera) {
    if (!valid(input.image_masks, camera)) continue;
    const float* planes = input.images.data() + camera * 3 * pixels;
    for (std::size_t pixel = 0; pixel < pixels; ++pixel) {  // planar -> channel-last
      for (std::size_t channel = 0; channel < 3; ++channel) {
        packed.images.push_back(planes[channel * pixels + pixel]);
      }
    }
    ++packed.cameras;
  }
  require(packed.cameras > 0, "images: no camera is valid, expected at least one");

  require(
      input.tokens.size() <= static_cast<std::size_t>(info_.max_tokens),
      "tokens: " + count(input.tokens.size()) + ", expected at most " + count(info_.max_tokens));
  require(input.token_mask.empty() || input.token_mask.size() == input.tokens.size(),
          "token_mask: " + count(input.token_mask.size()) + " flags for " +
              count(input.tokens.size()) + " tokens");
  for (std::size_t i = 0; i < input.tokens.size(); ++i) {
    if (!valid(input.token_mask, i)) continue;
    require(input.tokens[i] >= 0 && input.tokens[i] < info_.vocab_size,
            "tokens: token " + count(i) + " is " + std::to_string(input.tokens[i]) +
                ", expected 0 to " + count(info_.vocab_size - 1));
    packed.tokens.push_back(input.tokens[i]);
  }

  if (info_.state_dim > 0) {
    require(input.state.size() == static_cast<std::size_t>(info_.state_dim),
            "state: " + count(input.state.size()) + " values, expected " + count(info_.state_dim) +
                " (padded with zeros)");
    require_finite_values("state", input.state);
    packed.state = input.state;
  }

  packed.steps = options.steps != 0 ? options.steps : info_.num_steps;
  require(packed.steps > 0 && packed.steps <= kMaxSteps,
          "steps: " + std::to_string(packed.steps) + ", expected 1 to " + count(kMaxSteps));
  const std::size_t actions = static_cast<std::size_t>(info_.action_horizon) * info_.action_dim;
  require(!options.seed || options.noise.empty(),
          "seed and noise: both given, expected one of them (a seed draws the noise)");
  packed.noise = options.noise;
  if (packed.noise.empty()) {
    packed.noise.resize(actions);
    draw_noise(options.seed ? *options.seed : fresh_seed(), packed.noise);
  }
  require(packed.noise.size() == actions, "noise: " + count(packed.noise.size()) +
                                              " values, expected [" + count(info_.action_horizon) +
                                              ", " + count(info_.action_dim) + "]");
  require_finite_values("noise", packed.noise);
  if (options.progress) {
    packed.progress = [&options](std::string_view stage, int done, int total) {
      options.progress({stage, static_cast<std::size_t>(done), static_cast<std::size_t>(total)});
    };
  }
  return packed;
}

std::vector<float> Runner::sample(const std::shared_ptr<const Pi0Input>& input, Timing* timing,
                                  StageObserver* observer, std::shared_ptr<const Pi0Input> next) {
  const std::lock_guard lock(mutex_);
  const Pi0Input* following = next.get();
  const std::shared_ptr<const Pi0Input> announced = std::exchange(announced_, std::move(next));
  Pi0Timing spent;
  std::vector<float> actions = model_->sample_actions(*input, observer, &spent, following);
  require_finite_values("actions", actions);  // an overflow inside the network is not passed on
  timing->vision_ms = spent.vision;
  timing->prefix_ms = spent.prefix;
  timing->denoise_ms = spent.denoise;
  return actions;
}

std::vector<float> Runner::sample_actions(const NetworkInput& input, const SampleOptions& options,
                                          Timing* timing, StageObserver* observer) {
  const Stopwatch watch;
  Timing spent;
  std::vector<float> actions =
      sample(std::make_shared<const Pi0Input>(prepare(input, options)), &spent, observer, nullptr);
  spent.total_ms = watch.elapsed_ms();
  if (timing != nullptr) *timing = spent;
  return actions;
}

void Runner::sample_batch(std::size_t count, const std::function<NetworkCall(std::size_t)>& call,
                          const Done& done) {
  struct Prepared {
    SampleOptions options;  // which the input's progress refers to
    std::shared_ptr<const Pi0Input> input;
    double prepare_ms = 0;
  };
  const auto prepare_call = [&](std::size_t i) {
    NetworkCall asked = call(i);
    auto prepared = std::make_unique<Prepared>();
    const Stopwatch watch;
    prepared->options = std::move(asked.options);
    prepared->input = std::make_shared<const Pi0Input>(prepare(asked.input, prepared->options));
    prepared->prepare_ms = watch.elapsed_ms();
    return prepared;
  };
  std::unique_ptr<Prepared> current = count == 0 ? nullptr : prepare_call(0);
  for (std::size_t i = 0; i < count; ++i) {
    std::unique_ptr<Prepared> next = i + 1 < count ? prepare_call(i + 1) : nullptr;
    const Stopwatch watch;
    Timing spent;
    std::vector<float> actions =
        sample(current->input, &spent, nullptr, next ? next->input : nullptr);
    spent.total_ms = current->prepare_ms + watch.elapsed_ms();
    done(i, std::move(actions), spent);
    current = std::move(next);
  }
}

}  // namespace pi0
