#include "checkpoint/lerobot_processors.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "checkpoint/normalization.h"
#include "checkpoint/sentence.h"
#include "checkpoint/sizes.h"

namespace pi0 {
namespace {

// Steps that move, batch or prepare what this library does in its own way: nothing to read.
const std::set<std::string>& steps_without_effect() {
  static const std::set<std::string> names = {
      "to_batch_processor", "device_processor", "pi0_new_line_processor",
      "smolvla_new_line_processor", "pi05_prepare_state_tokenizer_processor_step"};
  return names;
}

// Calls `read(name, config, step, where)` for each step; it returns false for an unknown one.
using ReadStep =
    std::function<bool(const std::string&, const Json&, const Json&, const std::string&)>;

void for_each_step(const Json& pipeline, const std::string& where, const ReadStep& read) {
  require_object(pipeline, where);
  const Json* steps = find_array(pipeline, "steps", where);
  if (!steps) fail(where, "\"steps\" is missing");
  std::set<std::string> seen;
  int index = 0;
  for (const Json& step : *steps) {
    const std::string numbered = fmt::format("{}: step {}", where, index++);
    require_object(step, numbered);
    // A step that is in no registry has its Python class instead.
    std::string name = get_string(step, "registry_name", numbered, "");
    if (name.empty()) name = get_string(step, "class", numbered, std::nullopt);
    const std::string at = fmt::format("{} ({})", numbered, name);
    const Json* found = find_object(step, "config", at);
    const Json empty = Json::object();
    const bool known = read(name, found ? *found : empty, step, at);
    if (!known && !steps_without_effect().contains(name)) {
      fail(numbered, "the step " + describe(name) + " is not supported", ErrorCode::kUnsupported);
    }
    if (known && !seen.insert(name).second) {
      fail(at, "is there twice, which is not supported", ErrorCode::kUnsupported);
    }
  }
}

NormalizerStep read_normalizer(const Json& config, const Json& step, const std::string& where) {
  NormalizerStep result;
  result.eps = get_number(config, "eps", where, 1e-8);
  if (const Json* features = find_object(config, "features", where)) {
    for (const auto& [name, feature] : features->items()) {
      require_object(feature, where + ": features." + name);
      result.features[name] =
          get_string(feature, "type", where + ": features." + name, std::nullopt);
    }
  }
  if (const Json* modes = find_object(config, "norm_map", where)) {
    for (const auto& item : modes->items()) {
      const std::string mode = get_string(*modes, item.key(), where + ": norm_map", std::nullopt);
      result.norm_map[item.key()] = parse_normalization_mode(mode, item.key(), where);
    }
  }
  result.observation_keys = find_strings(config, "normalize_observation_keys", where);
  if (const Json* stats = find_key(config, "stats"); stats && !stats->empty()) {
    fail(where, "\"stats\" within the configuration is not supported, only a \"state_file\"",
         ErrorCode::kUnsupported);
  }
  result.state_file = get_string(step, "state_file", where, "");
  return result;
}

RelativeActions read_relative(const Json& config, const std::string& where) {
  RelativeActions relative;
  relative.enabled = get_bool(config, "enabled", where, false);
  relative.exclude_joints =
      find_strings(config, "exclude_joints", where).value_or(std::vector<std::string>());
  relative.action_names = find_strings(config, "action_names", where);
  return relative;
}

std::map<std::string, std::string> read_rename_map(const Json& config, const std::string& where) {
  std::map<std::string, std::string> result;
  if (const Json* map = find_object(config, "rename_map", where)) {
    for (const auto& item : map->items()) {
      result[item.key()] = get_string(*map, item.key(), where + ": rename_map", std::nullopt);
    }
  }
  return result;
}

}  // namespace

Preprocessor parse_preprocessor(const Json& pipeline, const std::string& where) {
  Preprocessor result;
  for_each_step(
      pipeline, where,
      [&](const std::string& name, const Json& config, const Json& step, const std::string& at) {
        if (name == "rename_observations_processor") {
          result.rename_map = read_rename_map(config, at);
        } else if (name == "tokenizer_processor") {
          // 512: the default of lerobot's TokenizerProcessorStep.
          result.max_tokens = get_int(config, "max_length", at, 512, 1, kMaxSize);
        } else if (name == "relative_actions_processor") {
          result.relative = read_relative(config, at);
        } else if (name == "normalizer_processor") {
          result.normalizer = read_normalizer(config, step, at);
        } else {
          return false;
        }
        return true;
      });
  return result;
}

Postprocessor parse_postprocessor(const Json& pipeline, const std::string& where) {
  Postprocessor result;
  for_each_step(
      pipeline, where,
      [&](const std::string& name, const Json& config, const Json& step, const std::string& at) {
        if (name == "unnormalizer_processor") {
          result.unnormalizer = read_normalizer(config, step, at);
        } else if (name == "absolute_actions_processor") {
          result.absolute = get_bool(config, "enabled", at, false);
        } else {
          return false;
        }
        return true;
      });
  return result;
}

}  // namespace pi0
