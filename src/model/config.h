// The sizes of a network. All of them come from the checkpoint; nothing is hard-coded elsewhere.
#pragma once

#include <string>

namespace pi0 {

enum class ModelKind { kPi0, kPi05 };

struct VisionConfig {  // SigLIP
  int width = 1152;
  int depth = 27;
  int mlp_dim = 4304;
  int num_heads = 16;
  int patch_size = 14;
  int head_dim() const { return width / num_heads; }
};

struct GemmaConfig {  // the prefix's Gemma 2B, or the action expert
  int width = 0;
  int depth = 0;
  int mlp_dim = 0;
  int num_heads = 0;
  int num_kv_heads = 0;
  int head_dim = 0;
};

struct ModelConfig {
  ModelKind kind = ModelKind::kPi0;
  VisionConfig vision;
  GemmaConfig language{2048, 18, 16384, 8, 1, 256};
  GemmaConfig expert{1024, 18, 4096, 8, 1, 256};
  int vocab_size = 257152;
  int image_size = 224;     // pixels, square
  int num_cameras = 3;      // slots, the empty ones included
  int max_tokens = 48;      // prompt tokens, padding included
  int state_dim = 32;       // as padded for state_proj
  int action_dim = 32;      // as padded for action_in_proj
  int action_horizon = 50;  // rows of a chunk
  int num_steps = 10;       // Euler steps
  // How many rows of a chunk training held to the one before, at most (lerobot's π0.5); 0: none.
  int rtc_training_max_delay = 0;
  double min_period = 4e-3;
  double max_period = 4.0;

  // Pixels beyond the last whole patch are not looked at, as in a convolution without padding.
  int patches() const {
    const int side = image_size / vision.patch_size;
    return side * side;
  }
};

// Throws Error (kInvalidCheckpoint) when a size is not positive or two contradict each other
// (width not a multiple of the heads, prefix and expert of different depth or heads, an odd
// head_dim, an image below one patch). `where` is the file to name.
void validate(const ModelConfig& config, const std::string& where);

}  // namespace pi0
