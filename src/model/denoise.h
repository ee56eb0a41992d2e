// The action expert: from noise to actions in Euler steps over the prefix's keys and values.
#pragma once

#include <memory>
#include <vector>

#include "model/prefix.h"
#include "model/suffix.h"

namespace pi0 {

// All that a step needs of its time.
struct StepConstants {
  float t = 0;
  Tensor time_row;                      // π0
  std::vector<Modulation> modulations;  // π0.5: two a layer, then the final norm's
};

// Towards the chunk before (real-time chunking), both [action_horizon, action_dim] in fp32.
struct Guidance {
  Tensor target;   // what is left of that chunk
  Tensor weights;  // how much of each of its elements counts
  float max_weight = 0;
};

// The first rows are the chunk's before, not to be denoised, and so at time 0 (real-time chunking
// in its trained form).
struct HeldRows {
  Tensor actions;        // those rows of that chunk, [action_horizon, action_dim] in fp32
  RowChoice of_actions;  // [action_horizon, action_dim] in fp32
  RowChoice of_tokens;   // [action_horizon, expert's width]
  std::shared_ptr<const StepConstants> constants;  // of t = 0
};

class Denoiser {
 public:
  Denoiser(const ModelConfig& config, const Loader& loader);

  // Of a step at this time, and of so many steps:
  StepConstants constants_at(Device& device, float t) const;
  // t_k = 1 + k dt rounded to fp32, dt = -1 / steps.
  std::vector<StepConstants> step_constants(Device& device, int steps) const;

  // π0: the cache with the keys and values of the state token, which sees the prefix and itself
  // but no action, and so does not depend on x_t or t. state [1, state_dim].
  KvCache append_state(Device& device, const Tensor& state, KvCache prefix,
                       const Stages& stages) const;

  // noise (x at t = 1) [action_horizon, action_dim] -> actions. Every action sees the whole cache.
  // `guidance` and `held`, of which one at most is there, may be null.
  Tensor denoise(Device& device, const Tensor& noise, const KvCache& cache,
                 const std::vector<StepConstants>& steps, const Guidance* guidance,
                 const HeldRows* held, const Stages& stages) const;

 private:
  Tensor velocity(Device& device, const Tensor& x_t, const KvCache& cache,
                  const StepConstants& step, const HeldRows* held, const Stages& stages,
                  int index) const;

  Suffix suffix_;
  std::vector<GemmaLayer> layers_;
  std::vector<std::unique_ptr<LinearWeights>> dense_;  // π0.5: as StepConstants::modulations
  std::unique_ptr<NormWeights> norm_;                  // π0
  std::unique_ptr<LinearWeights> action_out_;
};

}  // namespace pi0
