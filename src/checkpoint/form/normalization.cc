#include "checkpoint/form/normalization.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/form/sentence.h"
#include "files/json.h"

namespace pi0 {
namespace {

void require_finite(const std::vector<double>& values, const std::string& key,
                    const std::string& where) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      fail(where, fmt::format("{}[{}] is {}, expected a finite number", key, i, values[i]));
    }
  }
}

}  // namespace

NormalizationMode parse_normalization_mode(const std::string& name, const std::string& key,
                                           const std::string& where) {
  for (const auto mode :
       {NormalizationMode::kIdentity, NormalizationMode::kMeanStd, NormalizationMode::kMinMax,
        NormalizationMode::kQuantiles, NormalizationMode::kQuantile10}) {
    if (name == name_of(mode)) return mode;
  }
  fail(where, "the normalisation mode of \"" + key + "\" is " + describe(name) +
                  ", expected IDENTITY, MEAN_STD, MIN_MAX, QUANTILES or QUANTILE10");
}

const char* name_of(NormalizationMode mode) {
  switch (mode) {
    case NormalizationMode::kIdentity:
      return "IDENTITY";
    case NormalizationMode::kMeanStd:
      return "MEAN_STD";
    case NormalizationMode::kMinMax:
      return "MIN_MAX";
    case NormalizationMode::kQuantiles:
      return "QUANTILES";
    case NormalizationMode::kQuantile10:
      return "QUANTILE10";
  }
  return "";
}

std::pair<const char*, const char*> statistics_of(NormalizationMode mode) {
  switch (mode) {
    case NormalizationMode::kIdentity:
      return {"", ""};
    case NormalizationMode::kMeanStd:
      return {"mean", "std"};
    case NormalizationMode::kMinMax:
      return {"min", "max"};
    case NormalizationMode::kQuantiles:
      return {"q01", "q99"};
    case NormalizationMode::kQuantile10:
      return {"q10", "q90"};
  }
  return {"", ""};
}

Normalization make_normalization(NormalizationMode mode, double eps, std::vector<double> first,
                                 std::vector<double> second, const std::string& key,
                                 const std::string& where, std::vector<std::string>& warnings) {
  const auto [first_name, second_name] = statistics_of(mode);
  require_finite(first, key + "." + first_name, where);
  require_finite(second, key + "." + second_name, where);
  const bool deviation = mode == NormalizationMode::kMeanStd;
  const auto negative =
      std::find_if(second.begin(), second.end(), [](double value) { return value < 0; });
  if (deviation && negative != second.end()) {
    fail(where, fmt::format("{}.{} is {} in dimension {}, expected none below 0", key, second_name,
                            *negative, negative - second.begin()));
  }
  std::vector<std::string> flat;
  for (std::size_t i = 0; i < second.size(); ++i) {
    if (second[i] == (deviation ? 0.0 : first[i])) flat.push_back(std::to_string(i));
  }
  if (!flat.empty()) {
    const std::string what =
        deviation ? "a std of 0"
                  : fmt::format("an empty range ({} is {})", first_name, second_name);
    warnings.push_back(
        fmt::format("{}: {} has {} in dimension {}; a value that differs from "
                    "training's becomes very large there",
                    where, key, what, list_of(flat)));
  }
  return {mode, eps, std::move(first), std::move(second), {}};
}

}  // namespace pi0
