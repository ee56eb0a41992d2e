// lerobot's config.json of a pi0 or pi05 policy.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/form/checkpoint_data.h"
#include "files/json.h"

namespace pi0 {

inline constexpr const char* kStateFeature = "observation.state";
inline constexpr const char* kActionFeature = "action";

// Which of an action's dimensions are relative to the state: lerobot's relative_actions_processor.
struct RelativeActions {
  bool enabled = false;
  std::vector<std::string> exclude_joints;
  std::optional<std::vector<std::string>> action_names;  // absent: nothing can be excluded
};

// One flag a dimension, true where relative: all of them but those whose name contains a word of
// exclude_joints, in any case (ASCII). Dimensions beyond the names are relative.
std::vector<bool> relative_mask(const RelativeActions& relative, int dims);

// Throws Error (kUnsupported) naming `where` and the first key of `object` that is not `known`: a
// setting that is not read could change what the policy does.
void require_known(const Json& object, const std::set<std::string>& known,
                   const std::string& where);

struct LerobotConfig {
  ModelConfig model;  // vocab_size 0 where the file does not say
  std::vector<Camera> cameras;
  int state_dims = 0;
  int action_dims = 0;
  int n_action_steps = 0;
  // Used only where the processors' files are absent; they say the same.
  std::map<std::string, NormalizationMode> norm_map;  // "STATE" -> mode
  RelativeActions relative;
  bool says_relative = false;  // has the key, as 0.5.1 and later write it
  bool not_square = false;     // some camera's images are not, or their shape is not said
  bool adapt_to_pi = false;    // 0.3's adapt_to_pi_aloha
  bool of_0_3 = false;         // has the key of 0.3 alone: no processors, statistics in the weights
  std::vector<std::string> warnings;
};

// Throws Error (kUnsupported for another policy type, or a setting that changes the network in a
// way that is not offered; else kInvalidCheckpoint) naming `where` and the key.
LerobotConfig parse_lerobot_config(const Json& config, const std::string& where);

}  // namespace pi0
