// What every kind of checkpoint comes to: what the network is, what surrounds it, and its weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "files/file.h"
#include "model/config.h"
#include "model/weights.h"

namespace pi0 {

// What surrounds the network differs between the two families (resize, prompt, epsilon, cameras).
enum class Family { kLerobot, kOpenpi };

enum class NormalizationMode { kIdentity, kMeanStd, kMinMax, kQuantiles, kQuantile10 };

// How one vector is normalised on its way in, and un-normalised on its way out.
struct Normalization {
  NormalizationMode mode = NormalizationMode::kIdentity;
  double eps = 0;
  // kMeanStd: first = mean, second = std. Ranges: first = min | q01 | q10, second = max | q99 |
  // q90. Empty with kIdentity. lerobot: as long as the vector. openpi: as long as the file has
  // them; what is beyond the vector is not used, what of the vector is beyond them stays as it is.
  std::vector<double> first;
  std::vector<double> second;
  // All that the file says of the vector, by name ("mean", "q01"), also where the mode has no use
  // for it: to judge what is used. What is no list of as many numbers is left out.
  std::map<std::string, std::vector<double>> recorded = {};
};

struct Camera {
  std::string feature;          // "observation.images.top"; openpi: "base_0_rgb"
  std::string name;             // what follows "observation.images." in it, or the feature itself
  bool empty = false;           // lerobot's empty_cameras: a slot that is always masked
  Normalization normalization;  // of [0, 1] pixels, per channel; usually kIdentity
};

// Which lerobot trained a policy, as far as they differ: 0.4.x padded π0.5's state in the prompt to
// max_state_dim, and images that are not square with -3 (processor_pi05.py, modeling_pi0.py). 0.3
// padded them on the left and above alone, and cut no prompt.
enum class LerobotRelease { k0_3, k0_4, k0_5 /* and later */ };

// kBare: the instruction as it is, of a lerobot pipeline that has no step for it.
enum class PromptFormat { kPi0, kPi05, kBare };

inline constexpr int kAlohaDims = 14;  // of ALOHA's state and actions

struct CheckpointData {
  std::filesystem::path directory;
  std::filesystem::path base;  // whose weights adapters of `directory` change; empty without any
  std::string adapters;        // what they change: "rank 16, 84 tensors changed, 2 in place"
  Family family = Family::kLerobot;
  ModelConfig model;
  std::vector<Camera> cameras;                    // in the order that the network sees them
  std::map<std::string, std::string> rename_map;  // applied to what the caller gives, first
  PromptFormat prompt_format = PromptFormat::kPi0;
  LerobotRelease lerobot_release = LerobotRelease::k0_5;
  bool release_uncertain = false;  // it may as well be 0.4
  std::string tokenizer_name;      // as its tokenizer step has it; empty: it has none
  // The robot's own; 0 where the checkpoint does not say. openpi: the length of its statistics
  // without what pads them, if anything does.
  int state_dims = 0;
  int action_dims = 0;          // the robot's own, at most model.action_dim
  int n_action_steps = 0;       // how many rows of a chunk the robot executes
  bool has_statistics = false;  // false: only raw values can be given and had
  // Why there are none, where the checkpoint has others: "FILE: no statistics of action, only …".
  std::string statistics_missing;
  Normalization state;
  Normalization action;
  // Dimensions whose prediction is relative to the raw state; may be shorter than action_dims.
  std::vector<bool> relative_actions;
  // openpi and lerobot 0.3: state and actions are ALOHA's 14; policy/aloha.h
  bool adapt_to_pi = false;
  std::vector<std::string> action_names;  // empty, or one for each of action_dims
  std::string asset;                      // openpi: the id under assets/
  std::string dtype;  // of the network's tensors: "bf16", "f32", or "bf16, f32" where mixed
  std::vector<std::string> warnings;  // legal but worth saying: a zero std, an empty range
  std::shared_ptr<const WeightSource> weights;
  std::vector<std::shared_ptr<const OpenedFile>> weight_files;  // all that `weights` are made from
};

// What a directory does not say (openpi's form), or what a caller wants otherwise. Each stands
// before the same key of pi0.json.
struct CheckpointOverrides {
  std::optional<PromptFormat> prompt_format = {};
  std::optional<std::string> delta_mask = {};  // as openpi's make_bool_mask: "6,-1"
  std::optional<std::string> asset = {};
  std::optional<int> action_dims = {};
  std::optional<int> action_horizon = {};
  std::optional<int> max_token_len = {};
  std::optional<bool> adapt_to_pi = {};  // openpi's ALOHA
  std::optional<LerobotRelease> lerobot_release = {};
  std::optional<std::filesystem::path> base = {};        // of adapters; not in pi0.json
  std::optional<std::filesystem::path> norm_stats = {};  // a file; not in pi0.json
  // The network is all that is asked for: statistics are not looked for, nor chosen among, and
  // lerobot's processors say no more than the prompt's length, if they can be read.
  bool network_alone = false;

  // What these do not say is as `others` have it.
  CheckpointOverrides or_else(const CheckpointOverrides& others) const;
  bool operator==(const CheckpointOverrides&) const = default;
};

}  // namespace pi0
