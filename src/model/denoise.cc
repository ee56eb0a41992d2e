#include "model/denoise.h"

#include <algorithm>

namespace pi0 {
namespace {

// How strongly the error at time t counts; at t = 1 it would be infinite. lerobot's RTCProcessor.
float guidance_gain(float t, float max_weight) {
  const double tau = 1.0 - double{t}, square = double{t} * t;
  if (tau <= 0) return max_weight;
  return static_cast<float>(
      std::min(double{t} / tau * (square + tau * tau) / square, double{max_weight}));
}

}  // namespace

Denoiser::Denoiser(const ModelConfig& config, const Loader& loader) : suffix_(config, loader) {
  const std::string model = "paligemma_with_expert.gemma_expert.model.";
  const bool adaptive = config.kind == ModelKind::kPi05;
  for (int i = 0; i < config.expert.depth; ++i) {
    const std::string name = model + "layers." + std::to_string(i) + ".";
    layers_.push_back(
        load_gemma_layer(config.expert, loader, name, adaptive, WeightPrecision::kLayer));
    if (adaptive) {
      dense_.push_back(loader.modulation(name + "input_layernorm.dense"));
      dense_.push_back(loader.modulation(name + "post_attention_layernorm.dense"));
    }
  }
  if (adaptive) {
    dense_.push_back(loader.modulation(model + "norm.dense"));
  } else {
    norm_ = loader.rms_norm(model + "norm");
  }
  action_out_ = loader.end_linear("action_out_proj");
}

StepConstants Denoiser::constants_at(Device& device, float t) const {
  StepConstants step;
  step.t = t;
  if (dense_.empty()) {
    step.time_row = suffix_.time_row(device, t);
    return step;
  }
  const Tensor condition = suffix_.condition(device, t);
  for (const auto& dense : dense_) {
    step.modulations.push_back(device.modulation(condition, *dense));
  }
  return step;
}

std::vector<StepConstants> Denoiser::step_constants(Device& device, int steps) const {
  std::vector<StepConstants> constants;
  const double dt = -1.0 / steps;
  for (int k = 0; k < steps; ++k) {
    device.mark(component::kStepConstants, k);
    constants.push_back(constants_at(device, static_cast<float>(1.0 + k * dt)));
  }
  return constants;
}

KvCache Denoiser::append_state(Device& device, const Tensor& state, KvCache prefix,
                               const Stages& stages) const {
  device.mark(component::kStateEmbedding, 0);
  Tensor x = suffix_.embed_state(device, state);
  stages("state_embedding", 0, x);
  KvCache cache;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    KeysValues own;
    device.mark(component::kStateLayer, static_cast<int>(i));
    if (i + 1 < layers_.size()) {
      Qkv qkv = project(device, layers_[i], x, &prefix[i]);
      x = finish_layer(device, layers_[i], std::move(x), std::move(qkv.queries), qkv.own,
                       &prefix[i]);
      own = std::move(qkv.own);
    } else {
      own = project_keys_values(device, layers_[i], x, &prefix[i]);
    }
    cache.push_back(device.concatenate_tokens(std::move(prefix[i]), std::move(own)));
  }
  return cache;
}

Tensor Denoiser::denoise(Device& device, const Tensor& noise, const KvCache& cache,
                         const std::vector<StepConstants>& steps, const Guidance* guidance,
                         const HeldRows* held, const Stages& stages) const {
  const auto hold = [&](const Tensor& x) {
    return device.choose_rows(held->actions, held->of_actions.held, x, held->of_actions.free);
  };
  Tensor x;
  const Tensor* x_t = &noise;
  if (held != nullptr) {
    device.mark(component::kSuffixEmbedding, 0);
    x = hold(noise);
    x_t = &x;
  }
  const auto dt = static_cast<float>(-1.0 / static_cast<double>(steps.size()));
  for (std::size_t k = 0; k < steps.size(); ++k) {
    const int index = static_cast<int>(k);
    stages.progress("denoising", k, steps.size());
    stages("x_t", index, *x_t);
    Tensor v = velocity(device, *x_t, cache, steps[k], held, stages, index);
    stages("v_t", index, v);
    device.mark(component::kDenoisingStep, index);
    if (guidance != nullptr) {
      const float t = steps[k].t;
      v = device.guided_velocity(*x_t, v, guidance->target, guidance->weights, t,
                                 guidance_gain(t, guidance->max_weight));
    }
    x = device.euler_step(*x_t, v, dt);
    if (held != nullptr) x = hold(x);
    x_t = &x;
  }
  return x;
}

Tensor Denoiser::velocity(Device& device, const Tensor& x_t, const KvCache& cache,
                          const StepConstants& step, const HeldRows* held, const Stages& stages,
                          int index) const {
  const bool adaptive = !step.modulations.empty();
  const auto modulation = [&](std::size_t which) -> NormModulation {
    if (!adaptive) return {};
    const Modulation* const own = &step.modulations[which];
    if (held == nullptr) return {own};
    return {own, &held->constants->modulations[which], &held->of_tokens};
  };
  if (adaptive && stages.observed()) {  // it has become modulations, so is not kept
    device.mark(component::kStepConstants, index);
    stages("conditioning", index, suffix_.condition(device, step.t));
  }
  device.mark(component::kSuffixEmbedding, index);
  Tensor x = suffix_.embed_actions(device, x_t, step.time_row);
  if (index == 0) stages("action_embeddings", 0, x);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    device.mark(component::kExpertLayer,
                index * static_cast<int>(layers_.size()) + static_cast<int>(i));
    const GemmaModulation norms{modulation(2 * i), modulation(2 * i + 1)};
    Qkv qkv = project(device, layers_[i], x, &cache[i], norms.input);
    x = finish_layer(device, layers_[i], std::move(x), std::move(qkv.queries), qkv.own, &cache[i],
                     norms);
  }
  device.mark(component::kVelocity, index);
  x = normalise(device, x, norm_.get(), modulation(2 * layers_.size()));
  return device.linear(x, *action_out_, Activation::kNone, nullptr, Precision::kFp32);
}

}  // namespace pi0
