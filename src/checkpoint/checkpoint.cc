#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <utility>

#include "checkpoint/form/nearest.h"
#include "checkpoint/form/sentence.h"
#include "checkpoint/form/sizes.h"
#include "checkpoint/lerobot/lerobot.h"
#include "checkpoint/openpi/openpi.h"
#include "checkpoint/weights/weight_check.h"
#include "checkpoint/weights/weight_files.h"
#include "files/json.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

Family family_of(const fs::path& directory) {
  std::error_code ignored;
  if (fs::exists(directory / "policy_preprocessor.json", ignored)) return Family::kLerobot;
  const fs::path config = directory / "config.json";
  if (!fs::exists(config, ignored)) return Family::kOpenpi;
  const Json json = read_json(config);
  require_object(json, config.string());
  return json.contains("type") ? Family::kLerobot : Family::kOpenpi;
}

// "lerobot/pi0_base" where there is no lerobot/ here: a repository's name, not a mistyped path.
bool is_hub_name(const std::string& name) {
  const std::size_t slash = name.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == name.size()) return false;
  const auto allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
           c == '_' || c == '-';
  };
  std::string letters = name;
  letters.erase(slash, 1);
  std::error_code ignored;
  return name[0] != '.' && name[0] != '-' && std::all_of(letters.begin(), letters.end(), allowed) &&
         !fs::exists(name.substr(0, slash), ignored);
}

// With what was meant, where that can be told: nothing here is fetched over a network.
[[noreturn]] void fail_without_directory(const fs::path& given) {
  std::string name = given.string();
  if (name.empty()) {
    throw Error(ErrorCode::kIo, "the checkpoint has an empty name, expected its directory");
  }
  while (name.ends_with('/')) name.pop_back();
  std::string sentence = "is not a directory, expected that of a checkpoint";
  if (name.starts_with("gs://")) {
    sentence += "; openpi's checkpoints are downloaded first (gsutil -m cp -r " + name +
                " .), and those for JAX converted by its examples/convert_jax_model_to_pytorch.py";
    fail(given.string(), sentence, ErrorCode::kIo);
  }
  for (const std::string prefix : {"https://huggingface.co/", "hf://"}) {
    if (!name.starts_with(prefix)) continue;
    name.erase(0, prefix.size());
    name.resize(std::min(name.find("/tree/"), name.size()));
  }
  if (is_hub_name(name)) {
    sentence += "; a repository of the Hugging Face Hub is downloaded first: hf download " + name +
                " --local-dir " + name.substr(name.find('/') + 1);
  } else {
    sentence += nearest_to_checkpoint(given);
  }
  fail(given.string(), sentence, ErrorCode::kIo);
}

struct Opened {
  CheckpointData checkpoint;
  std::shared_ptr<const WeightFiles> files;
};

Opened open_all(const fs::path& directory, const CheckpointOverrides& options) {
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) {
    fail_without_directory(directory);
  }
  Opened opened;
  if (family_of(directory) == Family::kLerobot) {
    opened.checkpoint =
        open_lerobot(directory, options);  // first: it may say why others are absent
    opened.files = WeightFiles::open(directory);
  } else {
    opened.files = WeightFiles::open(directory);
    opened.checkpoint = open_openpi(directory, *opened.files, options);
  }
  ModelConfig& model = opened.checkpoint.model;
  if (model.vocab_size == 0) {
    const WeightFiles::Located* embedding = opened.files->find_embedding();
    const bool sane = embedding && embedding->tensor->shape.size() == 2 &&
                      embedding->tensor->shape[0] <= kMaxSize;
    model.vocab_size =
        sane ? static_cast<int>(embedding->tensor->shape[0]) : ModelConfig().vocab_size;
  }
  validate(model, (directory / "config.json").string());
  opened.checkpoint.dtype = weight_types(*opened.files, model);
  return opened;
}

}  // namespace

Inspection inspect_checkpoint(const fs::path& directory, const CheckpointOverrides& options) {
  Inspection inspection;
  Opened opened;
  try {
    opened = open_all(directory, options);
  } catch (const Error& error) {
    CheckpointOverrides network = options;
    network.network_alone = true;
    opened = open_all(directory, network);  // throws the same where it is the network's
    inspection.network_alone = true;
    inspection.refused.emplace_back(error.what());
  }
  inspection.tensors = check_weights(*opened.files, opened.checkpoint.model);
  try {
    require_complete(inspection.tensors, opened.files->where());
  } catch (const Error& error) {
    inspection.refused.emplace_back(error.what());
  }
  inspection.checkpoint = std::move(opened.checkpoint);
  if (inspection.tensors.missing.empty() && inspection.tensors.wrong.empty()) {
    inspection.checkpoint.weights = make_weight_source(std::move(opened.files));
  }
  return inspection;
}

CheckpointData open_checkpoint(const fs::path& directory, const CheckpointOverrides& options) {
  Opened opened = open_all(directory, options);
  require_complete(check_weights(*opened.files, opened.checkpoint.model), opened.files->where());
  opened.checkpoint.weights = make_weight_source(std::move(opened.files));
  return std::move(opened.checkpoint);
}

}  // namespace pi0
