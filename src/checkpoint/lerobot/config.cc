#include "checkpoint/lerobot/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "checkpoint/form/normalization.h"
#include "checkpoint/form/sentence.h"
#include "checkpoint/form/sizes.h"

namespace pi0 {
namespace {

constexpr std::string_view kImages = "observation.images.";
constexpr int kMaxCameras = 64;
// 0.3's alone: it writes this one and no "image_resolution".
constexpr const char* kResize = "resize_imgs_with_padding";
constexpr int kMaxImageSize = 1 << 14;  // its square, the number of patches at most, is an int

ModelKind read_kind(const Json& config, const std::string& where) {
  const std::string type = get_string(config, "type", where, std::nullopt);
  if (type == "pi0") return ModelKind::kPi0;
  if (type == "pi05") return ModelKind::kPi05;
  fail(where, "\"type\" is " + describe(type) + ", which is not supported; pi0 and pi05 are",
       ErrorCode::kUnsupported);
}

void refuse_unsupported(const Json& config, const std::string& where) {
  const std::pair<const char*, const char*> refused[] = {
      {"use_visual_memory", "a network with memory is not supported"},
      {"use_proprioceptive_memory", "a network with memory is not supported"},
      {"use_delta_joint_actions_aloha", "lerobot 0.3 itself does not support it"},
  };
  get_bool(config, "use_peft", where, false);  // lerobot.cc looks for the adapters themselves
  for (const auto& [key, reason] : refused) {
    if (get_bool(config, key, where, false)) {
      fail(where, fmt::format("\"{}\" is true; {}", key, reason), ErrorCode::kUnsupported);
    }
  }
}

// What neither a release from 0.3.3 to 0.6.1 nor lerobot's main of August 2026 writes for pi0 or
// pi05, but for the sizes of a reduced network.
void warn_of_unknown_keys(const Json& config, const std::string& where,
                          std::vector<std::string>& warnings) {
  static const std::set<std::string> known = {"action_expert_variant",
                                              "action_feature_names",
                                              "adapt_to_pi_aloha",
                                              "attention_implementation",
                                              "chunk_size",
                                              "compile_mode",
                                              "compile_model",
                                              "device",
                                              "dtype",
                                              "empty_cameras",
                                              "freeze_vision_encoder",
                                              "gradient_checkpointing",
                                              "image_resolution",
                                              "input_features",
                                              "license",
                                              "max_action_dim",
                                              "max_period",
                                              "max_state_dim",
                                              "memory_frames",
                                              "memory_stride",
                                              "memory_temporal_attention_every",
                                              "min_period",
                                              "n_action_steps",
                                              "n_obs_steps",
                                              "normalization_mapping",
                                              "num_inference_steps",
                                              "num_steps",
                                              "optimizer_betas",
                                              "optimizer_eps",
                                              "optimizer_grad_clip_norm",
                                              "optimizer_lr",
                                              "optimizer_weight_decay",
                                              "output_features",
                                              "paligemma_variant",
                                              "pretrained_path",
                                              "pretrained_revision",
                                              "private",
                                              "proj_width",
                                              "push_to_hub",
                                              "relative_exclude_joints",
                                              "repo_id",
                                              "resize_imgs_with_padding",
                                              "rtc_config",
                                              "rtc_training_max_delay",
                                              "scheduler_decay_lr",
                                              "scheduler_decay_steps",
                                              "scheduler_warmup_steps",
                                              "tags",
                                              "time_sampling_beta_alpha",
                                              "time_sampling_beta_beta",
                                              "time_sampling_offset",
                                              "time_sampling_scale",
                                              "tokenizer_max_length",
                                              "train_expert_only",
                                              "train_state_proj",
                                              "type",
                                              "use_amp",
                                              "use_cache",
                                              "use_delta_joint_actions_aloha",
                                              "use_peft",
                                              "use_proprioceptive_memory",
                                              "use_relative_actions",
                                              "use_visual_memory",
                                              "architecture"};
  std::vector<std::string> unknown;
  for (const auto& [key, value] : config.items()) {
    if (!known.contains(key)) unknown.push_back(key);
  }
  if (unknown.empty()) return;
  warnings.push_back(
      fmt::format("{}: {} {} not known to lerobot 0.6.1 and not read here: does the "
                  "policy depend on {}?",
                  where, list_of(unknown), unknown.size() == 1 ? "is" : "are",
                  unknown.size() == 1 ? "it" : "them"));
}

int read_image_size(const Json& config, const std::string& where) {
  const bool of_0_3 = config.contains(kResize);
  const char* const key = of_0_3 ? kResize : "image_resolution";
  const auto resolution = find_ints(config, key, where, 1, kMaxImageSize);
  if (!resolution && !of_0_3) return ModelConfig().image_size;
  if (!resolution || resolution->size() != 2 || (*resolution)[0] != (*resolution)[1]) {
    fail(where,
         fmt::format("\"{}\" is {}, expected two equal numbers", key, config.at(key).dump()));
  }
  return resolution->front();
}

// The length of a feature that must be a vector; `fallback` where the feature is absent.
int read_dims(const Json* features, const char* name, const char* type, const std::string& where,
              int fallback) {
  const Json* feature = features ? find_object(*features, name, where) : nullptr;
  if (!feature) return fallback;
  const std::string at = where + "." + name;
  require_known(*feature, {"type", "shape"}, at);
  const std::string found = get_string(*feature, "type", at, std::nullopt);
  if (found != type) fail(at, "\"type\" is " + describe(found) + ", expected \"" + type + "\"");
  const auto shape = find_ints(*feature, "shape", at, 1, kMaxSize);
  if (!shape || shape->size() != 1) fail(at, "expected a \"shape\" of one number");
  return shape->front();
}

Camera make_camera(const std::string& feature) {
  Camera camera;
  camera.feature = feature;
  camera.name = feature.starts_with(kImages) ? feature.substr(kImages.size()) : feature;
  return camera;
}

// The VISUAL features in the file's order, then those empty cameras that are not among them (as
// validate_features of lerobot's configuration adds them).
std::vector<Camera> read_cameras(const Json& config, const Json* inputs, const std::string& where,
                                 bool& not_square) {
  std::vector<Camera> cameras;
  if (inputs) {
    for (const auto& [name, feature] : inputs->items()) {
      const std::string at = where + ": input_features." + name;
      require_object(feature, at);
      require_known(feature, {"type", "shape"}, at);
      if (get_string(feature, "type", at, std::nullopt) == "VISUAL") {
        cameras.push_back(make_camera(name));
        const auto shape = find_ints(feature, "shape", at, 1, kMaxImageSize);
        not_square |= !shape || shape->size() != 3 || (*shape)[1] != (*shape)[2];
      }
    }
  }
  const int empty = get_int(config, "empty_cameras", where, 0, 0, kMaxCameras);
  for (int i = 0; i < empty; ++i) {
    const std::string feature = fmt::format("{}empty_camera_{}", kImages, i);
    auto slot = std::find_if(cameras.begin(), cameras.end(),
                             [&](const Camera& camera) { return camera.feature == feature; });
    if (slot == cameras.end()) slot = cameras.insert(slot, make_camera(feature));
    slot->empty = true;
  }
  if (cameras.empty()) fail(where, "\"input_features\" has no camera (a feature of type VISUAL)");
  if (cameras.size() > kMaxCameras) {
    fail(where,
         fmt::format("there are {} cameras, expected at most {}", cameras.size(), kMaxCameras));
  }
  return cameras;
}

void require_at_most(int dims, const std::string& feature, int padded, const char* key,
                     const std::string& where) {
  if (dims > padded) {
    fail(where, fmt::format("{} has {} dimensions, but \"{}\" is {}", feature, dims, key, padded));
  }
}

}  // namespace

void require_known(const Json& object, const std::set<std::string>& known,
                   const std::string& where) {
  for (const auto& [key, value] : object.items()) {
    if (!known.contains(key)) {
      fail(where,
           fmt::format("the setting \"{}\" ({}) is not supported{}", key, describe(value),
                       known.empty() ? "" : ", only " + list_of({known.begin(), known.end()})),
           ErrorCode::kUnsupported);
    }
  }
}

std::vector<bool> relative_mask(const RelativeActions& relative, int dims) {
  std::vector<bool> mask(static_cast<std::size_t>(dims), true);
  if (!relative.action_names) return mask;
  for (std::size_t i = 0; i < mask.size() && i < relative.action_names->size(); ++i) {
    const std::string name = lower((*relative.action_names)[i]);
    for (const std::string& word : relative.exclude_joints) {
      if (!word.empty() && name.find(lower(word)) != std::string::npos) mask[i] = false;
    }
  }
  return mask;
}

LerobotConfig parse_lerobot_config(const Json& config, const std::string& where) {
  require_object(config, where);
  LerobotConfig result;
  ModelConfig& model = result.model;
  model.kind = read_kind(config, where);
  refuse_unsupported(config, where);
  warn_of_unknown_keys(config, where, result.warnings);
  if (get_int(config, "n_obs_steps", where, 1, 1, kMaxSize) != 1) {
    fail(where, "\"n_obs_steps\" is more than 1; a history of observations is not supported",
         ErrorCode::kUnsupported);
  }
  if (const auto adapted = lora_variants(config, where); !adapted.empty()) {
    fail(where, list_of(adapted) + " is a variant of openpi's alone, not of lerobot's",
         ErrorCode::kUnsupported);
  }
  result.adapt_to_pi = get_bool(config, "adapt_to_pi_aloha", where, false);
  const bool pi05 = model.kind == ModelKind::kPi05;
  read_sizes(config, where, model);

  model.image_size = read_image_size(config, where);
  model.max_tokens = get_int(config, "tokenizer_max_length", where, pi05 ? 200 : 48, 1, kMaxSize);
  model.state_dim = get_int(config, "max_state_dim", where, 32, 1, kMaxSize);
  model.action_dim = get_int(config, "max_action_dim", where, 32, 1, kMaxSize);
  // 0.3's network predicts no more than is executed.
  result.of_0_3 = config.contains(kResize);
  model.action_horizon =
      get_int(config, result.of_0_3 ? "n_action_steps" : "chunk_size", where, 50, 1, kMaxSize);
  constexpr const char* kMaxDelay = "rtc_training_max_delay";
  model.rtc_training_max_delay = get_int(config, kMaxDelay, where, 0, 0, model.action_horizon - 1);
  if (model.rtc_training_max_delay != 0 && !pi05) {
    fail(where,
         fmt::format("\"{}\" is {}, which only a pi05 can be trained for", kMaxDelay,
                     model.rtc_training_max_delay),
         ErrorCode::kUnsupported);
  }
  model.num_steps =
      get_int(config, result.of_0_3 ? "num_steps" : "num_inference_steps", where, 10, 1, kMaxSize);
  model.min_period = get_number(config, "min_period", where, model.min_period);
  model.max_period = get_number(config, "max_period", where, model.max_period);
  result.n_action_steps =
      get_int(config, "n_action_steps", where, std::min(50, model.action_horizon), 1, kMaxSize);
  if (result.n_action_steps > model.action_horizon) {
    fail(where, fmt::format("\"n_action_steps\" is {}, more than the \"chunk_size\" of {}",
                            result.n_action_steps, model.action_horizon));
  }

  const Json* inputs = find_object(config, "input_features", where);
  const Json* outputs = find_object(config, "output_features", where);
  result.cameras = read_cameras(config, inputs, where, result.not_square);
  model.num_cameras = static_cast<int>(result.cameras.size());
  result.state_dims =
      read_dims(inputs, kStateFeature, "STATE", where + ": input_features", model.state_dim);
  result.action_dims =
      read_dims(outputs, kActionFeature, "ACTION", where + ": output_features", model.action_dim);
  // pi05 has the state in its prompt, unpadded: there it may be longer.
  if (!pi05)
    require_at_most(result.state_dims, kStateFeature, model.state_dim, "max_state_dim", where);
  require_at_most(result.action_dims, kActionFeature, model.action_dim, "max_action_dim", where);

  if (result.adapt_to_pi && (result.state_dims != kAlohaDims || result.action_dims != kAlohaDims)) {
    fail(where,
         fmt::format("\"adapt_to_pi_aloha\" is true, but the state has {} dimensions and the "
                     "actions {}, expected ALOHA's {}",
                     result.state_dims, result.action_dims, kAlohaDims));
  }

  const auto mode = pi05 ? NormalizationMode::kQuantiles : NormalizationMode::kMeanStd;
  result.norm_map = {{"STATE", mode}, {"ACTION", mode}};
  if (const Json* mapping = find_object(config, "normalization_mapping", where)) {
    for (const auto& [type, name] : mapping->items()) {
      const std::string text =
          get_string(*mapping, type, where + ": normalization_mapping", std::nullopt);
      result.norm_map[type] = parse_normalization_mode(text, type, where);
    }
  }
  result.says_relative = config.contains("use_relative_actions");
  result.relative.enabled = get_bool(config, "use_relative_actions", where, false);
  result.relative.exclude_joints = find_strings(config, "relative_exclude_joints", where)
                                       .value_or(std::vector<std::string>{"gripper"});
  result.relative.action_names = find_strings(config, "action_feature_names", where);
  return result;
}

}  // namespace pi0
