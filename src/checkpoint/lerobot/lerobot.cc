#include "checkpoint/lerobot/lerobot.h"

#include <fmt/format.h>

#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "checkpoint/form/pi0_json.h"
#include "checkpoint/form/prompt_format.h"
#include "checkpoint/form/sentence.h"
#include "checkpoint/lerobot/config.h"
#include "checkpoint/lerobot/processors.h"
#include "checkpoint/weights/weight_files.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

// What openpi's form needs to be told, lerobot's files say.
void refuse_openpi_options(const fs::path& directory, const CheckpointOverrides& options) {
  const std::pair<bool, const char*> given[] = {
      {options.delta_mask.has_value(), "a delta mask"},
      {options.asset.has_value(), "an asset"},
      {options.action_dims.has_value(), "action dims"},
      {options.action_horizon.has_value(), "an action horizon"},
      {options.max_token_len.has_value(), "a longest prompt (max_token_len)"},
      {options.adapt_to_pi.has_value(), "adapt_to_pi"}};
  for (const auto& [is_given, what] : given) {
    if (is_given) {
      fail(directory.string(),
           std::string(what) + " cannot be given for a lerobot checkpoint, whose files say it",
           ErrorCode::kInvalidInput);
    }
  }
}

// Of pi0.json, what lerobot's files do not say.
std::optional<LerobotRelease> release_in_pi0_json(const fs::path& directory) {
  const fs::path file = directory / "pi0.json";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return std::nullopt;
  CheckpointOverrides given = parse_pi0_json(read_json(file), file.string());
  const std::optional<LerobotRelease> release = std::exchange(given.lerobot_release, std::nullopt);
  if (given != CheckpointOverrides()) {
    fail(file.string(),
         "is for openpi's form of checkpoint, but for \"lerobot_version\"; lerobot's files, which "
         "are here, say the rest themselves");
  }
  return release;
}

// The steps around the network, from their files or, where one is absent (older lerobot had none),
// as far as config.json says them.
struct Processors {
  fs::path directory;
  Preprocessor pre;
  Postprocessor post;
  std::string pre_where;  // what an error or a warning names
  std::string post_where;
  std::shared_ptr<const WeightFiles> of_0_3;  // which then has the statistics
};

Processors read_processors(const Places& places, const LerobotConfig& config) {
  Processors result;
  // Both are one directory's: adapters' own, or their base's.
  result.directory = places.of("policy_preprocessor.json");
  const fs::path& directory = result.directory;
  result.pre_where = (directory / "policy_preprocessor.json").string();
  result.post_where = (directory / "policy_postprocessor.json").string();
  NormalizerStep without_statistics;
  without_statistics.norm_map = config.norm_map;
  without_statistics.eps = 1e-8;  // 0.3's
  without_statistics.features[kStateFeature] = "STATE";
  for (const Camera& camera : config.cameras)
    without_statistics.features[camera.feature] = "VISUAL";
  std::error_code ignored;
  if (fs::exists(result.pre_where, ignored)) {
    result.pre = parse_preprocessor(read_json(result.pre_where), result.pre_where);
  } else {
    result.pre.normalizer = without_statistics;
    result.pre.relative = config.relative;
    result.pre_where += " is absent";
  }
  if (fs::exists(result.post_where, ignored)) {
    result.post = parse_postprocessor(read_json(result.post_where), result.post_where);
  } else {
    result.post.unnormalizer = without_statistics;
    result.post.absolute = result.pre.relative && result.pre.relative->enabled;
    result.post_where += " is absent";
  }
  if (config.of_0_3 && !result.pre.prompt) {
    result.of_0_3 = WeightFiles::open(places.weights());
    result.pre_where = result.post_where = result.of_0_3->where();
  }
  return result;
}

// One normalizer step with the statistics that are given, or else those of its state file.
class Normalizer {
 public:
  Normalizer(const fs::path& directory, const std::optional<NormalizerStep>& step,
             const std::string& where, const std::optional<Statistics>& given,
             std::vector<std::string>& warnings)
      : step_(step), warnings_(warnings), where_(where), statistics_(given) {
    if (!statistics_ && step_ && !step_->state_file.empty()) {
      require_beside(step_->state_file, where + ": state_file");
      const SafeTensors file = SafeTensors::open(directory / step_->state_file);
      statistics_ = statistics_in(file.tensors(), file.where());
    }
    if (statistics_) where_ = statistics_->where;
  }
  // The length of all of a state's statistics, where the network takes one so long; else `dims`.
  int state_dims(int dims, const ModelConfig& model) const {
    if (!statistics_) return dims;
    std::set<std::int64_t> lengths;
    for (const auto& [name, statistic] : statistics_->values) {
      if (feature_of(name) != kStateFeature || name.ends_with(".count")) continue;
      lengths.insert(statistic.shape.size() == 1 ? statistic.shape[0] : 0);
    }
    if (lengths.size() != 1) return dims;
    const std::int64_t length = *lengths.begin();
    // One number stands for all of a state in lerobot, but not for those of a base's padded one.
    const int least = dims == model.state_dim ? 1 : 2;
    // pi05 has the state in its prompt, at any length.
    const int most =
        model.kind == ModelKind::kPi0 ? model.state_dim : std::numeric_limits<int>::max();
    return length >= least && length <= most ? static_cast<int>(length) : dims;
  }

