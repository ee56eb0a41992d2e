// Checks of what surrounds the network: what info concludes, tensors' names, tokenizer, cameras,
// chunk.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "checkpoint/form/sentence.h"
#include "doctor/checks.h"
#include "doctor/taken_over.h"
#include "doctor/ways_out.h"
#include "files/json.h"
#include "prompt/tokenizer.h"

namespace pi0 {
namespace {

constexpr const char* kImage = "observation.image";  // how lerobot's features of cameras begin

bool is_adapter(const std::string& name) {
  const std::string text = lower(name);
  return text.find("lora") != std::string::npos || text.find("adapter") != std::string::npos;
}

}  // namespace

Findings readiness_findings(const Inspection& inspection, const Readiness& readiness) {
  const CheckpointData& checkpoint = inspection.checkpoint;
  Findings findings;
  for (const std::string& sentence : readiness.refused) {
    findings.push_back(taken_over(Severity::kRefuse, sentence, checkpoint.directory));
  }
  for (const std::string& sentence : checkpoint.warnings) {
    findings.push_back(taken_over(Severity::kWarning, sentence, checkpoint.directory));
  }
  // Shapes in the configuration may be another policy's, from which this one began: whether images
  // are padded, the robot's own show.
  const bool said = std::any_of(checkpoint.warnings.begin(), checkpoint.warnings.end(),
                                [](const std::string& sentence) {
                                  return sentence.find("--lerobot-version") != std::string::npos;
                                });
  if (checkpoint.release_uncertain && !said) {
    findings.push_back({Severity::kWarning, "version",
                        "saved by lerobot 0.4 or by 0.5.0, whose files are alike",
                        "0.4 padded images that are not square with -3, 0.5.0 with black",
                        "where a camera's are not square, say which trained it: --lerobot-version "
                        "0.4, or 0.5"});
  }
  if (readiness.refused.empty()) {
    findings.push_back({Severity::kOk, "pi0 run", "ready, on " + readiness.device});
  }
  return findings;
}

Findings tensor_findings(const TensorReport& tensors) {
  Findings findings;
  std::vector<std::string> adapters, others;
  bool refused = false;
  for (const std::string& name : tensors.unknown) {
    if (is_lora(name)) {
      refused = true;  // by require_complete, whose sentence stands among readiness_findings
    } else if (is_adapter(name)) {
      adapters.push_back(name);
    } else {
      others.push_back(name);
    }
  }
  if (!adapters.empty()) {
    findings.push_back({Severity::kRefuse, "adapters",
                        fmt::format("{} of adapters are among the weights: {}", adapters.size(),
                                    list_of(adapters, ", ", 3)),
                        "they are not applied: the policy acts as if it had never been fine-tuned",
                        "merge them into the weights (PEFT's merge_and_unload) and save again"});
  }
  if (!others.empty()) {
    findings.push_back({Severity::kWarning, "tensors",
                        fmt::format("{} in the files are no part of the network that the "
                                    "configuration describes: {}",
                                    others.size(), list_of(others, ", ", 3)),
                        "what they hold of the training is left out: more layers than the "
                        "configuration has, or another network's",
                        "compare the configuration with the one that it was trained with"});
  }
  if (findings.empty() && !refused) {
    findings.push_back({Severity::kOk, "tensors",
                        fmt::format("no adapter and no tensor is left over in {} file{}",
                                    tensors.files.size(), tensors.files.size() == 1 ? "" : "s")});
  }
  return findings;
}

Findings tokenizer_findings(const ModelConfig& model, const std::filesystem::path& path) {
  // PaliGemma's embedding, the smallest size of its kin (Gemma's), and two ids that all of them
  // have.
  constexpr int kGemmaRows = 256000;
  constexpr std::int32_t kBos = 2, kNewLine = 108, kThe = 573;
  // Hugging Face's file has <image> after the last row, which is no word of a prompt.
  constexpr std::int32_t kNotInPrompts = 1;
  const Tokenizer tokenizer = Tokenizer::load(path);
  const std::int32_t pieces = tokenizer.vocab_size();
  Findings findings;
  const auto add = [&](Severity severity, std::string found, std::string why) {
    findings.push_back(
        {severity, "tokenizer", std::move(found), std::move(why), kPaligemmasTokenizer});
  };
  if (tokenizer.bos_id() != kBos) {
    add(Severity::kRefuse,
        fmt::format("{}: a text begins with the token {}, PaliGemma's with {}", path.string(),
                    tokenizer.bos_id(), kBos),
        "every prompt begins with a token that the network has never seen there");
  }
  if (pieces > model.vocab_size + kNotInPrompts) {
    add(Severity::kRefuse,
        fmt::format("{}: {} pieces, but the embedding has {} rows", path.string(), pieces,
                    model.vocab_size),
        "it is another vocabulary: words get the rows of other words, or none at all");
  } else if (2 * static_cast<std::int64_t>(pieces) < model.vocab_size) {
    add(Severity::kRefuse,
        fmt::format("{}: {} pieces, where the embedding has {} rows", path.string(), pieces,
                    model.vocab_size),
        "it is another vocabulary: words get the rows of other words");
  } else if (model.vocab_size >= kGemmaRows &&
             (tokenizer.encode("\n") != std::vector<std::int32_t>{kNewLine} ||
              tokenizer.encode(" the") != std::vector<std::int32_t>{kThe})) {
    add(Severity::kRefuse,
        fmt::format("{}: of PaliGemma's size, but not its vocabulary: a new line is not token {}, "
                    "or \" the\" not {}",
                    path.string(), kNewLine, kThe),
        "words get the rows of other words");
  }
  if (findings.empty()) {
    findings.push_back({Severity::kOk, "tokenizer",
                        fmt::format("{} pieces for {} rows of the embedding, a text begins with "
                                    "token {}",
                                    pieces, model.vocab_size, kBos)});
  }
  return findings;
}

Findings camera_findings(const CheckpointData& checkpoint) {
  constexpr std::array<std::string_view, 3> kBase = {"base_0_rgb", "left_wrist_0_rgb",
                                                     "right_wrist_0_rgb"};
  std::set<std::string> features, renamed_to;
  std::vector<std::string> names;
  for (const Camera& camera : checkpoint.cameras) {
    features.insert(camera.feature);
    if (!camera.empty) names.push_back(camera.name);
  }
  Findings findings;
  for (const auto& [from, to] : checkpoint.rename_map) {
    renamed_to.insert(to);
    if (!to.starts_with(kImage) || features.contains(to)) continue;
    findings.push_back({Severity::kWarning, "cameras",
                        fmt::format("{} is renamed to {}, which is none of the network's cameras: "
                                    "{}",
                                    from, to, list_of(names)),
                        "an image of that name is refused, and the camera that it was meant for "
                        "stays masked",
                        "correct rename_map in policy_preprocessor.json"});
  }
  const bool renames = std::any_of(features.begin(), features.end(), [&](const auto& feature) {
    return renamed_to.contains(feature);
  });
  for (const Camera& camera : checkpoint.cameras) {
    if (camera.empty || renamed_to.contains(camera.feature)) continue;
    const auto away = checkpoint.rename_map.find(camera.feature);
    const bool gone = away != checkpoint.rename_map.end() && away->second != camera.feature;
    const bool of_base = std::find(kBase.begin(), kBase.end(), camera.name) != kBase.end();
    if (!gone && !(renames && of_base)) continue;
    findings.push_back(
        {Severity::kWarning, "cameras",
         gone ? fmt::format("{} is renamed to {}, and nothing is renamed to it", camera.name,
                            away->second)
              : fmt::format("no rename leads to {}, where others of the base model's cameras are "
                            "renamed to",
                            camera.name),
         gone ? "no image reaches it: the network always sees it masked"
              : "the network sees it masked, unless an image is given under that very name",
         "where the robot has such a camera, add it to rename_map; where it has none, list it "
         "among the empty cameras"});
  }
  if (names.empty()) {
    findings.push_back({Severity::kRefuse, "cameras", "all of them are slots that stay empty",
                        "the network never sees anything",
                        "correct input_features and empty_cameras in config.json"});
  }
  if (findings.empty()) findings.push_back({Severity::kOk, "cameras", list_of(names)});
  return findings;
}

Findings chunk_findings(const CheckpointData& checkpoint) {
  const int horizon = checkpoint.model.action_horizon;
  Findings findings;
  const std::filesystem::path file = checkpoint.directory / "train_config.json";
  std::error_code ignored;
  if (checkpoint.family == Family::kLerobot && std::filesystem::exists(file, ignored)) {
    const Json training = read_json(file);
    require_object(training, file.string());
    const Json* policy = find_object(training, "policy", file.string());
    const int trained =
        policy == nullptr
            ? horizon
            : get_int(*policy, "chunk_size", file.string() + ": policy", horizon, 1, 1 << 24);
    if (trained != horizon) {
      findings.push_back(
          {checkpoint.n_action_steps > trained ? Severity::kRefuse : Severity::kWarning, "chunk",
           fmt::format("{} steps in config.json, of which {} are executed, but trained with {} "
                       "(train_config.json)",
                       horizon, checkpoint.n_action_steps, trained),
           "steps that were never trained are noise, and each attends to the others",
           fmt::format("set chunk_size to {}, and n_action_steps to no more", trained)});
    }
  }
  if (findings.empty()) {
    findings.push_back(
        {Severity::kOk, "chunk",
         fmt::format("{} steps, {} of them executed", horizon, checkpoint.n_action_steps)});
  }
  return findings;
}

}  // namespace pi0
