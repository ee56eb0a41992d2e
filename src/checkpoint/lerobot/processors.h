// lerobot's policy_preprocessor.json and policy_postprocessor.json: the steps around the network.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/form/checkpoint_data.h"
#include "checkpoint/form/statistics.h"
#include "checkpoint/lerobot/config.h"
#include "files/json.h"

namespace pi0 {

// normalizer_processor or unnormalizer_processor.
struct NormalizerStep {
  double eps = 0;
  std::map<std::string, std::string> features;               // name -> type, "STATE"
  std::map<std::string, NormalizationMode> norm_map;         // type -> mode; absent: kIdentity
  std::optional<std::vector<std::string>> observation_keys;  // absent: all are normalised
  std::string state_file;  // beside the JSON file; empty: the step was saved without statistics
};

// What becomes of the instruction before it is tokenized.
struct PromptSteps {
  bool new_line = false;  // "\n" after it, unless it ends with one
  bool state = false;     // "Task: …, State: …;\nAction: "
};

struct Preprocessor {
  std::map<std::string, std::string> rename_map;
  std::optional<int> max_tokens;
  std::string tokenizer_name;         // on the hub, or a directory; empty: not said
  std::optional<PromptSteps> prompt;  // none: the file is absent, so they are not known
  std::optional<RelativeActions> relative;
  std::optional<NormalizerStep> normalizer;
};

struct Postprocessor {
  std::optional<NormalizerStep> unnormalizer;
  bool absolute = false;  // absolute_actions_processor is there and enabled
};

// Both throw Error naming `where`, the step and the key; kUnsupported for a step that is not known
// here, since leaving one out would silently change what the policy does.
Preprocessor parse_preprocessor(const Json& pipeline, const std::string& where);
Postprocessor parse_postprocessor(const Json& pipeline, const std::string& where);

// One vector (the state, the action; `dims` long) or the channels of a camera.
struct Feature {
  std::string name;  // "observation.state"
  std::string type;  // as config.json has it: "STATE"; the step's own features go before
  int dims = 0;
};

// Those of `features` that lerobot 0.3 keeps in a module ("normalize_inputs") among the weights,
// where `kept` has "normalize_inputs.buffer_observation_state.mean". What it has not, it saves as
// infinite: that is left out.
Statistics statistics_of_0_3(const Statistics& kept, const std::string& module,
                             const std::vector<std::string>& features);

// How `step` treats `feature`, with these statistics (nullptr: there are none), which
// `where` names. A feature without statistics passes unchanged, as in lerobot: the mode is then
// kIdentity, and `absent` becomes true if the step has a mode for it. Throws Error where lerobot
// could not compute: a statistic of the mode is missing, or does not broadcast to `dims`.
Normalization lerobot_normalization(const NormalizerStep& step, const Statistics* statistics,
                                    const Feature& feature, const std::string& where,
                                    std::vector<std::string>& warnings, bool& absent);

}  // namespace pi0
