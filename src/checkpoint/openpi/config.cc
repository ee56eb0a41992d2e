#include "checkpoint/openpi/config.h"

#include <fmt/format.h>

#include <utility>

#include "checkpoint/form/normalization.h"
#include "checkpoint/form/sentence.h"
#include "checkpoint/form/sizes.h"

namespace pi0 {
namespace {

constexpr double kEps = 1e-6;  // openpi's transforms.py, Normalize and Unnormalize

std::string names_in(const Json& object) {
  std::vector<std::string> names;
  for (const auto& [name, value] : object.items()) names.push_back(name);
  return names.empty() ? "none" : list_of(names);
}

Normalization read_statistics(const Json& all, const std::string& key, bool quantiles,
                              const std::string& where, std::vector<std::string>& warnings) {
  const Json* statistics = find_object(all, key, where);
  if (!statistics) {
    fail(where, fmt::format("\"{}\" is missing, there is {}", key, names_in(all)));
  }
  const auto mode = quantiles ? NormalizationMode::kQuantiles : NormalizationMode::kMeanStd;
  const auto names = statistics_of(mode);
  const std::string at = where + "." + key;
  const auto read = [&](const std::string& name) {
    auto values = find_numbers(*statistics, name, at);
    if (!values) {
      fail(at, fmt::format("\"{}\" is missing, which {}: there is {}", name,
                           quantiles ? "a pi05 policy needs (quantiles)" : "a pi0 policy needs",
                           names_in(*statistics)));
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
  Normalization result =
      make_normalization(mode, kEps, std::move(first), std::move(second), key, where, warnings);
  for (const char* name : kStatistics) {
    try {
      auto values = find_numbers(*statistics, name, at);
      if (values && values->size() == result.first.size()) result.recorded[name] = *values;
    } catch (const Error&) {  // nothing uses it: no reason to refuse the checkpoint
    }
  }
  return result;
}

}  // namespace

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
