#include "policy/pipeline.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "image/view.h"
#include "pi0/error.h"
#include "policy/aloha.h"
#include "policy/normalize.h"
#include "prompt/find_tokenizer.h"

namespace pi0 {
namespace {

[[noreturn]] void refuse(const std::string& sentence) {
  throw Error(ErrorCode::kInvalidInput, sentence);
}

PromptStyle prompt_style(const CheckpointData& checkpoint) {
  if (checkpoint.prompt_format == PromptFormat::kPi05) return PromptStyle::kPi05;
  if (checkpoint.prompt_format == PromptFormat::kBare) return PromptStyle::kBare;
  return checkpoint.family == Family::kOpenpi ? PromptStyle::kOpenpiPi0 : PromptStyle::kLerobotPi0;
}

std::string names_of(const std::vector<Camera>& cameras) {
  std::string names;
  for (const Camera& camera : cameras) names += (names.empty() ? "" : ", ") + camera.name;
  return names;
}

// What a caller calls a camera, as a feature name that rename_map may hold.
std::string renamed(const std::string& given, const CheckpointData& checkpoint) {
  for (const std::string& name : {given, "observation.images." + given}) {
    const auto found = checkpoint.rename_map.find(name);
    if (found != checkpoint.rename_map.end()) return found->second;
  }
  return given;
}

// lerobot can normalise pixels too; empty where this checkpoint does not.
PixelNormalisation pixel_normalisation(const Camera& camera, Family family) {
  if (camera.normalization.mode == NormalizationMode::kIdentity) return {};
  return [&camera, family](int channel, float unit) {
    const auto dimension = static_cast<std::size_t>(channel);
    return static_cast<float>(normalize(unit, dimension, camera.normalization, family));
  };
}

}  // namespace

std::string image_name(const std::string& camera) { return "image for camera " + camera; }

ResizeMethod resize_method(const CheckpointData& checkpoint, const CheckpointOptions& options) {
  const std::string& name = options.resize;
  const bool openpi = checkpoint.family == Family::kOpenpi;
  if (name == "openpi" || (name.empty() && openpi)) return ResizeMethod::kOpenpi;
  if (!name.empty() && name != "lerobot") {
    refuse("resize is " + name + ", expected openpi or lerobot");
  }
  switch (checkpoint.lerobot_release) {
    case LerobotRelease::k0_3:
      return ResizeMethod::kLerobot0_3;
    case LerobotRelease::k0_4:
      return ResizeMethod::kLerobot0_4;
    case LerobotRelease::k0_5:
      return ResizeMethod::kLerobot;
  }
  return ResizeMethod::kLerobot;
}

void require_statistics(const CheckpointData& checkpoint, const CheckpointOptions& options) {
  if (checkpoint.has_statistics || options.raw) return;
  const std::string missing = checkpoint.statistics_missing.empty()
                                  ? checkpoint.directory.string() + ": no normalisation statistics"
                                  : checkpoint.statistics_missing;
  throw Error(ErrorCode::kInvalidCheckpoint,
              missing +
                  ", without which states and actions have no units; ask for raw values "
                  "(--raw) to run it all the same");
}

// policy/readiness.cc asks for each of these too.
Pipeline::Pipeline(CheckpointData checkpoint, const CheckpointOptions& options)
    : checkpoint_(std::move(checkpoint)),
      tokenizer_(Tokenizer::load(find_tokenizer(checkpoint_.directory, options.tokenizer,
                                                checkpoint_.base, checkpoint_.tokenizer_name))),
      resize_(resize_method(checkpoint_, options)),
      raw_(options.raw) {
  require_statistics(checkpoint_, options);
}

std::vector<std::optional<ImageView>> Pipeline::match_cameras(
    const Observation& observation, std::vector<std::string>& warnings) const {
  const std::vector<Camera>& cameras = checkpoint_.cameras;
  std::vector<std::optional<ImageView>> matched(cameras.size());
  const auto match = [&](const std::string& given, const ImageView& view) {
    const std::string name = observation.renamed ? given : renamed(given, checkpoint_);
    const auto found = std::find_if(cameras.begin(), cameras.end(), [&](const Camera& camera) {
      return camera.feature == name || camera.name == name;
    });
    if (found == cameras.end()) {
      refuse(image_name(given) + ": the checkpoint has no such camera, but " + names_of(cameras));
    }
    std::optional<ImageView>& slot = matched[static_cast<std::size_t>(found - cameras.begin())];
    if (slot) refuse(image_name(given) + ": a second one for " + found->name);
    slot = view;
  };
  for (const auto& [given, image] : observation.images) {
    match(given, view_of(image, image_name(given)));
  }
  for (const auto& [given, view] : observation.views) match(given, view);
  if (std::none_of(matched.begin(), matched.end(), [](const auto& view) { return bool(view); })) {
    refuse("no image, expected at least one of the checkpoint's cameras: " + names_of(cameras));
  }
  for (std::size_t i = 0; i < cameras.size(); ++i) {
    if (!matched[i] && !cameras[i].empty) {
      warnings.push_back("no image for camera " + cameras[i].name + ": it is masked");
    }
  }
  return matched;
}

void Pipeline::require_size(std::size_t values) const {
  const int dims = checkpoint_.state_dims;
  const bool lerobot = checkpoint_.family == Family::kLerobot;
  const auto statistics = static_cast<int>(checkpoint_.state.first.size());
  // lerobot's pi05 writes the state into the prompt as long as it is; all others pad it.
  const bool padded = !lerobot || checkpoint_.model.kind == ModelKind::kPi0;
  int least = 1;
  int most = padded ? checkpoint_.model.state_dim : std::numeric_limits<int>::max();
  const char* as = "";
  if (!raw_ && checkpoint_.adapt_to_pi) {
    least = most = kAlohaDims;
    as = ", ALOHA's (adapt_to_pi)";
  } else if (lerobot && dims != 0 && !raw_ &&
             checkpoint_.state.mode != NormalizationMode::kIdentity) {
    least = dims;
    most = std::min(most, dims);
  } else if (!lerobot && !raw_) {
    least = std::max(dims, 1);
    most = std::min(most, statistics);
    as = ", as the statistics have; only raw values (--raw) may be others";
  }
  const auto size = static_cast<std::int64_t>(values);
  if (size < least || size > most) {
    const std::string found = size == 0 ? "no state" : "state: " + std::to_string(size) + " values";
    const std::string range =
        most == std::numeric_limits<int>::max()
            ? "some"
            : std::to_string(least) + (least == most ? "" : " to " + std::to_string(most));
    refuse(found + ", expected " + range + as);
  }
  if (!lerobot && !raw_ && size > statistics) {
    refuse("state: " + std::to_string(size) + " values, but the statistics are of " +
           std::to_string(statistics));
  }
}

std::vector<double> Pipeline::normalise_state(const std::vector<float>& state,
                                              std::vector<std::string>& warnings) const {
  const bool needed =
      checkpoint_.model.kind == ModelKind::kPi0 || checkpoint_.prompt_format == PromptFormat::kPi05;
  if (state.empty() && !needed) return {};
  require_size(state.size());
  for (std::size_t i = 0; i < state.size(); ++i) {
    if (!std::isfinite(state[i])) {
      refuse("state: value " + std::to_string(i) + " is " + std::to_string(state[i]) +
             ", expected a finite number");
    }
  }
  if (raw_) return {state.begin(), state.end()};
  const std::vector<float> own = adapted(state);
  std::vector<double> normalised = normalize(own, checkpoint_.state, checkpoint_.family);
  const std::string far = far_outside(own, normalised, checkpoint_.state);
  if (!far.empty()) {
    warnings.push_back("the state is far outside its statistics" +
                       std::string(checkpoint_.adapt_to_pi ? ", as adapt_to_pi has it: " : ": ") +
                       far + "; are its units and its order those of training?");
  }
  return normalised;
}

std::vector<float> Pipeline::adapted(std::span<const float> state) const {
  if (checkpoint_.adapt_to_pi && !state.empty())
    return aloha_state_to_pi(state, checkpoint_.family);
  return {state.begin(), state.end()};
}

PreparedObservation Pipeline::prepare(const Observation& observation) const {
  PreparedObservation prepared;
  const ModelConfig& model = checkpoint_.model;
  const std::vector<std::optional<ImageView>> images =
      match_cameras(observation, prepared.warnings);
  const std::vector<double> state = normalise_state(observation.state, prepared.warnings);
  prepared.normalised_state.assign(state.begin(), state.end());
  if (!observation.prompt) {
    refuse(
        "no prompt, expected the instruction; a policy that needs none is given an empty one "
        "(--prompt \"\", or Observation::prompt = \"\")");
  }

  prepared.input.layout = PixelLayout::kHwc;
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (!images[i]) continue;
    const Camera& camera = checkpoint_.cameras[i];
    if (checkpoint_.release_uncertain && resize_ == ResizeMethod::kLerobot &&
        images[i]->width != images[i]->height) {
      prepared.warnings.push_back(
          image_name(camera.name) +
          ": is not square, and padded with black, as by lerobot 0.5; 0.4, which may have trained "
          "this policy, padded with -3: say which (--lerobot-version)");
    }
    const std::vector<float> pixels = to_network_input(
        *images[i], image_name(camera.name), model.image_size, resize_,
        raw_ ? PixelNormalisation() : pixel_normalisation(camera, checkpoint_.family));
    prepared.input.images.insert(prepared.input.images.end(), pixels.begin(), pixels.end());
  }

