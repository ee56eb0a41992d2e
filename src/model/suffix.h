// What the action expert reads: the state token of π0, the action tokens, and the time.
#pragma once

#include <memory>
#include <vector>

#include "model/config.h"
#include "model/loader.h"

namespace pi0 {

// [sin, cos](2π t / period), [width], with width/2 periods geometric from min_period to max_period;
// in fp64 as openpi's create_sinusoidal_pos_embedding.
std::vector<float> time_embedding(float t, int width, double min_period, double max_period);

class Suffix {
 public:
  Suffix(const ModelConfig& config, const Loader& loader);

  // What a step needs of its time t, [1, width]. It depends on t alone, so it is made once.
  // π0: the time half of action_time_mlp_in with its bias.
  Tensor time_row(Device& device, float t) const;
  // π0.5: silu(time_mlp_out(silu(time_mlp_in(time)))), from which the modulations are made.
  Tensor condition(Device& device, float t) const;

  // π0: state [1, state_dim] -> [1, width].
  Tensor embed_state(Device& device, const Tensor& state) const;

  // x_t [action_horizon, action_dim] -> [action_horizon, width]. `time_row` is π0's.
  Tensor embed_actions(Device& device, const Tensor& x_t, const Tensor& time_row) const;

 private:
  Tensor time(Device& device, float t) const;

  ModelKind kind_;
  int width_;
  double min_period_;
  double max_period_;
  std::unique_ptr<LinearWeights> action_in_;
  std::unique_ptr<LinearWeights> state_;        // π0
  std::unique_ptr<LinearWeights> mlp_actions_;  // π0: action_time_mlp_in, the actions' columns
  std::unique_ptr<LinearWeights> time_in_;      // π0: its time's columns; π0.5: time_mlp_in
  std::unique_ptr<LinearWeights> mlp_out_;      // π0: action_time_mlp_out; π0.5: time_mlp_out
};

}  // namespace pi0
