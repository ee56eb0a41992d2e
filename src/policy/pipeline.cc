#include "policy/pipeline.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "pi0/error.h"
#include "policy/aloha.h"
#include "policy/normalize.h"
#include "prompt/find_tokenizer.h"

namespace pi0 {
namespace {

[[noreturn]] void refuse(const std::string& sentence) {
  throw Error(ErrorCode::kInvalidInput, sentence);
}

ResizeMethod resize_method(const std::string& name, Family family) {
  if (name.empty()) {
    return family == Family::kOpenpi ? ResizeMethod::kOpenpi : ResizeMethod::kLerobot;
  }
  if (name == "openpi") return ResizeMethod::kOpenpi;
  if (name == "lerobot") return ResizeMethod::kLerobot;
  refuse("resize is " + name + ", expected openpi or lerobot");
}

PromptStyle prompt_style(const Checkpoint& checkpoint) {
  if (checkpoint.prompt_format == PromptFormat::kPi05) return PromptStyle::kPi05;
  return checkpoint.family == Family::kOpenpi ? PromptStyle::kOpenpiPi0 : PromptStyle::kLerobotPi0;
}

std::string names_of(const std::vector<Camera>& cameras) {
  std::string names;
  for (const Camera& camera : cameras) names += (names.empty() ? "" : ", ") + camera.name;
  return names;
}

// What a caller calls a camera, as a feature name that rename_map may hold.
std::string renamed(const std::string& given, const Checkpoint& checkpoint) {
  for (const std::string& name : {given, "observation.images." + given}) {
    const auto found = checkpoint.rename_map.find(name);
    if (found != checkpoint.rename_map.end()) return found->second;
  }
  return given;
}

// What each value of a channel is before images are resized: lerobot can normalise pixels too.
PixelTable pixel_table(const Camera& camera, Family family) {
  PixelTable table = unit_pixels();
  if (camera.normalization.mode == NormalizationMode::kIdentity) return table;
  for (std::size_t value = 0; value < 256; ++value) {
    const std::array<float, 3> pixel{table[0][value], table[1][value], table[2][value]};
    const std::vector<double> normalised = normalize(pixel, camera.normalization, family);
    for (std::size_t channel = 0; channel < 3; ++channel) {
      table[channel][value] = static_cast<float>(normalised[channel]);
    }
  }
  return table;
}

}  // namespace

Pipeline::Pipeline(Checkpoint checkpoint, const PolicyOptions& options)
    : checkpoint_(std::move(checkpoint)),
      tokenizer_(Tokenizer::load(find_tokenizer(checkpoint_.directory, options.tokenizer))),
      resize_(resize_method(options.resize, checkpoint_.family)),
      raw_(options.raw) {
  if (!checkpoint_.has_statistics && !raw_) {
    throw Error(ErrorCode::kInvalidCheckpoint,
                checkpoint_.directory.string() +
                    ": no normalisation statistics, without which states and actions have no "
                    "units; ask for raw values (--raw) to run it all the same");
  }
}

std::vector<const Image*> Pipeline::match_cameras(const Observation& observation,
                                                  std::vector<std::string>& warnings) const {
  const std::vector<Camera>& cameras = checkpoint_.cameras;
  std::vector<const Image*> matched(cameras.size(), nullptr);
  for (const auto& [given, image] : observation.images) {
    const std::string name = renamed(given, checkpoint_);
    const auto found = std::find_if(cameras.begin(), cameras.end(), [&](const Camera& camera) {
      return camera.feature == name || camera.name == name;
    });
    if (found == cameras.end()) {
      refuse("image for camera " + given + ": the checkpoint has no such camera, but " +
             names_of(cameras));
    }
    const Image*& slot = matched[static_cast<std::size_t>(found - cameras.begin())];
    if (slot != nullptr) refuse("image for camera " + given + ": a second one for " + found->name);
    const auto expected = static_cast<std::size_t>(std::max(image.height, 0)) *
                          static_cast<std::size_t>(std::max(image.width, 0)) * 3;
    if (expected == 0 || image.rgb.size() != expected) {
      refuse("image for camera " + given + ": " + std::to_string(image.rgb.size()) + " bytes for " +
             std::to_string(image.height) + " x " + std::to_string(image.width) +
             " pixels, expected height x width x 3, not zero");
    }
    slot = &image;
  }
  if (std::all_of(matched.begin(), matched.end(), [](const Image* image) { return !image; })) {
    refuse("no image, expected at least one of the checkpoint's cameras: " + names_of(cameras));
  }
  for (std::size_t i = 0; i < cameras.size(); ++i) {
    if (matched[i] == nullptr && !cameras[i].empty) {
      warnings.push_back("no image for camera " + cameras[i].name + ": it is masked");
    }
  }
  return matched;
}

std::vector<double> Pipeline::normalise_state(const std::vector<float>& state,
                                              std::vector<std::string>& warnings) const {
  const bool needed =
      checkpoint_.model.kind == ModelKind::kPi0 || checkpoint_.prompt_format == PromptFormat::kPi05;
  if (state.empty() && !needed) return {};
  const auto size = static_cast<int>(state.size());
  // openpi's statistics may be padded, so that there the robot's state can be shorter.
  const bool exact = checkpoint_.family == Family::kLerobot;
  const int dims = checkpoint_.state_dims;
  if (exact && dims != 0 && size != dims) {
    refuse("state: " + std::to_string(size) + " values, expected " + std::to_string(dims));
  }
  // lerobot's pi05 writes the state into the prompt as long as it is; all others pad it.
  const bool padded = !exact || checkpoint_.model.kind == ModelKind::kPi0;
  if (size == 0 || (padded && size > checkpoint_.model.state_dim)) {
    refuse("state: " + std::to_string(size) + " values, expected 1 to " +
           std::to_string(checkpoint_.model.state_dim));
  }
  for (int i = 0; i < size; ++i) {
    if (!std::isfinite(state[i])) {
      refuse("state: value " + std::to_string(i) + " is " + std::to_string(state[i]) +
             ", expected a finite number");
    }
  }
  if (raw_) return {state.begin(), state.end()};
  if (checkpoint_.adapt_to_pi && size != kAlohaDims) {
    refuse("state: " + std::to_string(size) + " values, expected " + std::to_string(kAlohaDims) +
           ", ALOHA's (adapt_to_pi)");
  }
  if (dims != 0 && size > dims) {
    warnings.push_back("state: " + std::to_string(size) + " values, but statistics for " +
                       std::to_string(dims) + ": the others are not normalised");
  }
  return normalize(adapted(state), checkpoint_.state, checkpoint_.family);
}

std::vector<float> Pipeline::adapted(std::span<const float> state) const {
  if (checkpoint_.adapt_to_pi && !state.empty()) return aloha_state_to_pi(state);
  return {state.begin(), state.end()};
}

PreparedObservation Pipeline::prepare(const Observation& observation) const {
  PreparedObservation prepared;
  const ModelConfig& model = checkpoint_.model;
  const std::vector<const Image*> images = match_cameras(observation, prepared.warnings);
  const std::vector<double> state = normalise_state(observation.state, prepared.warnings);
  prepared.normalised_state.assign(state.begin(), state.end());

  for (std::size_t i = 0; i < images.size(); ++i) {
    if (images[i] == nullptr) continue;
    const Camera& camera = checkpoint_.cameras[i];
    const std::vector<float> pixels =
        to_network_input(*images[i], "image for camera " + camera.name, model.image_size, resize_,
                         raw_ ? unit_pixels() : pixel_table(camera, checkpoint_.family));
    prepared.input.images.insert(prepared.input.images.end(), pixels.begin(), pixels.end());
  }

  Prompt prompt = make_prompt(tokenizer_, prompt_style(checkpoint_), observation.prompt, state,
                              model.max_tokens);
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
    if (checkpoint_.adapt_to_pi) aloha_actions_from_pi(values);
    actions.insert(actions.end(), values.begin(), values.end());
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
