// peft's adapter_config.json: how the tensors of adapter_model.safetensors change the base's.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "files/json.h"

namespace pi0 {

struct AdapterConfig {
  std::string base;      // base_model_name_or_path: a directory or a name on the hub; may be empty
  std::string revision;  // of the base on the hub
  int rank = 0;
  double alpha = 0;
  bool rank_stabilized = false;  // use_rslora
  // Modules that have others, the first that matches first.
  std::vector<std::pair<std::string, int>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
  std::vector<std::string> target_modules;   // none where that is a pattern, or others narrow it
  std::vector<std::string> modules_to_save;  // whole, or their last parts
  bool biases = false;                       // trained too, so whole in the file
  bool lora_only = false;                    // those of layers with adapters alone

  // Of a module by its name in the policy: "model.action_in_proj".
  int rank_of(const std::string& module) const;
  // What B A is multiplied by: alpha / rank, or alpha / sqrt(rank).
  double scale_of(const std::string& module) const;
  // Whether target_modules names the module, or its end.
  bool targets(const std::string& module) const;
  // Whether modules_to_save names the module, or one that it lies in.
  bool saves(const std::string& module) const;
};

// Throws Error naming `where` and the key: kUnsupported for whatever peft may be told that is not
// base + scale B A (DoRA, a bias of B, other kinds of adapters, initialisations that change the
// base), a key that is not known here among them unless it says nothing.
AdapterConfig parse_adapter_config(const Json& config, const std::string& where);

}  // namespace pi0
