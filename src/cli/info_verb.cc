// pi0 info: what a checkpoint is, and whether `pi0 run` would run it.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "base/text.h"
#include "base/unit_text.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/form/prompt_format.h"
#include "cli/policy_arguments.h"
#include "cli/verbs.h"
#include "device/registry/registry.h"
#include "policy/options.h"
#include "policy/readiness.h"
#include "runtime/device_request.h"
#include "runtime/devices.h"
#include "runtime/loaded_network.h"
#include "runtime/memory.h"

namespace pi0 {
namespace {

struct InfoArguments {
  std::filesystem::path checkpoint;
  PolicyArguments policy;
};

void print_line(const std::string& name, const std::string& value) {
  std::printf("%-12s %s\n", name.c_str(), printable(value).c_str());
}

std::string human_count(std::int64_t count) {
  const double value = static_cast<double>(count);
  if (value >= 1e9) return fixed_text(value / 1e9, 2) + " billion";
  if (value >= 1e6) return fixed_text(value / 1e6, 2) + " million";
  return std::to_string(count);
}

std::string gemma_text(const GemmaConfig& gemma) {
  return fmt::format("width {}, depth {}, MLP {}, {} heads ({} kv) of {}", gemma.width, gemma.depth,
                     gemma.mlp_dim, gemma.num_heads, gemma.num_kv_heads, gemma.head_dim);
}

const char* mode_name(NormalizationMode mode) {
  switch (mode) {
    case NormalizationMode::kMeanStd:
      return "mean/std";
    case NormalizationMode::kMinMax:
      return "min/max";
    case NormalizationMode::kQuantiles:
      return "quantiles 1 % to 99 %";
    case NormalizationMode::kQuantile10:
      return "quantiles 10 % to 90 %";
    case NormalizationMode::kIdentity:
      break;
  }
  return "as it is";
}

std::string statistics_text(const Normalization& normalization) {
  const char* const mode = mode_name(normalization.mode);
  if (normalization.mode == NormalizationMode::kIdentity) return mode;
  return fmt::format("{}, {} dimensions, eps {:g}", mode, normalization.first.size(),
                     normalization.eps);
}

std::string relative_text(const CheckpointData& checkpoint) {
  std::string text;
  for (int i = 0; i < checkpoint.action_dims; ++i) {
    const auto index = static_cast<std::size_t>(i);
    if (index >= checkpoint.relative_actions.size() || !checkpoint.relative_actions[index])
      continue;
    text += fmt::format("{}{}", text.empty() ? "" : ", ", i);
    if (index < checkpoint.action_names.size()) text += " " + checkpoint.action_names[index];
  }
  return text.empty() ? "none" : text;
}

void print_list(const std::string& name, const std::vector<std::string>& values) {
  print_line(name, std::to_string(values.size()));
  for (const std::string& value : values) print_line("", value);
}

void print_network(const CheckpointData& checkpoint) {
  const ModelConfig& model = checkpoint.model;
  const VisionConfig& vision = model.vision;
  print_line("images", fmt::format("{0} x {0}, patches of {1}, {2} tokens a camera",
                                   model.image_size, vision.patch_size, model.patches()));
  print_line("SigLIP",
             fmt::format("width {}, depth {}, MLP {}, {} heads of {}", vision.width, vision.depth,
                         vision.mlp_dim, vision.num_heads, vision.head_dim()));
  print_line("Gemma",
             fmt::format("{}, vocabulary {}", gemma_text(model.language), model.vocab_size));
  print_line("expert", gemma_text(model.expert));
  print_line("prompt", fmt::format("at most {} tokens, format {}", model.max_tokens,
                                   name_of(checkpoint.prompt_format)));
  const std::string values = checkpoint.state_dims == 0
                                 ? "not said how many values"
                                 : fmt::format("{} values", checkpoint.state_dims);
  print_line("state", fmt::format("{} (padded to {})", values, model.state_dim));
  print_line("actions",
             fmt::format("{} steps of {} (padded to {}), {} executed, {} denoising steps",
                         model.action_horizon, checkpoint.action_dims, model.action_dim,
                         checkpoint.n_action_steps, model.num_steps));
  if (model.rtc_training_max_delay > 0) {
    print_line("trained RTC", fmt::format("for an inference_delay of up to {} steps",
                                          model.rtc_training_max_delay));
  }
}

void print_surroundings(const Inspection& inspection) {
  const CheckpointData& checkpoint = inspection.checkpoint;
  for (std::size_t i = 0; i < checkpoint.cameras.size(); ++i) {
    const Camera& camera = checkpoint.cameras[i];
    std::string text = camera.name;
    if (camera.empty) text += " (empty)";
    if (camera.normalization.mode != NormalizationMode::kIdentity) {
      text += ", normalised by " + std::string(mode_name(camera.normalization.mode));
    }
    print_line(i == 0 ? "cameras" : "", text);
  }
  for (const auto& [from, to] : checkpoint.rename_map) print_line("renamed", from + " -> " + to);
  if (!checkpoint.asset.empty()) print_line("asset", checkpoint.asset);
  if (inspection.network_alone) {
    print_line("statistics", "not read, nor what else surrounds the network: see the end");
    return;
  }
  if (checkpoint.has_statistics) {
    print_line("statistics", "state: " + statistics_text(checkpoint.state));
    print_line("", "actions: " + statistics_text(checkpoint.action));
  } else {
    print_line("statistics", "NONE: usable only with --raw");
  }
  print_line("relative", relative_text(checkpoint));
  if (checkpoint.adapt_to_pi) print_line("adapted", "from ALOHA's joints and grippers, and back");
}

// On each device; on the one that would run it, where there is one, with the options given.
void print_memory(const CheckpointData& checkpoint, const std::optional<DeviceRequest>& asked) {
  std::optional<Choice> choice;
  if (asked) choice = choose_backend(*asked);
  const char* heading = "memory";
  for (const std::shared_ptr<const Backend>& backend : all_backends()) {
    const std::string name = backend->info().name;
    const Holding holding = choice && choice->backend == backend
                                ? backend->holding(*asked, choice->name)
                                : backend->holding({.name = name}, DeviceName(name));
    const MemoryNeed need = memory_need(checkpoint, holding);
    print_line(std::exchange(heading, ""),
               fmt::format("{}, {}: {} (weights {}, activations {})", name, need.dtype,
                           bytes_text(need.total()), bytes_text(need.weight_bytes),
                           bytes_text(need.activation_bytes)));
  }
}

// What keeps `pi0 run` from it, a line each, or that nothing does.
int print_verdict(const std::vector<std::string>& refused) {
  for (const std::string& reason : refused) {
    std::printf("pi0 run: would refuse: %s\n", printable(reason).c_str());
  }
  if (!refused.empty()) return kExitVerdict;
  std::printf("pi0 run: ready\n");
  return kExitOk;
}

int run_info(const InfoArguments& arguments) {
  const Inspection inspection =
      inspect_checkpoint(arguments.checkpoint, overrides_of(arguments.policy.checkpoint));
  const CheckpointData& checkpoint = inspection.checkpoint;
  const TensorReport& tensors = inspection.tensors;
  print_line("checkpoint", checkpoint.directory.string());
  if (!checkpoint.base.empty()) {
    print_line("base", checkpoint.base.string());
    print_line("adapters", checkpoint.adapters.empty() ? "unusable" : checkpoint.adapters);
  }
  print_line("kind",
             fmt::format("{}, {}", checkpoint.model.kind == ModelKind::kPi0 ? "pi0" : "pi05",
                         checkpoint.family == Family::kLerobot ? "lerobot" : "openpi"));
  print_line("parameters", human_count(tensors.parameters));
  std::string types;
  for (const auto& [type, count] : tensors.types) {
    types += fmt::format("{}{} {}", types.empty() ? "" : ", ", count, type);
  }
  print_line("tensors", fmt::format("{}, {} in {} file{}", types, bytes_text(tensors.bytes),
                                    tensors.files.size(), tensors.files.size() == 1 ? "" : "s"));
  print_network(checkpoint);
  print_surroundings(inspection);
  const Readiness readiness =
      readiness_of(inspection, arguments.policy.checkpoint, arguments.policy.device);
  print_line("tokenizer", readiness.tokenizer.empty() ? "NONE" : readiness.tokenizer.string());
  print_line("device", readiness.device.empty() ? "NONE" : readiness.device);
  if (checkpoint.weights != nullptr) {
    print_memory(checkpoint,
                 readiness.device.empty()
                     ? std::nullopt
                     : std::optional(device_request(each_device(arguments.policy.device).front())));
  }
  print_list("unused", tensors.unused);
  print_list("missing", tensors.missing);
  print_list("wrong", tensors.wrong);
  std::fflush(stdout);
  print_warnings(checkpoint.warnings);
  return print_verdict(readiness.refused);
}

}  // namespace

void add_info(CLI::App& command, Run& run) {
  auto arguments = std::make_shared<InfoArguments>();
  CLI::App& verb = *command.add_subcommand(
      "info",
      "What a checkpoint is: kind, sizes, cameras, statistics, memory, what is wrong with it; and "
      "whether `pi0 run` would run it with these options (exit status 0) or why not (1), as far as "
      "can be said without reading the weights (`pi0 doctor` does)");
  add_checkpoint_argument(verb, arguments->checkpoint);
  add_policy_options(verb, arguments->policy);
  add_checkpoint_options(verb, arguments->policy.checkpoint);
  verb.callback([&run, arguments] { run = [arguments] { return run_info(*arguments); }; });
}

}  // namespace pi0
