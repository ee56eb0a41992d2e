// The whole network, π0 or π0.5, on one device.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "model/denoise.h"
#include "model/siglip.h"

namespace pi0 {

// One call's inputs, with masked cameras and padded tokens already left out. Sizes and values
// have been checked.
struct Pi0Input {
  std::vector<float> images;  // [cameras, size, size, 3] in [-1, 1]; at least one camera or token
  int cameras = 0;
  std::vector<std::int32_t> tokens;
  std::vector<float> state;  // [state_dim]; empty for π0.5
  std::vector<float> noise;  // [action_horizon, action_dim]
  int steps = 0;
  StageProgress progress;  // may be empty
};

// Milliseconds.
struct Pi0Timing {
  double vision = 0;
  double prefix = 0;
  double denoise = 0;
};

class Pi0 {
 public:
  // Prepares the weights on `device`, which it then owns. `progress` is called with the number of
  // tensors prepared so far; may be empty. Throws Error naming a tensor that is not finite.
  Pi0(const ModelConfig& config, std::shared_ptr<const WeightSource> source,
      std::unique_ptr<Device> device, const std::function<void(int)>& progress);

  // [action_horizon, action_dim]. Stages that are observed are then not replayed from a recording.
  // Throws Error when an embedding row that a token names is not finite. `next`: the call that
  // will follow, whose images then go up while this one computes; it must live until then.
  std::vector<float> sample_actions(const Pi0Input& input, StageObserver* observer = nullptr,
                                    Pi0Timing* timing = nullptr, const Pi0Input* next = nullptr);

  const ModelConfig& config() const { return config_; }
  Device& device() { return *device_; }

 private:
  // What one shape of call keeps on the device: inputs that each call overwrites, results, and
  // the recordings that turn one into the other. Nothing that is to last (weights, constants, what
  // work uploads) may come into being while recordings live: a replay writes where its
  // intermediates were, whoever has that memory since.
  struct Call {
    int cameras = 0;
    std::size_t tokens = 0;
    Tensor images, language, state, noise;
    Tensor embeddings;  // of the images
    KvCache cache;      // of the prefix, and π0's state
    Tensor actions;
    std::unique_ptr<Recording> vision, prefix, denoise;
  };

  std::vector<float> embed_tokens(const std::vector<std::int32_t>& tokens) const;
  void prepare_call(const Pi0Input& input);
  std::vector<float> run_call(const Pi0Input& input, StageObserver* observer, Pi0Timing* timing,
                              const Pi0Input* next);

  ModelConfig config_;
  std::shared_ptr<const WeightSource> source_;
  HostTensor embedding_;  // [vocab_size, width], looked up by row where it is mapped
  std::unique_ptr<Device> device_;
  // Below the device in this order: they are freed before it.
  std::optional<Siglip> siglip_;
  std::optional<Prefix> prefix_;
  std::optional<Denoiser> denoiser_;
  std::vector<StepConstants> steps_;      // of the last number of steps asked for
  Call call_;                             // of the last shape asked for
  const Pi0Input* prefetched_ = nullptr;  // whose images call_ holds already
};

}  // namespace pi0