  // A feature without statistics passes unchanged in lerobot. `missing` then says so.
  Normalization operator()(const Feature& feature, std::string& missing) const {
    bool absent = !step_;
    Normalization result;
    if (step_) {
      result = lerobot_normalization(*step_, statistics_ ? &*statistics_ : nullptr, feature, where_,
                                     warnings_, absent);
    }
    if (absent && missing.empty()) {
      missing = fmt::format("{}: no statistics of {}{}", where_, feature.name, names());
    }
    return result;
  }

 private:
  // Of the features that it has statistics of.
  std::string names() const {
    if (!statistics_) return "";
    std::set<std::string> names;
    for (const auto& [name, statistic] : statistics_->values) names.insert(feature_of(name));
    return names.empty() ? ", nor of any" : ", only of " + list_of({names.begin(), names.end()});
  }

  const std::optional<NormalizerStep>& step_;
  std::vector<std::string>& warnings_;
  std::string where_;
  std::optional<Statistics> statistics_;
};

void read_relative_actions(const LerobotConfig& config, const Processors& processors,
                           CheckpointData& checkpoint) {
  const RelativeActions relative = processors.pre.relative.value_or(RelativeActions());
  const auto& names = relative.action_names ? relative.action_names : config.relative.action_names;
  if (names && names->size() >= static_cast<std::size_t>(checkpoint.action_dims)) {
    checkpoint.action_names.assign(names->begin(), names->begin() + checkpoint.action_dims);
  }
  // At inference lerobot's preprocessor has no actions to make relative: the postprocessor decides.
  const bool enabled = processors.post.absolute;
  if (enabled && !processors.pre.relative) {
    fail(processors.post_where,
         "absolute_actions_processor is enabled, but the preprocessor has no "
         "relative_actions_processor to go with it");
  }
  if (enabled != relative.enabled) {
    checkpoint.warnings.push_back(
        fmt::format("{}: absolute_actions_processor is {}enabled, unlike "
                    "relative_actions_processor of the preprocessor; the former is followed",
                    processors.post_where, enabled ? "" : "not "));
  }
  if (!enabled) return;
  if (checkpoint.state_dims < checkpoint.action_dims) {
    fail(processors.post_where,
         fmt::format("the {} actions are relative to the state, which has only {} dimensions",
                     checkpoint.action_dims, checkpoint.state_dims));
  }
  checkpoint.relative_actions = relative_mask(relative, checkpoint.action_dims);
}

// As the steps have it; as the caller wants it; or, where neither says it, as the kind's are.
PromptFormat prompt_format(const fs::path& directory, const LerobotConfig& config,
                           const Processors& processors, const CheckpointOverrides& options) {
  const std::optional<PromptSteps>& steps = processors.pre.prompt;
  if (options.prompt_format || !steps) {
    return choose_prompt_format(config.model.kind, options.prompt_format, directory.string(),
                                ErrorCode::kInvalidInput);
  }
  if (steps->state) {
    return choose_prompt_format(config.model.kind, PromptFormat::kPi05, processors.pre_where,
                                ErrorCode::kUnsupported);
  }
  return steps->new_line ? PromptFormat::kPi0 : PromptFormat::kBare;
}

// What only lerobot 0.3 wrote, beside what only later releases did: nothing tells which to follow.
void refuse_mixed(const LerobotConfig& config, const Places& places, const std::string& where) {
  std::error_code ignored;
  const char* later = config.says_relative ? "use_relative_actions" : nullptr;
  for (const char* file : {"policy_preprocessor.json", "policy_postprocessor.json"}) {
    if (fs::exists(places / file, ignored)) later = file;
  }
  if (config.of_0_3 && later) {
    fail(where, fmt::format("has lerobot 0.3's key \"resize_imgs_with_padding\" beside {} of later "
                            "releases: keep what belongs to the release that trained it",
                            later));
  }
  if (config.adapt_to_pi && !config.of_0_3) {
    fail(where,
         "\"adapt_to_pi_aloha\" is true, which lerobot 0.3 alone has, but "
         "\"resize_imgs_with_padding\", which it wrote too, is not there",
         ErrorCode::kUnsupported);
  }
}

// Of what 0.4 did otherwise than 0.5.0, whose files are alike.
void warn_of_0_4(const LerobotConfig& config, const std::string& where,
                 CheckpointData& checkpoint) {
  std::vector<std::string> otherwise;
  if (config.not_square)
    otherwise.emplace_back("images that are not square with -3, not with black");
  if (checkpoint.prompt_format == PromptFormat::kPi05 &&
      checkpoint.state_dims < checkpoint.model.state_dim) {
    otherwise.push_back(fmt::format("the state to {} numbers in the prompt, not to its own {}",
                                    checkpoint.model.state_dim, checkpoint.state_dims));
  }
  if (otherwise.empty()) return;
  checkpoint.warnings.push_back(fmt::format(
      "{}: saved by lerobot 0.4 or 0.5.0, it seems; 0.4 padded {}: say which (--lerobot-version "
      "0.4, or 0.5; \"lerobot_version\" in pi0.json); it is run as of 0.5",
      where, list_of(otherwise, ", and ")));
}

}  // namespace

