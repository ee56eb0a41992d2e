// pi0.json, in which a user writes down what a checkpoint's own files do not say.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/form/checkpoint_data.h"
#include "files/json.h"
#include "pi0/error.h"

namespace pi0 {

// openpi's make_bool_mask, written as there: "6,-1" is six dimensions that are relative and one
// that is not. Throws Error (`code`) naming `where`.
std::vector<bool> parse_delta_mask(const std::string& text, const std::string& where,
                                   ErrorCode code);
// pi0.json: "prompt_format", "delta_mask" (a string, or an array of its numbers), "asset",
// "action_dims", "action_horizon", "max_token_len", "adapt_to_pi", "lerobot_version"; any other key
// is an error.
CheckpointOverrides parse_pi0_json(const Json& json, const std::string& where);

}  // namespace pi0
