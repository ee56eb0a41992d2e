// The JSON files of openpi's form: config.json of its PyTorch conversion, norm_stats.json, and
// pi0.json, in which a user writes down what that form does not say.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "files/json.h"
#include "pi0/error.h"

namespace pi0 {

// openpi's make_bool_mask, written as there: "6,-1" is six dimensions that are relative and one
// that is not. Throws Error (`code`) naming `where`.
std::vector<bool> parse_delta_mask(const std::string& text, const std::string& where,
                                   ErrorCode code);
// pi0.json: "prompt_format", "delta_mask" (a string, or an array of its numbers), "asset",
// "action_dims", "action_horizon", "adapt_to_pi"; any other key is an error.
CheckpointOverrides parse_pi0_json(const Json& json, const std::string& where);

// Sizes, horizon and action width into `model`, which brings the patch size, the horizon and the
// action width to take where the file does not say.
void parse_openpi_config(const Json& config, const std::string& where, ModelConfig& model);

struct OpenpiStatistics {
  Normalization state;
  Normalization action;
};

// norm_stats.json: mean and std, or with `quantiles` q01 and q99, as long as the file has them.
OpenpiStatistics parse_norm_stats(const Json& json, const std::string& where, bool quantiles,
                                  std::vector<std::string>& warnings);

}  // namespace pi0
