// lerobot_normalization: the statistics of a step's state file, as lerobot's
// processor/normalize_processor.py looks them up and broadcasts them, or those that 0.3's
// policies/normalize.py keeps.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/shape_text.h"
#include "checkpoint/form/normalization.h"
#include "checkpoint/form/sentence.h"
#include "checkpoint/lerobot/processors.h"

namespace pi0 {
namespace {

// Whether a tensor of this shape broadcasts to [..., dims], or, for a camera, to [..., dims, H, W]
// (lerobot makes a flat [dims] of a camera's [dims, 1, 1]).
bool broadcasts(const std::vector<std::int64_t>& shape, int dims, bool camera) {
  const std::size_t place =  // of the only dimension that need not be 1
      camera && shape.size() >= 3 ? shape.size() - 3 : shape.size() - 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] != 1 && !(i == place && shape[i] == dims)) return false;
  }
  return !camera || shape.size() != 2;
}

// lerobot converts all of them to float32, whatever they were saved as.
std::vector<double> values_of(const Statistic& given, const Feature& feature) {
  std::vector<double> values = given.values;
  for (double& value : values) value = static_cast<float>(value);
  if (values.size() == 1) values.resize(static_cast<std::size_t>(feature.dims), values.front());
  return values;
}

std::vector<double> read_statistic(const Statistics& statistics, const Feature& feature,
                                   const std::string& statistic, NormalizationMode mode) {
  const std::string& where = statistics.where;
  const std::string name = feature.name + "." + statistic;
  const auto found = statistics.values.find(name);
  if (found == statistics.values.end()) {
    std::vector<std::string> others;
    for (const auto& [other, values] : statistics.values) {
      if (feature_of(other) == feature.name) others.push_back(other.substr(other.rfind('.') + 1));
    }
    fail(where, fmt::format("{} is missing, which the mode {} needs: there are {}", name,
                            name_of(mode), list_of(others)));
  }
  const Statistic& given = found->second;
  if (!broadcasts(given.shape, feature.dims, feature.type == "VISUAL")) {
    fail(where, fmt::format("{} has shape {}, but {} has {}{}", name, shape_text(given.shape),
                            feature.name, feature.dims,
                            feature.type == "VISUAL" ? " channels" : " dimensions"));
  }
  if (!given.unreadable.empty()) {
    fail(where,
         fmt::format("{} is of type {}, expected a float or an integer", name, given.unreadable));
  }
  return values_of(given, feature);
}

// See Normalization::recorded. What nothing uses is no reason to refuse the checkpoint.
std::map<std::string, std::vector<double>> recorded_statistics(const Statistics& statistics,
                                                               const Feature& feature) {
  std::map<std::string, std::vector<double>> recorded;
  for (const char* statistic : kStatistics) {
    const auto found = statistics.values.find(feature.name + "." + statistic);
    if (found == statistics.values.end() || !found->second.unreadable.empty() ||
        !broadcasts(found->second.shape, feature.dims, feature.type == "VISUAL")) {
      continue;
    }
    recorded[statistic] = values_of(found->second, feature);
  }
  return recorded;
}

bool has_statistics(const Statistics& statistics, const std::string& feature) {
  return std::any_of(statistics.values.begin(), statistics.values.end(),
                     [&](const auto& entry) { return feature_of(entry.first) == feature; });
}

}  // namespace

Statistics statistics_of_0_3(const Statistics& kept, const std::string& module,
                             const std::vector<std::string>& features) {
  Statistics result{kept.where, {}};
  for (const std::string& feature : features) {
    std::string buffer = feature;
    std::replace(buffer.begin(), buffer.end(), '.', '_');
    for (const char* statistic : {"mean", "std", "min", "max"}) {
      const auto found =
          kept.values.find(fmt::format("{}.buffer_{}.{}", module, buffer, statistic));
      if (found == kept.values.end()) continue;
      const std::vector<double>& values = found->second.values;
      const auto infinite = [](double value) { return std::isinf(value); };
      if (std::any_of(values.begin(), values.end(), infinite)) continue;
      result.values[feature + "." + statistic] = found->second;
    }
  }
  return result;
}

Normalization lerobot_normalization(const NormalizerStep& step, const Statistics* statistics,
                                    const Feature& feature, const std::string& where,
                                    std::vector<std::string>& warnings, bool& absent) {
  const bool action = feature.type == "ACTION";  // the step's list of features is for observations
  const auto listed = step.features.find(feature.name);
  const std::string& type = action || listed == step.features.end() ? feature.type : listed->second;
  const auto found = step.norm_map.find(type);
  const auto mode = found == step.norm_map.end() ? NormalizationMode::kIdentity : found->second;
  if (mode == NormalizationMode::kIdentity) return {};
  const auto& keys = step.observation_keys;
  if (!action && keys && std::find(keys->begin(), keys->end(), feature.name) == keys->end()) {
    return {};
  }
  if (!action && listed == step.features.end()) {
    warnings.push_back(
        fmt::format("{}: {} is not among the normalizer's features, so it passes as "
                    "it is",
                    where, feature.name));
    return {};
  }
  if (!statistics || !has_statistics(*statistics, feature.name)) {
    absent = true;
    return {};
  }
  const auto [first, second] = statistics_of(mode);
  Normalization result = make_normalization(
      mode, step.eps, read_statistic(*statistics, feature, first, mode),
      read_statistic(*statistics, feature, second, mode), feature.name, where, warnings);
  result.recorded = recorded_statistics(*statistics, feature);
  return result;
}

}  // namespace pi0
