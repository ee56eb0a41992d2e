// Calls of a network: their inputs and results on the device, and what it has recorded of them.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "model/pi0.h"

namespace pi0 {

// Towards what is left of the chunk before, [action_horizon, action_dim] each; see Guidance.
struct Pi0Guidance {
  std::vector<float> target, weights;
  float max_weight = 0;
};

// The first `rows` of x, at least one, held to these; see HeldRows.
struct Pi0HeldRows {
  std::vector<float> actions;  // [action_horizon, action_dim]
  int rows = 0;
};

// One call's inputs, with masked cameras and padded tokens already left out. Sizes and values
// have been checked.
struct Pi0Input {
  std::vector<float> images;  // [cameras, size, size, 3] in [-1, 1]; at least one camera or token
  int cameras = 0;
  std::vector<std::int32_t> tokens;
  std::vector<float> state;  // [state_dim]; empty for π0.5
  std::vector<float> noise;  // [action_horizon, action_dim]
  int steps = 0;
  std::optional<Pi0Guidance> guidance;  // or
  std::optional<Pi0HeldRows> held;
  StageProgress progress;  // may be empty, as
  StageObserver observe;   // this; stages that are observed are not replayed from a trace
};

// Milliseconds.
struct Pi0Timing {
  double vision = 0;
  double prefix = 0;
  double denoise = 0;
};

// Sessions of one network share its weights and its device; one at a time may be made, used or
// destroyed.
class Pi0Session {
 public:
  explicit Pi0Session(const Pi0& model) : model_(model), device_(model.device()) {}

  // [action_horizon, action_dim].
  // Throws Error when an embedding row that a token names is not finite. `timing`: may be null; to
  // tell the stages apart, the device is waited for after each.
  std::vector<float> sample_actions(const Pi0Input& input, Pi0Timing* timing = nullptr);

  // The images of the call after the next: they go up while that one computes, where it has as many
  // cameras. Others may be given to that call all the same.
  void prefetch(std::vector<float> images) { upcoming_ = std::move(images); }

 private:
  // What calls of one number of cameras keep on the device: inputs that each overwrites, results,
  // and the trace that turns one into the other.
  struct Vision {
    int cameras = 0;
    Tensor images;
    std::vector<float> prefetched;  // what is in `images` already
    Tensor embeddings;
    std::unique_ptr<Trace> trace;
  };
  // And calls of one shape: as many cameras and steps, prompts of as many rows, guided as strongly,
  // or with rows held, however many.
  struct Shape {
    std::shared_ptr<Vision> vision;
    std::int64_t prompt_rows = 0;
    int steps = 0;
    std::shared_ptr<const std::vector<StepConstants>> constants;
    Tensor language, state, noise;
    std::optional<Guidance> guidance;
    std::optional<HeldRows> held;
    KvCache cache;  // of the prefix, and π0's state
    Tensor actions;
    std::unique_ptr<Trace> prefix, denoise;
  };

  Shape& prepare(const Pi0Input& input);
  void write_images(Vision& vision, const Pi0Input& input);
  void write_inputs(Shape& shape, const Pi0Input& input, const std::vector<float>& language);
  Shape& make_shape(const Pi0Input& input, const std::vector<float>& language);
  std::vector<float> run(const Pi0Input& input, Pi0Timing* timing);

  const Pi0& model_;
  Device& device_;
  std::list<Shape> shapes_;  // the last used first; at most Device::replayed_shapes()
  std::vector<float> upcoming_;
};

}  // namespace pi0
