#include "checkpoint/form/statistics.h"

#include <fmt/format.h>

#include <span>
#include <string_view>
#include <utility>

#include "base/half.h"
#include "checkpoint/form/sentence.h"
#include "files/file.h"

namespace pi0 {
namespace {

constexpr int kMaxRank = 4;  // a camera's have three
constexpr std::pair<const char*, const char*> kOpenpiNames[] = {{"state", "observation.state"},
                                                                {"actions", "action"}};

std::vector<double> values_of(const SafeTensor& tensor) {
  const std::span<const std::byte> bytes = tensor.bytes;
  const auto as_it_is = [](auto x) { return static_cast<double>(x); };
  if (tensor.dtype == "F32") return converted<float, double>(bytes, as_it_is);
  if (tensor.dtype == "F64") return converted<double, double>(bytes, as_it_is);
  if (tensor.dtype == "F16") return converted<std::uint16_t, double>(bytes, f16_to_float);
  if (tensor.dtype == "BF16") return converted<std::uint16_t, double>(bytes, bf16_to_float);
  if (tensor.dtype == "I64") return converted<std::int64_t, double>(bytes, as_it_is);
  if (tensor.dtype == "I32") return converted<std::int32_t, double>(bytes, as_it_is);
  if (tensor.dtype == "I16") return converted<std::int16_t, double>(bytes, as_it_is);
  if (tensor.dtype == "U8") return converted<std::uint8_t, double>(bytes, as_it_is);
  return {};
}

bool is_readable(const std::string& dtype) {
  for (const char* known : {"F32", "F64", "F16", "BF16", "I64", "I32", "I16", "U8"}) {
    if (dtype == known) return true;
  }
  return false;
}

// Numbers, or arrays within arrays that are all as long; false for anything else.
bool flatten(const Json& value, std::size_t depth, Statistic& statistic) {
  if (value.is_number()) {
    if (depth != statistic.shape.size()) return false;
    statistic.values.push_back(value.get<double>());
    return true;
  }
  if (!value.is_array() || depth >= kMaxRank) return false;
  const auto length = static_cast<std::int64_t>(value.size());
  if (depth == statistic.shape.size()) {
    if (!statistic.values.empty()) return false;
    statistic.shape.push_back(length);
  }
  if (statistic.shape[depth] != length) return false;
  for (const Json& part : value) {
    if (!flatten(part, depth + 1, statistic)) return false;
  }
  return true;
}

constexpr const char* kNormStats = R"({"norm_stats": {"state": …, "actions": …}})";

// Whether it has openpi's features as its keys.
bool has_openpi_names(const Json& json) {
  for (const auto& [theirs, lerobots] : kOpenpiNames) {
    const Json* const feature = find_key(json, theirs);
    if (feature && feature->is_object() && !find_key(json, lerobots)) return true;
  }
  return false;
}

// What a file of another form is; nullptr for what may be safetensors or text.
const char* other_kind(std::string_view content) {
  if (content.starts_with("PK\3\4")) return "a zip archive (as torch.save and numpy.savez write)";
  if (content.starts_with("\x93NUMPY")) return "an array of NumPy (.npy)";
  // After the length, which may begin so too, a safetensors file has a brace.
  const bool pickle = content.size() > 8 && content[0] == '\x80' && content[1] >= 2 &&
                      content[1] <= 5 && content[8] != '{';
  return pickle ? "a pickle of Python" : nullptr;
}

void add(const std::string& feature, const Json& statistics, const std::string& where,
         Statistics& result) {
  require_object(statistics, where);
  for (const auto& [name, value] : statistics.items()) {
    if (value.is_null()) continue;
    Statistic statistic;
    if (!flatten(value, 0, statistic)) {
      fail(where, fmt::format("\"{}\" is {}, expected numbers", name, describe(value)));
    }
    if (statistic.shape.empty()) statistic.shape = {1};
    result.values[feature + "." + name] = std::move(statistic);
  }
}

}  // namespace

std::string feature_of(const std::string& statistic) {
  return statistic.substr(0, statistic.rfind('.'));
}

Statistics statistics_in(const std::map<std::string, SafeTensor>& tensors,
                         const std::string& where) {
  Statistics result{where, {}};
  for (const auto& [name, tensor] : tensors) {
    result.values[name] = {tensor.shape, values_of(tensor),
                           is_readable(tensor.dtype) ? "" : tensor.dtype};
  }
  return result;
}

Statistics parse_statistics(const Json& json, const std::string& where) {
  require_object(json, where);
  Statistics result{where, {}};
  if (const Json* openpi = find_object(json, "norm_stats", where)) {
    for (const auto& [feature, statistics] : openpi->items()) {
      if (statistics.is_object() && has_openpi_names(statistics)) {
        fail(where, fmt::format("norm_stats has {} around \"state\" and \"actions\", expected {}",
                                describe(feature), kNormStats));
      }
      std::string name = feature;
      for (const auto& [theirs, lerobots] : kOpenpiNames) {
        if (feature == theirs) name = lerobots;
      }
      add(name, statistics, where + ": norm_stats." + feature, result);
    }
    return result;
  }
  if (has_openpi_names(json)) {
    fail(where, fmt::format("has \"state\" or \"actions\" by themselves, expected openpi's {}, or "
                            "lerobot's \"observation.state\" and \"action\"",
                            kNormStats));
  }
  for (const auto& [feature, statistics] : json.items()) {
    if (!statistics.is_object()) {
      fail(where,
           "is neither openpi's norm_stats.json (no \"norm_stats\") nor lerobot's "
           "meta/stats.json (" +
               describe(feature) + " is " + describe(statistics) + ")");
    }
    add(feature, statistics, where + ": " + feature, result);
  }
  return result;
}

Statistics read_statistics(const std::filesystem::path& file) {
  // No text has a zero byte; the length that a safetensors file begins with has.
  const std::string content = read_file(file);
  if (const char* const other = other_kind(content)) {
    fail(file.string(),
         fmt::format("is {}, expected openpi's norm_stats.json, lerobot's meta/stats.json, or the "
                     "safetensors file of a normalizer_processor",
                     other));
  }
  if (content.substr(0, 8).find('\0') != std::string::npos) {
    const SafeTensors parsed = SafeTensors::parse(std::as_bytes(std::span(content)), file.string());
    return statistics_in(parsed.tensors(), parsed.where());
  }
  return parse_statistics(parse_json(content, file.string()), file.string());
}

Json norm_stats_of(const Statistics& statistics) {
  Json all = Json::object();
  for (const auto& [theirs, lerobots] : kOpenpiNames) {
    for (const auto& [name, statistic] : statistics.values) {
      if (feature_of(name) != lerobots || !statistic.unreadable.empty()) continue;
      all[theirs][name.substr(name.rfind('.') + 1)] = statistic.values;
    }
  }
  return {{"norm_stats", all}};
}

}  // namespace pi0
