// The whole network, π0 or π0.5, on one device: weights and a forward pass. What a call needs
// beside them is a Pi0Session's (model/session.h).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "model/denoise.h"
#include "model/siglip.h"

namespace pi0 {

class Pi0 {
 public:
  // Prepares the weights on `device`, which it then owns. `progress` is called with the number of
  // tensors prepared so far; may be empty. Throws Error naming a tensor that is not finite.
  Pi0(const ModelConfig& config, std::shared_ptr<const WeightSource> source,
      std::unique_ptr<Device> device, const std::function<void(int)>& progress);

  const ModelConfig& config() const { return config_; }
  Device& device() const { return *device_; }

  // Rows of the token embedding, scaled: [tokens, width], on the host. Throws Error when a row is
  // not finite.
  std::vector<float> embed_tokens(const std::vector<std::int32_t>& tokens) const;

  // images [cameras, size, size, 3] in [-1, 1] -> [cameras * patches, width].
  Tensor embed_images(const Tensor& images, const Stages& stages) const;
  // Of images and prompt, of which one may be none.
  KvCache prefix(const Tensor& images, const Tensor& language, const Stages& stages) const;
  // π0's state [1, state_dim], behind them.
  KvCache append_state(const Tensor& state, KvCache prefix, const Stages& stages) const;
  // What a step at this time needs of it, and so many Euler steps of theirs.
  StepConstants constants_at(float t) const;
  std::vector<StepConstants> step_constants(int steps) const;
  // noise [action_horizon, action_dim] -> actions. `guidance` and `held`, one at most, may be null.
  Tensor denoise(const Tensor& noise, const KvCache& cache, const std::vector<StepConstants>& steps,
                 const Guidance* guidance, const HeldRows* held, const Stages& stages) const;

 private:
  ModelConfig config_;
  std::shared_ptr<const WeightSource> source_;
  HostTensor embedding_;  // [vocab_size, width], looked up by row where it is mapped
  std::unique_ptr<Device> device_;
  // Below the device: they are freed before it.
  std::optional<Siglip> siglip_;
  std::optional<Prefix> prefix_;
  std::optional<Denoiser> denoiser_;
};

}  // namespace pi0
