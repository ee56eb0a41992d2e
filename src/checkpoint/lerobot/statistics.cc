// lerobot_normalization: the statistics of a step's state file, as lerobot's
// processor/normalize_processor.py looks them up and broadcasts them, or those that 0.3's
// policies/normalize.py keeps.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/form/normalization.h"
#include "checkpoint/form/sentence.h"
#include "checkpoint/lerobot/processors.h"
#include "device/host_tensor.h"

namespace pi0 {
namespace {

// lerobot converts all of them to float32, whatever they were saved as.
std::vector<double> read_values(const SafeTensor& tensor, const std::string& name,
                                const std::string& where) {
  const std::span<const std::byte> bytes = tensor.bytes;
  const auto narrowed = [](auto x) { return static_cast<float>(x); };
  if (tensor.dtype == "F32") return converted<float, double>(bytes, narrowed);
  if (tensor.dtype == "F64") return converted<double, double>(bytes, narrowed);
  if (tensor.dtype == "F16") return converted<std::uint16_t, double>(bytes, f16_to_float);
  if (tensor.dtype == "BF16") return converted<std::uint16_t, double>(bytes, bf16_to_float);
  if (tensor.dtype == "I64") return converted<std::int64_t, double>(bytes, narrowed);
  if (tensor.dtype == "I32") return converted<std::int32_t, double>(bytes, narrowed);
  if (tensor.dtype == "I16") return converted<std::int16_t, double>(bytes, narrowed);
  if (tensor.dtype == "U8") return converted<std::uint8_t, double>(bytes, narrowed);
  fail(where, fmt::format("{} is of type {}, expected a float or an integer", name, tensor.dtype));
}

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

std::vector<double> read_statistic(const Statistics& statistics, const Feature& feature,
                                   const std::string& statistic, NormalizationMode mode,
                                   const std::string& where) {
  const std::string name = feature.name + "." + statistic;
  const auto found = statistics.find(name);
  if (found == statistics.end()) {
    fail(where, fmt::format("{} is missing, which the mode {} needs", name, name_of(mode)));
  }
  const SafeTensor& tensor = found->second;
  if (!broadcasts(tensor.shape, feature.dims, feature.type == "VISUAL")) {
    fail(where, fmt::format("{} has shape {}, but {} has {}{}", name, shape_text(tensor.shape),
                            feature.name, feature.dims,
                            feature.type == "VISUAL" ? " channels" : " dimensions"));
  }
  std::vector<double> values = read_values(tensor, name, where);
  if (values.size() == 1) values.resize(static_cast<std::size_t>(feature.dims), values.front());
  return values;
}

bool has_statistics(const Statistics& statistics, const std::string& feature) {
  return std::any_of(statistics.begin(), statistics.end(),
                     [&](const auto& statistic) { return feature_of(statistic.first) == feature; });
}

}  // namespace

std::string feature_of(const std::string& statistic) {
  return statistic.substr(0, statistic.rfind('.'));
}

Statistics statistics_of_0_3(const Statistics& kept, const std::string& module,
                             const std::vector<std::string>& features, const std::string& where) {
  Statistics result;
  for (const std::string& feature : features) {
    std::string buffer = feature;
    std::replace(buffer.begin(), buffer.end(), '.', '_');
    for (const char* statistic : {"mean", "std", "min", "max"}) {
      const auto found = kept.find(fmt::format("{}.buffer_{}.{}", module, buffer, statistic));
      if (found == kept.end()) continue;
      const auto& [name, tensor] = *found;
      const std::vector<double> values = read_values(tensor, name, where);
      const auto infinite = [](double value) { return std::isinf(value); };
      if (std::any_of(values.begin(), values.end(), infinite)) continue;
      result[feature + "." + statistic] = tensor;
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
  return make_normalization(
      mode, step.eps, read_statistic(*statistics, feature, first, mode, where),
      read_statistic(*statistics, feature, second, mode, where), feature.name, where, warnings);
}

}  // namespace pi0
