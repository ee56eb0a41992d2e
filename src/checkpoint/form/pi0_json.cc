#include "checkpoint/form/pi0_json.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <utility>

#include "checkpoint/form/prompt_format.h"
#include "checkpoint/form/sentence.h"
#include "checkpoint/form/sizes.h"

namespace pi0 {
namespace {

constexpr int kMaxMaskDims = 4096;  // far above any robot, so that a mask stays small

}  // namespace

CheckpointOverrides CheckpointOverrides::or_else(const CheckpointOverrides& others) const {
  CheckpointOverrides both = *this;
  if (!both.prompt_format) both.prompt_format = others.prompt_format;
  if (!both.delta_mask) both.delta_mask = others.delta_mask;
  if (!both.asset) both.asset = others.asset;
  if (!both.action_dims) both.action_dims = others.action_dims;
  if (!both.action_horizon) both.action_horizon = others.action_horizon;
  if (!both.max_token_len) both.max_token_len = others.max_token_len;
  if (!both.adapt_to_pi) both.adapt_to_pi = others.adapt_to_pi;
  if (!both.lerobot_release) both.lerobot_release = others.lerobot_release;
  if (!both.base) both.base = others.base;
  if (!both.norm_stats) both.norm_stats = others.norm_stats;
  return both;
}

std::vector<bool> parse_delta_mask(const std::string& text, const std::string& where,
                                   ErrorCode code) {
  const auto refuse = [&] {
    fail(where,
         "the delta mask is " + describe(text) +
             ", expected counts such as \"6,-1\": six relative dimensions, one absolute",
         code);
  };
  std::vector<bool> mask;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    while (at != end && *at == ' ') ++at;
    int count = 0;
    const auto [next, error] = std::from_chars(at, end, count);
    if (error != std::errc() || count > kMaxMaskDims || count < -kMaxMaskDims) refuse();
    mask.insert(mask.end(), static_cast<std::size_t>(std::abs(count)), count > 0);
    if (mask.size() > kMaxMaskDims) refuse();
    at = next;
    while (at != end && *at == ' ') ++at;
    if (at == end) return mask;
    if (*at++ != ',') refuse();
  }
}

CheckpointOverrides parse_pi0_json(const Json& json, const std::string& where) {
  require_object(json, where);
  CheckpointOverrides options;
  for (const auto& [key, value] : json.items()) {
    if (key == "prompt_format") {
      options.prompt_format = parse_prompt_format(get_string(json, key, where, std::nullopt), where,
                                                  ErrorCode::kInvalidCheckpoint);
    } else if (key == "delta_mask" && value.is_array()) {
      const auto counts = find_ints(json, key, where, -kMaxMaskDims, kMaxMaskDims);
      std::vector<std::string> texts;
      for (const int count : *counts) texts.push_back(std::to_string(count));
      options.delta_mask = list_of(texts, ",", texts.size());
    } else if (key == "delta_mask") {
      options.delta_mask = get_string(json, key, where, std::nullopt);
    } else if (key == "asset") {
      options.asset = get_string(json, key, where, std::nullopt);
    } else if (key == "action_dims") {
      options.action_dims = get_int(json, key, where, std::nullopt, 1, kMaxSize);
    } else if (key == "action_horizon") {
      options.action_horizon = get_int(json, key, where, std::nullopt, 1, kMaxSize);
    } else if (key == "max_token_len") {
      options.max_token_len = get_int(json, key, where, std::nullopt, 1, kMaxSize);
    } else if (key == "adapt_to_pi") {
      options.adapt_to_pi = get_bool(json, key, where, std::nullopt);
    } else if (key == "lerobot_version") {
      options.lerobot_release = parse_lerobot_release(get_string(json, key, where, std::nullopt),
                                                      where, ErrorCode::kInvalidCheckpoint);
    } else {
      fail(where, fmt::format("unknown key {}, expected \"prompt_format\", \"delta_mask\", "
                              "\"asset\", \"action_dims\", \"action_horizon\", "
                              "\"max_token_len\", \"adapt_to_pi\" or \"lerobot_version\"",
                              describe(key)));
    }
  }
  if (options.delta_mask) {
    parse_delta_mask(*options.delta_mask, where, ErrorCode::kInvalidCheckpoint);
  }
  return options;
}

}  // namespace pi0
