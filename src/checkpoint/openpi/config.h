// The JSON files of openpi's form: config.json of its PyTorch conversion, and norm_stats.json.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/form/checkpoint_data.h"
#include "files/json.h"

namespace pi0 {

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