  std::vector<double> in_prompt = state;
  const auto padded = static_cast<std::size_t>(model.state_dim);
  if (checkpoint_.lerobot_release == LerobotRelease::k0_4 && in_prompt.size() < padded) {
    in_prompt.resize(padded);
  }
  const bool uncut = checkpoint_.lerobot_release == LerobotRelease::k0_3;
  Prompt prompt = make_prompt(tokenizer_, prompt_style(checkpoint_), *observation.prompt, in_prompt,
                              uncut ? std::numeric_limits<int>::max() : model.max_tokens);
  if (prompt.tokens.size() > static_cast<std::size_t>(model.max_tokens)) {
    refuse("the prompt has " + std::to_string(prompt.tokens.size()) + " tokens, expected at most " +
           std::to_string(model.max_tokens) +
           "; lerobot 0.3 took more than it was trained with: shorten it, or enlarge "
           "\"tokenizer_max_length\"");
  }
  prepared.input.tokens = std::move(prompt.tokens);
  prepared.warnings.insert(prepared.warnings.end(), prompt.warnings.begin(), prompt.warnings.end());

  if (model.kind == ModelKind::kPi0) {
    prepared.input.state = prepared.normalised_state;
    prepared.input.state.resize(static_cast<std::size_t>(model.state_dim), 0.0f);
  }
  return prepared;
}

