// What surrounds the network: an observation becomes its inputs, its outputs become the robot's
// actions, as the family of the checkpoint does it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "image/resize.h"
#include "pi0/policy.h"
#include "prompt/prompt.h"
#include "prompt/tokenizer.h"

namespace pi0 {

// An observation, ready for the network.
struct PreparedObservation {
  NetworkInput input;  // cameras that are there, kHwc; tokens without padding; the padded state
  std::vector<float> normalised_state;  // not padded
  std::vector<std::string> warnings;
};

// What an error calls a camera's image.
std::string image_name(const std::string& camera);

// What else than the tokenizer a Pipeline may be refused for. Throw Error: when an option has no
// such value; when the checkpoint has no statistics and `options.raw` does not allow that.
ResizeMethod resize_method(const CheckpointData& checkpoint, const CheckpointOptions& options);
void require_statistics(const CheckpointData& checkpoint, const CheckpointOptions& options);

class Pipeline {
 public:
  // Throws Error as these do, and when the tokenizer cannot be found or used.
  Pipeline(CheckpointData checkpoint, const CheckpointOptions& options);

  const CheckpointData& checkpoint() const { return checkpoint_; }
  bool raw() const { return raw_; }  // states and actions are the network's own

  // Throws Error (kInvalidInput) naming what does not fit.
  PreparedObservation prepare(const Observation& observation) const;

  // model_actions [action_horizon, action_dim] and the robot's raw state ->
  // [action_horizon, action_dims], un-normalised, relative ones made absolute.
  std::vector<float> finish(std::span<const float> model_actions,
                            std::span<const float> state) const;

  // The way back: [rows, action_dims] as finish() gives them of that state -> [rows, action_dim] as
  // the network would have, zeros in what it pads.
  std::vector<float> unfinished(std::span<const float> actions, std::span<const float> state) const;

  // The same predictions, of [rows, action_dim] as the network made them of the state `before`, as
  // it would make them of `now`: [rows, action_dims], normalised, what is relative counted from
  // there.
  std::vector<float> seen_from(std::span<const float> model_actions, std::span<const float> before,
                               std::span<const float> now) const;

  // Of each of action_dims, what ActionRange says; none where actions are not normalised.
  std::vector<ActionRange> ranges(std::span<const float> state) const;

 private:
  // Each camera's image, where it has one.
  std::vector<std::optional<ImageView>> match_cameras(const Observation& observation,
                                                      std::vector<std::string>& warnings) const;
  std::vector<double> normalise_state(const std::vector<float>& state,
                                      std::vector<std::string>& warnings) const;
  // Throws Error (kInvalidInput) when a state may not have so many values.
  void require_size(std::size_t values) const;
  // As the network was trained with it; none of none.
  std::vector<float> adapted(std::span<const float> state) const;

  CheckpointData checkpoint_;
  Tokenizer tokenizer_;
  ResizeMethod resize_;
  bool raw_;
};

}  // namespace pi0
