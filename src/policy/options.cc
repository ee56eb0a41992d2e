#include "policy/options.h"

#include "checkpoint/form/prompt_format.h"

namespace pi0 {

CheckpointOverrides overrides_of(const CheckpointOptions& options) {
  CheckpointOverrides result;
  if (!options.prompt_format.empty()) {
    result.prompt_format =
        parse_prompt_format(options.prompt_format, "options", ErrorCode::kInvalidInput);
  }
  result.delta_mask = options.delta_mask;
  if (!options.asset.empty()) result.asset = options.asset;
  if (options.action_dims != 0) result.action_dims = options.action_dims;
  if (options.adapt_to_pi) result.adapt_to_pi = true;
  if (!options.lerobot_version.empty()) {
    result.lerobot_release =
        parse_lerobot_release(options.lerobot_version, "options", ErrorCode::kInvalidInput);
  }
  if (options.action_horizon != 0) result.action_horizon = options.action_horizon;
  return result;
}

}  // namespace pi0