std::vector<float> Pipeline::finish(std::span<const float> model_actions,
                                    std::span<const float> state) const {
  const auto width = static_cast<std::size_t>(checkpoint_.model.action_dim);
  const auto dims = static_cast<std::size_t>(checkpoint_.action_dims);
  const std::vector<float> origin = raw_ ? std::vector<float>() : adapted(state);
  std::vector<float> actions;
  for (std::size_t row = 0; row * width < model_actions.size(); ++row) {
    const std::span<const float> predicted = model_actions.subspan(row * width, dims);
    if (raw_) {
      actions.insert(actions.end(), predicted.begin(), predicted.end());
      continue;
    }
    std::vector<double> values = unnormalize(predicted, checkpoint_.action, checkpoint_.family);
    const std::vector<bool>& relative = checkpoint_.relative_actions;
    for (std::size_t i = 0; i < std::min({dims, relative.size(), origin.size()}); ++i) {
      if (relative[i]) values[i] += double{origin[i]};
    }
    if (checkpoint_.adapt_to_pi) aloha_actions_from_pi(values, checkpoint_.family);
    actions.insert(actions.end(), values.begin(), values.end());
  }
  return actions;
}

std::vector<float> Pipeline::unfinished(std::span<const float> actions,
                                        std::span<const float> state) const {
  const auto width = static_cast<std::size_t>(checkpoint_.model.action_dim);
  const auto dims = static_cast<std::size_t>(checkpoint_.action_dims);
  const std::vector<bool>& relative = checkpoint_.relative_actions;
  const std::vector<float> origin = raw_ ? std::vector<float>() : adapted(state);
  std::vector<float> model_actions(actions.size() / dims * width, 0.0f);
  for (std::size_t row = 0; row * dims < actions.size(); ++row) {
    const std::span<const float> given = actions.subspan(row * dims, dims);
    std::vector<double> values(given.begin(), given.end());
    if (!raw_ && checkpoint_.adapt_to_pi) aloha_actions_to_pi(values, checkpoint_.family);
    for (std::size_t i = 0; i < dims; ++i) {
      if (i < std::min(relative.size(), origin.size()) && relative[i]) values[i] -= origin[i];
      const auto value = static_cast<float>(values[i]);
      model_actions[row * width + i] =
          raw_ ? value
               : static_cast<float>(normalize(value, i, checkpoint_.action, checkpoint_.family));
    }
  }
  return model_actions;
}

