#include "model/pi0.h"

#include <cmath>
#include <utility>

#include "model/stopwatch.h"
#include "pi0/error.h"

namespace pi0 {

Pi0::Pi0(const ModelConfig& config, std::shared_ptr<const WeightSource> source,
         std::unique_ptr<Device> device, const std::function<void(int)>& progress)
    : config_(config), source_(std::move(source)), device_(std::move(device)) {
  const Loader loader(*device_, *source_, progress);
  embedding_ = source_->tensor(std::string(kEmbedTokens));
  siglip_.emplace(config_, loader);
  prefix_.emplace(config_, loader);
  denoiser_.emplace(config_, loader);
}

std::vector<float> Pi0::embed_tokens(const std::vector<std::int32_t>& tokens) const {
  const std::int64_t width = config_.language.width;
  const auto scale = static_cast<float>(std::sqrt(static_cast<double>(width)));
  std::vector<float> rows(tokens.size() * static_cast<std::size_t>(width));
  if (embedding_.data == nullptr) return rows;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    HostTensor row = embedding_;
    row.name += " row " + std::to_string(tokens[i]);
    row.shape = {width};
    row.data += static_cast<std::size_t>(tokens[i] * width) * size_of(row.dtype);
    require_finite(row);
    row.copy_to(0, std::span(rows).subspan(i * width, width));
  }
  for (float& value : rows) value *= scale;
  return rows;
}

void Pi0::prepare_call(const Pi0Input& input) {
  const auto steps = static_cast<std::size_t>(input.steps);
  const bool images_are_there = std::exchange(prefetched_, nullptr) == &input;
  if (steps_.size() != steps) {
    call_ = {};
    steps_ = denoiser_->step_constants(*device_, input.steps);
  }
  device_->mark("inputs", 0);
  const std::int64_t size = config_.image_size;
  const std::vector<float> language = embed_tokens(input.tokens);
  const Shape language_shape{static_cast<std::int64_t>(input.tokens.size()),
                             config_.language.width};
  if (call_.noise && call_.cameras == input.cameras && call_.tokens == input.tokens.size()) {
    if (call_.images && !images_are_there) device_->write(call_.images, input.images);
    if (call_.language) device_->write(call_.language, language);
    if (call_.state) device_->write(call_.state, input.state);
    device_->write(call_.noise, input.noise);
    return;
  }
  call_ = {};
  call_.cameras = input.cameras;
  call_.tokens = input.tokens.size();
  if (input.cameras > 0) {
    call_.images = device_->upload_images({input.cameras, size, size, 3}, input.images,
                                          config_.vision.patch_size);
  }
  if (!input.tokens.empty()) call_.language = device_->upload(language_shape, language);
  if (config_.kind == ModelKind::kPi0) {
    call_.state = device_->upload({1, config_.state_dim}, input.state);
  }
  call_.noise =
      device_->upload({config_.action_horizon, config_.action_dim}, input.noise, Precision::kFp32);
}

std::vector<float> Pi0::sample_actions(const Pi0Input& input, StageObserver* observer,
                                       Pi0Timing* timing, const Pi0Input* next) {
  try {
    return run_call(input, observer, timing, next);
  } catch (...) {
    // Half done: what it has recorded may not be replayed, and what a card still does ends before
    // its memory is another's.
    try {
      device_->synchronize();
    } catch (const Error&) {  // what broke the call is what its caller is told
    }
    call_ = {};
    throw;
  }
}

std::vector<float> Pi0::run_call(const Pi0Input& input, StageObserver* observer, Pi0Timing* timing,
                                 const Pi0Input* next) {
  Stopwatch watch;
  Pi0Timing spent;
  const Stages stages(*device_, observer, input.progress);
  prepare_call(input);
  Call& call = call_;
  // An observer reads tensors in the middle of the work, which a recording cannot; and what the
  // work then assigns anew, a recording would replay into its old place.
  if (stages.observed()) {
    for (auto* recording : {&call.vision, &call.prefix, &call.denoise}) recording->reset();
  }
  // What is replayed tells nothing of its progress: its beginning is told for it.
  const auto run = [&](std::string_view part, std::size_t total,
                       std::unique_ptr<Recording>& recording, const std::function<void()>& work) {
    stages.progress(part, 0, total);
    if (stages.observed()) {
      work();
    } else {
      device_->run(recording, work);
    }
  };

  run("vision", config_.vision.depth, call.vision, [&] {
    if (call.images) call.embeddings = siglip_->embed(*device_, call.images, stages);
  });
  if (timing != nullptr) device_->synchronize();
  spent.vision = watch.lap_ms();
  const bool prefetch = next != nullptr && call.images && next->cameras == call.cameras;
  if (prefetch) device_->write(call.images, next->images);  // while the prefix is computed

  run("prefix", config_.language.depth - 1, call.prefix, [&] {
    std::vector<const Tensor*> parts;
    if (call.embeddings) parts.push_back(&call.embeddings);
    if (call.language) parts.push_back(&call.language);
    device_->mark("prefix_embeddings", 0);
    Tensor embeddings = device_->concatenate_rows(parts);
    stages("prefix_embeddings", 0, embeddings);
    call.cache = prefix_->run(*device_, std::move(embeddings), stages);
    if (call.state) {
      call.cache = denoiser_->append_state(*device_, call.state, std::move(call.cache), stages);
    }
  });
  if (timing != nullptr) device_->synchronize();
  spent.prefix = watch.lap_ms();

  run("denoising", steps_.size(), call.denoise,
      [&] { call.actions = denoiser_->denoise(*device_, call.noise, call.cache, steps_, stages); });
  device_->mark("actions", 0);
  std::vector<float> actions = device_->download(call.actions);
  spent.denoise = watch.lap_ms();
  if (prefetch) prefetched_ = next;  // last: a call that fails promises nothing
  if (timing != nullptr) *timing = spent;
  return actions;
}

}  // namespace pi0
