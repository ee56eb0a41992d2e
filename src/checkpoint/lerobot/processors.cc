#include "checkpoint/lerobot/processors.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "checkpoint/form/normalization.h"
#include "checkpoint/form/sentence.h"
#include "checkpoint/form/sizes.h"

namespace pi0 {
namespace {

// A step of a pipeline, as far as all of them are alike.
struct Step {
  std::string name;
  const Json& config;
  const Json& json;
  std::string where;  // "policy_preprocessor.json: step 3 (tokenizer_processor)"
};

// Where tensors are, and in which type: this library's own matter, but for narrower observations.
bool read_transport(const Step& step) {
  if (step.name == "to_batch_processor") {
    require_known(step.config, {}, step.where);
    return true;
  }
  if (step.name != "device_processor") return false;
  require_known(step.config, {"device", "float_dtype"}, step.where);
  const std::string type = get_string(step.config, "float_dtype", step.where, "float32");
  if (type != "float32") {
    fail(step.where, "\"float_dtype\" is " + describe(type) + ", expected none or float32",
         ErrorCode::kUnsupported);
  }
  return true;
}

// Calls `read` for each step; it returns false for one that it does not know.
void for_each_step(const Json& pipeline, const std::string& where,
                   const std::function<bool(const Step&)>& read) {
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
    if (name == "delta_actions_processor") name = "relative_actions_processor";  // 0.5.1's name
    const std::string at = fmt::format("{} ({})", numbered, name);
    // "artifacts": where lerobot after 0.6.1 saves a step's tokenizer, beside the checkpoint.
    require_known(step, {"registry_name", "class", "config", "state_file", "artifacts"}, at);
    const Json* found = find_object(step, "config", at);
    const Json empty = Json::object();
    const Step named{name, found ? *found : empty, step, at};
    if (read_transport(named)) continue;
    if (!read(named)) {
      fail(numbered, "the step " + describe(name) + " is not supported", ErrorCode::kUnsupported);
    }
    if (!seen.insert(name).second) {
      fail(at, "is there twice, which is not supported", ErrorCode::kUnsupported);
    }
  }
}

// Padding is masked, wherever it is. What cuts a prompt, or takes it from elsewhere, counts.
int read_tokenizer(const Step& step) {
  require_known(
      step.config,
      {"max_length", "task_key", "padding_side", "padding", "truncation", "tokenizer_name"},
      step.where);
  const std::string task = get_string(step.config, "task_key", step.where, "task");
  if (task != "task") {
    fail(step.where, "\"task_key\" is " + describe(task) + ", expected \"task\"",
         ErrorCode::kUnsupported);
  }
  if (!get_bool(step.config, "truncation", step.where, true)) {
    fail(step.where, "\"truncation\" is false, but prompts are cut to \"max_length\" here",
         ErrorCode::kUnsupported);
  }
  return get_int(step.config, "max_length", step.where, 512, 1, kMaxSize);  // lerobot's default
}

NormalizerStep read_normalizer(const Step& step) {
  const auto& [name, config, json, where] = step;
  require_known(config, {"eps", "features", "norm_map", "normalize_observation_keys", "stats"},
                where);
  NormalizerStep result;
  result.eps = get_number(config, "eps", where, 1e-8);
  if (const Json* features = find_object(config, "features", where)) {
    for (const auto& [key, feature] : features->items()) {
      const std::string at = where + ": features." + key;
      require_object(feature, at);
      require_known(feature, {"type", "shape"}, at);
      result.features[key] = get_string(feature, "type", at, std::nullopt);
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
  result.state_file = get_string(json, "state_file", where, "");
  return result;
}

RelativeActions read_relative(const Step& step) {
  const auto& [name, config, json, where] = step;
  require_known(config, {"enabled", "exclude_joints", "action_names"}, where);
  RelativeActions relative;
  relative.enabled = get_bool(config, "enabled", where, false);
  relative.exclude_joints =
      find_strings(config, "exclude_joints", where).value_or(std::vector<std::string>());
  relative.action_names = find_strings(config, "action_names", where);
  return relative;
}

std::map<std::string, std::string> read_rename_map(const Step& step) {
  const auto& [name, config, json, where] = step;
  require_known(config, {"rename_map"}, where);
  std::map<std::string, std::string> result;
  if (const Json* map = find_object(config, "rename_map", where)) {
    for (const auto& item : map->items()) {
      result[item.key()] = get_string(*map, item.key(), where + ": rename_map", std::nullopt);
    }
  }
  return result;
}

// Steps do what they say where they stand.
void require_order(const std::vector<std::string>& steps, const std::string& first,
                   const std::string& second, const std::string& where) {
  const auto at = std::find(steps.begin(), steps.end(), first);
  if (at != steps.end() && std::find(steps.begin(), at, second) != at) {
    fail(where, fmt::format("{} comes after {}, expected before it", first, second),
         ErrorCode::kUnsupported);
  }
}

}  // namespace

Preprocessor parse_preprocessor(const Json& pipeline, const std::string& where) {
  constexpr const char* kRename = "rename_observations_processor";
  constexpr const char* kTokenizer = "tokenizer_processor";
  constexpr const char* kNormalizer = "normalizer_processor";
  constexpr const char* kState = "pi05_prepare_state_tokenizer_processor_step";
  const std::set<std::string> new_lines{"pi0_new_line_processor", "smolvla_new_line_processor"};
  Preprocessor result;
  result.prompt = PromptSteps{};
  std::vector<std::string> steps;
  for_each_step(pipeline, where, [&](const Step& step) {
    steps.push_back(step.name);
    if (step.name == kRename) {
      result.rename_map = read_rename_map(step);
    } else if (step.name == kTokenizer) {
      result.max_tokens = read_tokenizer(step);
      result.tokenizer_name = get_string(step.config, "tokenizer_name", step.where, "");
    } else if (step.name == "relative_actions_processor") {
      result.relative = read_relative(step);
    } else if (step.name == kNormalizer) {
      result.normalizer = read_normalizer(step);
    } else if (new_lines.contains(step.name)) {
      require_known(step.config, {}, step.where);
      result.prompt->new_line = true;
    } else if (step.name == kState) {
      require_known(step.config, {}, step.where);
      result.prompt->state = true;
    } else {
      return false;
    }
    return true;
  });
  for (const std::string& new_line : new_lines) require_order(steps, new_line, kTokenizer, where);
  require_order(steps, kState, kTokenizer, where);
  require_order(steps, kNormalizer, kState, where);
  require_order(steps, kRename, kNormalizer, where);
  if (result.prompt->new_line && result.prompt->state) {
    fail(where, "a new line after a prompt with the state in it is not supported",
         ErrorCode::kUnsupported);
  }
  return result;
}

Postprocessor parse_postprocessor(const Json& pipeline, const std::string& where) {
  Postprocessor result;
  std::vector<std::string> steps;
  for_each_step(pipeline, where, [&](const Step& step) {
    steps.push_back(step.name);
    if (step.name == "unnormalizer_processor") {
      result.unnormalizer = read_normalizer(step);
    } else if (step.name == "absolute_actions_processor") {
      require_known(step.config, {"enabled"}, step.where);
      result.absolute = get_bool(step.config, "enabled", step.where, false);
    } else {
      return false;
    }
    return true;
  });
  require_order(steps, "unnormalizer_processor", "absolute_actions_processor", where);
  return result;
}

}  // namespace pi0