std::vector<float> Pipeline::seen_from(std::span<const float> model_actions,
                                       std::span<const float> before,
                                       std::span<const float> now) const {
  const auto width = static_cast<std::size_t>(checkpoint_.model.action_dim);
  const auto dims = static_cast<std::size_t>(checkpoint_.action_dims);
  const std::vector<bool>& relative = checkpoint_.relative_actions;
  std::vector<float> from, to;
  if (!raw_) from = adapted(before), to = adapted(now);
  std::vector<float> actions;
  for (std::size_t row = 0; row * width < model_actions.size(); ++row) {
    const std::span<const float> predicted = model_actions.subspan(row * width, dims);
    const std::vector<double> values =
        unnormalize(predicted, checkpoint_.action, checkpoint_.family);
    for (std::size_t i = 0; i < dims; ++i) {
      const bool moved = i < std::min({relative.size(), from.size(), to.size()}) && relative[i];
      // What stays is not rounded by a way there and back.
      actions.push_back(moved ? static_cast<float>(normalize(
                                    static_cast<float>(values[i] + double{from[i]} - double{to[i]}),
                                    i, checkpoint_.action, checkpoint_.family))
                              : predicted[i]);
    }
  }
  return actions;
}

// What the network would have to say for either end, finished as its actions are.
std::vector<ActionRange> Pipeline::ranges(std::span<const float> state) const {
  const Normalization& statistics = checkpoint_.action;
  const bool deviations = statistics.mode == NormalizationMode::kMeanStd;
  if (raw_ || statistics.mode == NormalizationMode::kIdentity) return {};
  const auto width = static_cast<std::size_t>(checkpoint_.model.action_dim);
  const float end = deviations ? 2.0f : 1.0f;
  std::vector<float> ends(2 * width, -end);
  std::fill(ends.begin() + static_cast<std::ptrdiff_t>(width), ends.end(), end);
  const std::vector<float> finished = finish(ends, state);
  const auto dims = static_cast<std::size_t>(checkpoint_.action_dims);
  std::vector<ActionRange> ranges(dims);
  for (std::size_t i = 0; i < std::min(dims, statistics.first.size()); ++i) {
    const double least = deviations ? 0.0 : statistics.first[i];
    if (!(least < statistics.second[i])) continue;  // one value, widened by eps alone
    const auto [low, high] =
        std::minmax(finished[i], finished[dims + i]);  // some joints turn round
    if (std::isfinite(low) && std::isfinite(high)) ranges[i] = {low, high};
  }
  return ranges;
}

}  // namespace pi0
