// Normalisation statistics as files have them, of either library.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "files/json.h"
#include "files/safetensors.h"

namespace pi0 {

struct Statistic {
  std::vector<std::int64_t> shape;
  std::vector<double> values;
  std::string unreadable;  // the type of a tensor that holds no numbers: `values` is then empty
};

// "observation.state.mean" -> its values; features in lerobot's names.
struct Statistics {
  std::string where;
  std::map<std::string, Statistic> values;
};

// "observation.state" of the statistic "observation.state.mean": lerobot splits at the last dot.
std::string feature_of(const std::string& statistic);

// Of the tensors of a file, `where`: what a lerobot processor has saved, say.
Statistics statistics_in(const std::map<std::string, SafeTensor>& tensors,
                         const std::string& where);

// openpi's norm_stats.json, whose "state" and "actions" become lerobot's names, or meta/stats.json
// of a lerobot dataset. Throws Error naming `where` for what is neither, and the key of a statistic
// that is no array of numbers.
Statistics parse_statistics(const Json& json, const std::string& where);

// Any of the three, told apart by what is in the file.
Statistics read_statistics(const std::filesystem::path& file);

// As openpi's norm_stats.json has them.
Json norm_stats_of(const Statistics& statistics);

}  // namespace pi0
