#include "checkpoint/openpi_config.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "checkpoint/normalization.h"
#include "checkpoint/prompt_format.h"
#include "checkpoint/sentence.h"
#include "checkpoint/sizes.h"

namespace pi0 {
namespace {

constexpr double kEps = 1e-6;       // openpi's transforms.py, Normalize and Unnormalize
constexpr int kMaxMaskDims = 4096;  // far above any robot, so that a mask stays small

Normalization read_statistics(const Json& all, const std::string& key, bool quantiles,
                              const std::string& where, std::vector<std::string>& warnings) {
  const Json* statistics = find_object(all, key, where);
  if (!statistics) fail(where, fmt::format("\"{}\" is missing", key));
  const auto mode = quantiles ? NormalizationMode::kQuantiles : NormalizationMode::kMeanStd;
  const auto names = statistics_of(mode);
  const std::string at = where + "." + key;
  const auto read = [&](const std::string& name) {
    auto values = find_numbers(*statistics, name, at);
    if (!values) {
      fail(at, fmt::format("\"{}\" is missing, which {}", name,
                           quantiles ? "a pi05 policy needs (quantiles)" : "a pi0 policy needs"));
    }
    if (values->empty()) fail(at, fmt::format("\"{}\" is empty", name));
    return *std::move(values);
  };
  std::vector<double> first = read(names.first);
  std::vector<double> second = read(names.second);
  if (first.size() != second.size()) {
    fail(at, fmt::format("\"{}\" has {} numbers but \"{}\" has {}", names.first, first.size(),
                         names.second, second.size()));
  }
  return make_normalization(mode, kEps, std::move(first), std::move(second), key, where, warnings);
}

}  // namespace

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
    } else if (key == "adapt_to_pi") {
      options.adapt_to_pi = get_bool(json, key, where, std::nullopt);
    } else if (key == "lerobot_version") {
      options.lerobot_release = parse_lerobot_release(get_string(json, key, where, std::nullopt),
                                                      where, ErrorCode::kInvalidCheckpoint);
    } else {
      fail(where, fmt::format("unknown key {}, expected \"prompt_format\", \"delta_mask\", "
                              "\"asset\", \"action_dims\", \"action_horizon\", \"adapt_to_pi\" or "
                              "\"lerobot_version\"",
                              describe(key)));
    }
  }
  if (options.delta_mask) {
    parse_delta_mask(*options.delta_mask, where, ErrorCode::kInvalidCheckpoint);
  }
  return options;
}

void parse_openpi_config(const Json& config, const std::string& where, ModelConfig& model) {
  require_object(config, where);
  read_sizes(config, where, model);
  model.action_dim = get_int(config, "action_dim", where, model.action_dim, 1, kMaxSize);
  model.action_horizon =
      get_int(config, "action_horizon", where, model.action_horizon, 1, kMaxSize);
}

OpenpiStatistics parse_norm_stats(const Json& json, const std::string& where, bool quantiles,
                                  std::vector<std::string>& warnings) {
  require_object(json, where);
  const Json* all = find_object(json, "norm_stats", where);
  if (!all) fail(where, "\"norm_stats\" is missing");
  const std::string at = where + ": norm_stats";
  return {read_statistics(*all, "state", quantiles, at, warnings),
          read_statistics(*all, "actions", quantiles, at, warnings)};
}

}  // namespace pi0
