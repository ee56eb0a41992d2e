#include "checkpoint/adapters/adapter_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "checkpoint/form/sentence.h"
#include "checkpoint/form/sizes.h"

namespace pi0 {
namespace {

// Without influence on what is computed from the tensors that were saved: peft 0.13 to 0.21.
const std::set<std::string> kOfTraining = {
    "auto_mapping",   "corda_config",   "eva_config",   "exclude_modules",
    "inference_mode", "layers_pattern", "lora_dropout", "layers_to_transform",
    "lora_ga_config", "megatron_core",  "peft_version", "qalora_group_size",
    "runtime_config", "target_modules", "task_type"};
const std::set<std::string> kRead = {"alpha_pattern", "base_model_name_or_path",
                                     "bias",          "init_lora_weights",
                                     "lora_alpha",    "modules_to_save",
                                     "peft_type",     "r",
                                     "rank_pattern",  "revision",
                                     "use_rslora"};

bool says_nothing(const Json& value) {
  return value.is_null() || value == false || value == "" ||
         ((value.is_object() || value.is_array()) && value.empty());
}

// These leave the base as it was; others (pissa, olora, corda, loftq, lora_ga, mica) train beside a
// base that they changed first, which is not the one that was published.
void require_untouched_base(const Json& config, const std::string& where) {
  const Json* init = find_key(config, "init_lora_weights");
  if (!init || init->is_boolean()) return;
  for (const char* known : {"gaussian", "orthogonal", "eva"}) {
    if (*init == known) return;
  }
  fail(where,
       "\"init_lora_weights\" is " + describe(*init) +
           ", expected true, false, gaussian, orthogonal or eva, which leave the base as it was: "
           "merge the adapters with peft",
       ErrorCode::kUnsupported);
}

bool is_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

// The pattern is a regular expression to peft, of which names with "^" before them, "." and "\."
// are read here.
void require_readable(const std::string& pattern, const std::string& where) {
  std::size_t at = pattern.starts_with('^') ? 1 : 0;
  bool readable = at < pattern.size();
  for (; at < pattern.size(); ++at) {
    if (pattern[at] == '\\' && at + 1 < pattern.size() && pattern[at + 1] == '.') ++at;
    readable = readable && (is_word(pattern[at]) || pattern[at] == '.');
  }
  if (!readable) {
    fail(where,
         "the pattern " + describe(pattern) +
             " is not supported, expected the name of a module, or its end",
         ErrorCode::kUnsupported);
  }
}

// peft's get_pattern_key: re.match(rf"(.*\.)?({pattern})$", module).
bool matches(const std::string& pattern, const std::string& module) {
  const bool whole = pattern.starts_with('^');
  std::string plain;  // '.' stands for any character, '\0' for a dot
  for (std::size_t i = whole ? 1 : 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\')
      ++i, plain += '\0';
    else
      plain += pattern[i];
  }
  if (plain.size() > module.size()) return false;
  const std::size_t begin = module.size() - plain.size();
  if (begin != 0 && (whole || module[begin - 1] != '.')) return false;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const char found = module[begin + i];
    if (plain[i] != '.' && found != (plain[i] == '\0' ? '.' : plain[i])) return false;
  }
  return true;
}

template <typename Value>
Value value_for(const std::vector<std::pair<std::string, Value>>& patterns,
                const std::string& module, Value otherwise) {
  for (const auto& [pattern, value] : patterns) {
    if (matches(pattern, module)) return value;
  }
  return otherwise;
}

template <typename Read>
void read_patterns(const Json& config, const std::string& key, const std::string& where,
                   const Read& read) {
  const Json* patterns = find_object(config, key, where);
  if (!patterns) return;
  const std::string at = where + ": " + key;
  for (const auto& [pattern, value] : patterns->items()) {
    require_readable(pattern, at);
    read(*patterns, pattern, at);
  }
}

}  // namespace

int AdapterConfig::rank_of(const std::string& module) const {
  return value_for(rank_pattern, module, rank);
}

double AdapterConfig::scale_of(const std::string& module) const {
  const double of_module = value_for(alpha_pattern, module, alpha);
  const double ranks = rank_of(module);
  return of_module / (rank_stabilized ? std::sqrt(ranks) : ranks);
}

bool AdapterConfig::targets(const std::string& module) const {
  return std::any_of(target_modules.begin(), target_modules.end(), [&](const std::string& target) {
    return module == target || module.ends_with("." + target);
  });
}

bool AdapterConfig::saves(const std::string& module) const {
  for (const std::string& saved : modules_to_save) {
    const std::string framed = "." + module + ".";
    if (framed.find("." + saved + ".") != std::string::npos) return true;
  }
  return false;
}

AdapterConfig parse_adapter_config(const Json& config, const std::string& where) {
  require_object(config, where);
  const std::string kind = get_string(config, "peft_type", where, std::nullopt);
  if (kind != "LORA") {
    fail(where,
         "\"peft_type\" is " + describe(kind) +
             ", expected \"LORA\": merge adapters of another kind with peft",
         ErrorCode::kUnsupported);
  }
  for (const auto& [key, value] : config.items()) {
    if (kRead.contains(key) || kOfTraining.contains(key) || says_nothing(value)) continue;
    fail(where,
         fmt::format("\"{}\" is {}, which is not supported: merge the adapters with peft", key,
                     describe(value)),
         ErrorCode::kUnsupported);
  }
  require_untouched_base(config, where);
  AdapterConfig result;
  result.base = get_string(config, "base_model_name_or_path", where, "");
  result.revision = get_string(config, "revision", where, "main");
  result.rank = get_int(config, "r", where, std::nullopt, 1, kMaxSize);
  result.alpha = get_number(config, "lora_alpha", where, std::nullopt);
  result.rank_stabilized = get_bool(config, "use_rslora", where, false);
  read_patterns(config, "rank_pattern", where,
                [&](const Json& patterns, const std::string& pattern, const std::string& at) {
                  result.rank_pattern.emplace_back(
                      pattern, get_int(patterns, pattern, at, std::nullopt, 1, kMaxSize));
                });
  read_patterns(config, "alpha_pattern", where,
                [&](const Json& patterns, const std::string& pattern, const std::string& at) {
                  result.alpha_pattern.emplace_back(
                      pattern, get_number(patterns, pattern, at, std::nullopt));
                });
  const auto narrowed = [&](const char* key) {
    const Json* value = find_key(config, key);
    return value && !says_nothing(*value);
  };
  const Json* targets = find_key(config, "target_modules");
  if (targets && targets->is_array() && !narrowed("layers_to_transform") &&
      !narrowed("exclude_modules")) {
    result.target_modules = *find_strings(config, "target_modules", where);
  }
  result.modules_to_save =
      find_strings(config, "modules_to_save", where).value_or(std::vector<std::string>());
  const std::string bias = get_string(config, "bias", where, "none");
  if (bias != "none" && bias != "all" && bias != "lora_only") {
    fail(where, "\"bias\" is " + describe(bias) + ", expected none, all or lora_only",
         ErrorCode::kUnsupported);
  }
  result.biases = bias != "none";
  result.lora_only = bias == "lora_only";
  return result;
}

}  // namespace pi0
