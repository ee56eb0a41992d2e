// Statistics, checked, as a Normalization (checkpoint.h).
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/form/checkpoint_data.h"

namespace pi0 {

// "MEAN_STD" and so on, as lerobot's NormalizationMode spells them. Throws Error naming `where`
// and `key` for any other.
NormalizationMode parse_normalization_mode(const std::string& name, const std::string& key,
                                           const std::string& where);
// The inverse: "MEAN_STD".
const char* name_of(NormalizationMode mode);

// The statistics that a mode takes: {"mean", "std"}, {"q01", "q99"}; both empty for kIdentity.
std::pair<const char*, const char*> statistics_of(NormalizationMode mode);
// All that the families record of a vector.
inline constexpr std::array<const char*, 9> kStatistics = {"min", "q01", "q10",  "q50", "q90",
                                                           "q99", "max", "mean", "std"};

// Puts the two together. Throws Error naming `key`, the statistic and the index when a number is
// not finite. A zero std, an empty range is legal: `warnings` gets a sentence with the dimensions.
Normalization make_normalization(NormalizationMode mode, double eps, std::vector<double> first,
                                 std::vector<double> second, const std::string& key,
                                 const std::string& where, std::vector<std::string>& warnings);

}  // namespace pi0
