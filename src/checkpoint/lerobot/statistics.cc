// lerobot_normalization: the statistics of a step's state file, as lerobot's
// processor/normalize_processor.py looks them up and broadcasts them.

#include <fmt/format.h>

#include <algorithm>

#include "checkpoint/form/normalization.h"
#include "checkpoint/form/sentence.h"
#include "checkpoint/lerobot/processors.h"
#include "device/host_tensor.h"

namespace pi0 {
namespace {

// lerobot converts all of them to float32, whatever they were saved as.
std::vector<double> convert(const SafeTensor& tensor, const std::string& name,
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

std::vector<double> read_values(const SafeTensor& tensor, const Feature& feature,
                                const std::string& name, const std::string& where) {
  std::vector<double> values = convert(tensor, name, where);
  if (values.size() == 1) values.resize(static_cast<std::size_t>(feature.dims), values.front());
  return values;
}

std::vector<double> read_statistic(const SafeTensors& file, const Feature& feature,
                                   const std::string& statistic, NormalizationMode mode,
                                   const std::string& where) {
  const std::string name = feature.name + "." + statistic;
  const SafeTensor* tensor = file.find(name);
  if (!tensor) {
    fail(where, fmt::format("{} is missing, which the mode {} needs", name, name_of(mode)));
  }
  if (!broadcasts(tensor->shape, feature.dims, feature.type == "VISUAL")) {
    fail(where, fmt::format("{} has shape {}, but {} has {}{}", name, shape_text(tensor->shape),
                            feature.name, feature.dims,
                            feature.type == "VISUAL" ? " channels" : " dimensions"));
  }
  return read_values(*tensor, feature, name, where);
}

// See Normalization::recorded.
std::map<std::string, std::vector<double>> recorded_statistics(const SafeTensors& file,
                                                               const Feature& feature) {
  std::map<std::string, std::vector<double>> recorded;
  for (const char* statistic : kStatistics) {
    const std::string name = feature.name + "." + statistic;
    const SafeTensor* tensor = file.find(name);
    if (!tensor || !broadcasts(tensor->shape, feature.dims, feature.type == "VISUAL")) continue;
    try {
      recorded[statistic] = read_values(*tensor, feature, name, file.where());
    } catch (const Error&) {  // nothing uses it: no reason to refuse the checkpoint
    }
  }
  return recorded;
}

bool has_statistics(const SafeTensors& file, const std::string& feature) {
  const auto& tensors = file.tensors();
  return std::any_of(tensors.begin(), tensors.end(),
                     [&](const auto& tensor) { return feature_of(tensor.first) == feature; });
}

}  // namespace

std::string feature_of(const std::string& statistic) {
  return statistic.substr(0, statistic.rfind('.'));
}

Normalization lerobot_normalization(const NormalizerStep& step, const SafeTensors* statistics,
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
      mode, step.eps, read_statistic(*statistics, feature, first, mode, where),
      read_statistic(*statistics, feature, second, mode, where), feature.name, where, warnings);
  result.recorded = recorded_statistics(*statistics, feature);
  return result;
}

}  // namespace pi0