CheckpointData open_lerobot(const Places& places, const CheckpointOverrides& options) {
  const fs::path& directory = places.directory;
  const std::string config_name = (places / "config.json").string();
  const LerobotConfig config = parse_lerobot_config(read_json(config_name), config_name);
  refuse_openpi_options(directory, options);
  refuse_mixed(config, places, config_name);
  const std::optional<LerobotRelease> in_file = release_in_pi0_json(directory);
  Processors processors;
  try {
    processors = read_processors(places, config);
  } catch (const Error&) {
    if (!options.network_alone) throw;
  }

  CheckpointData checkpoint;
  checkpoint.directory = directory;
  checkpoint.warnings = config.warnings;
  checkpoint.family = Family::kLerobot;
  checkpoint.model = config.model;
  if (processors.pre.max_tokens) checkpoint.model.max_tokens = *processors.pre.max_tokens;
  checkpoint.cameras = config.cameras;
  checkpoint.rename_map = processors.pre.rename_map;
  checkpoint.tokenizer_name = processors.pre.tokenizer_name;
  checkpoint.prompt_format = prompt_format(directory, config, processors, options);
  checkpoint.state_dims = config.state_dims;
  checkpoint.action_dims = config.action_dims;
  checkpoint.n_action_steps = config.n_action_steps;
  checkpoint.adapt_to_pi = config.adapt_to_pi;
  if (options.network_alone) return checkpoint;
  if (processors.directory != directory) {
    checkpoint.warnings.push_back(
        fmt::format("{}: no processors beside the adapters, so the base's are taken, statistics "
                    "and all: {}",
                    directory.string(), processors.pre_where));
  }

  std::optional<Statistics> inputs, outputs;
  if (options.norm_stats) {
    inputs = outputs = read_statistics(*options.norm_stats);
  } else if (processors.of_0_3) {
    std::vector<std::string> features{kStateFeature};
    for (const Camera& camera : config.cameras) features.push_back(camera.feature);
    const Statistics kept =
        statistics_in(processors.of_0_3->statistics(), processors.of_0_3->where());
    inputs = statistics_of_0_3(kept, "normalize_inputs", features);
    outputs = statistics_of_0_3(kept, "unnormalize_outputs", {kActionFeature});
  }
  const Normalizer normalize(processors.directory, processors.pre.normalizer, processors.pre_where,
                             inputs, checkpoint.warnings);
  const Normalizer unnormalize(processors.directory, processors.post.unnormalizer,
                               processors.post_where, outputs, checkpoint.warnings);
  // A policy that began from another one keeps that one's state in its configuration, and has the
  // statistics of the data that it was trained on. Its actions' length lerobot writes anew.
  checkpoint.state_dims = normalize.state_dims(checkpoint.state_dims, checkpoint.model);
  std::string& missing = checkpoint.statistics_missing;
  checkpoint.state = normalize({kStateFeature, "STATE", checkpoint.state_dims}, missing);
  checkpoint.action = unnormalize({kActionFeature, "ACTION", checkpoint.action_dims}, missing);
  checkpoint.has_statistics = missing.empty();
  for (Camera& camera : checkpoint.cameras) {
    if (!processors.pre.normalizer) continue;
    std::string of_camera;  // pixels pass as they are, as usual: no reason to refuse the checkpoint
    camera.normalization = normalize({camera.feature, "VISUAL", 3}, of_camera);
    if (!of_camera.empty()) checkpoint.warnings.push_back(of_camera + ", which so passes as it is");
  }
  read_relative_actions(config, processors, checkpoint);
  // 0.4 and 0.5.0 write neither; openpi's and later releases do not pad the state in the prompt.
  const bool old = !config.says_relative && !processors.pre.relative && !config.of_0_3;
  const std::optional<LerobotRelease> release =
      options.lerobot_release ? options.lerobot_release : in_file;
  if (config.of_0_3 && release) {
    fail(config_name,
         "is of lerobot 0.3, as its key \"resize_imgs_with_padding\" says: a later version cannot "
         "be given for it",
         ErrorCode::kInvalidInput);
  }
  checkpoint.lerobot_release =
      config.of_0_3 ? LerobotRelease::k0_3 : release.value_or(LerobotRelease::k0_5);
  if (!old && !config.of_0_3 && release == LerobotRelease::k0_4) {
    fail(
        config_name,
        "is of lerobot 0.5.1 or later, as its relative actions say (use_relative_actions, or their "
        "step): 0.4 cannot be given for it",
        ErrorCode::kInvalidInput);
  }
  checkpoint.release_uncertain = old && !release;
  if (checkpoint.release_uncertain) warn_of_0_4(config, config_name, checkpoint);
  return checkpoint;
}

}  // namespace pi0
