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
  if (options.max_token_len != 0) result.max_token_len = options.max_token_len;
  if (!options.base.empty()) result.base = options.base;
  if (!options.norm_stats.empty() && !options.asset.empty()) {
    throw Error(ErrorCode::kInvalidInput,
                "options: both an asset and a file of statistics are named, expected one of them");
  }
  if (!options.norm_stats.empty()) result.norm_stats = options.norm_stats;
  return result;
}

}  // namespace pi0
