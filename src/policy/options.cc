#include "policy/options.h"

#include "pi0/error.h"

namespace pi0 {

CheckpointOptions checkpoint_options(const PolicyOptions& options) {
  CheckpointOptions result;
  if (options.prompt_format == "pi0") {
    result.prompt_format = PromptFormat::kPi0;
  } else if (options.prompt_format == "pi05") {
    result.prompt_format = PromptFormat::kPi05;
  } else if (!options.prompt_format.empty()) {
    throw Error(ErrorCode::kInvalidInput,
                "prompt_format is " + options.prompt_format + ", expected pi0 or pi05");
  }
  result.delta_mask = options.delta_mask;
  if (!options.asset.empty()) result.asset = options.asset;
  if (options.action_dims != 0) result.action_dims = options.action_dims;
  if (options.adapt_to_pi) result.adapt_to_pi = true;
  if (options.action_horizon != 0) result.action_horizon = options.action_horizon;
  return result;
}

}  // namespace pi0
