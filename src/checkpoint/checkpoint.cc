#include "checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "checkpoint/adapters/adapters.h"
#include "checkpoint/adapters/find_base.h"
#include "checkpoint/adapters/merged_weights.h"
#include "checkpoint/form/nearest.h"
#include "checkpoint/form/places.h"
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

Family family_of(const Places& places) {
  std::error_code ignored;
  if (fs::exists(places / "policy_preprocessor.json", ignored)) return Family::kLerobot;
  const fs::path config = places / "config.json";
  if (!fs::exists(config, ignored)) return Family::kOpenpi;
  const Json json = read_json(config);
  require_object(json, config.string());
  const bool lerobot = json.contains("type");
  if (!lerobot && json.value("model_type", Json()) == "pi0") {
    fail(
        config.string(),
        "is of transformers' PI0ForConditionalGeneration (\"model_type\" is \"pi0\"), which is not "
        "read here: take the checkpoint of lerobot or openpi that it was converted from",
        ErrorCode::kUnsupported);
  }
  return lerobot ? Family::kLerobot : Family::kOpenpi;
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
  std::error_code ignored;
  if (is_hub_name(name) &&
      !fs::exists(name.substr(0, name.find('/')), ignored)) {  // no mistyped path
    sentence += "; a repository of the Hugging Face Hub is downloaded first: hf download " + name +
                " --local-dir " + name.substr(name.find('/') + 1);
  } else {
    sentence += nearest_to_checkpoint(given);
  }
  fail(given.string(), sentence, ErrorCode::kIo);
}

// Of a directory of adapters.
AdapterConfig read_adapter_config(const fs::path& directory, bool base_is_named) {
  for (const char* needed : {"adapter_config.json", "adapter_model.safetensors"}) {
    std::error_code ignored;
    if (fs::exists(directory / needed, ignored)) continue;
    const std::string links = links_to_nothing(directory);
    if (links.empty() && fs::exists(directory / "adapter_model.bin", ignored) &&
        fs::exists(directory / "adapter_config.json", ignored)) {
      fail(directory.string(),
           "holds adapter_model.bin, pickled PyTorch, which is not read here: load it with peft, "
           "and save it there with save_pretrained(DIR, safe_serialization=True)");
    }
    fail(directory.string(), std::string("holds adapters, but no ") + needed +
                                 (links.empty() ? ": copy it from where peft saved them" : links));
  }
  for (const char* whole : {"model.safetensors", "model.safetensors.index.json"}) {
    std::error_code ignored;
    if (base_is_named || !fs::exists(directory / whole, ignored)) continue;
    fail((directory / whole).string(),
         "lies beside adapters (adapter_config.json), and nothing says whether they are merged "
         "into it: take the adapters away if they are, or name it as their base (--base " +
             directory.string() + ")");
  }
  const fs::path file = directory / "adapter_config.json";
  return parse_adapter_config(read_json(file), file.string());
}

struct Opened {
  CheckpointData checkpoint;
  std::shared_ptr<const WeightFiles> files;
  std::optional<AdapterConfig> adapters;
};

Opened open_all(const fs::path& directory, const CheckpointOverrides& options) {
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) {
    fail_without_directory(directory);
  }
  Opened opened;
  Places places{directory};
  FoundBase found;
  const fs::path base = options.base.value_or("");
  if (holds_adapters(directory)) {
    opened.adapters = read_adapter_config(directory, !base.empty());
    found = find_base(directory, opened.adapters->base, opened.adapters->revision, base);
    places.base = found.directory;
  } else if (!base.empty()) {
    fail(directory.string(),
         "holds no adapters (adapter_config.json), so no base can be named for it",
         ErrorCode::kInvalidInput);
  }
  bool not_used = false;  // statistics of lerobot 0.3's form, among the weights
  if (family_of(places) == Family::kLerobot) {
    opened.checkpoint = open_lerobot(places, options);  // first: it may say why others are absent
    opened.files = WeightFiles::open(places.weights());
    not_used = !opened.files->statistics().empty() &&
               opened.checkpoint.lerobot_release != LerobotRelease::k0_3;
    std::string& missing = opened.checkpoint.statistics_missing;
    if (not_used && !missing.empty() && !options.norm_stats) {
      missing += " (among the weights are some of lerobot 0.3's form, " +
                 opened.files->statistics().begin()->first +
                 ", of which lerobot's migrate_policy_normalization.py makes processors)";
    }
  } else {
    opened.files = WeightFiles::open(places.weights());
    opened.checkpoint = open_openpi(places, *opened.files, options);
  }
  std::vector<std::string>& warnings = opened.checkpoint.warnings;
  if (found.by_last_part) {
    warnings.push_back(fmt::format("{}: the base that is named, {}, is taken to be {}",
                                   directory.string(), describe(opened.adapters->base),
                                   places.base.string()));
  }
  if (not_used) {
    warnings.push_back(opened.files->where() +
                       ": has statistics of lerobot 0.3 among the weights, which are not used");
  }
  opened.checkpoint.base = places.base;
  ModelConfig& model = opened.checkpoint.model;
  if (model.vocab_size == 0) {
    const WeightFiles::Located* embedding = opened.files->find_embedding();
    const bool sane = embedding && embedding->tensor->shape.size() == 2 &&
                      embedding->tensor->shape[0] <= kMaxSize;
    model.vocab_size =
        sane ? static_cast<int>(embedding->tensor->shape[0]) : ModelConfig().vocab_size;
  }
  validate(model, (places / "config.json").string());
  return opened;
}

// Into the weights of the base.
void merge_adapters(const AdapterConfig& config, CheckpointData& checkpoint) {
  Adapters adapters = open_adapters(checkpoint.directory, config);
  for (std::string& warning : fit_adapters(adapters, config, checkpoint.model)) {
    checkpoint.warnings.push_back(std::move(warning));
  }
  checkpoint.adapters = summary(adapters, config);
  checkpoint.weight_files.push_back(adapters.file->file());
  checkpoint.weight_files.push_back(
      std::make_shared<const OpenedFile>(checkpoint.directory / "adapter_config.json"));
  checkpoint.weights = merge(std::move(checkpoint.weights), std::move(adapters));
}

// Whose tensors have been checked.
CheckpointData with_weights(Opened opened) {
  CheckpointData& checkpoint = opened.checkpoint;
  checkpoint.weight_files = opened.files->opened();
  checkpoint.weights = make_weight_source(std::move(opened.files));
  if (opened.adapters) merge_adapters(*opened.adapters, checkpoint);
  checkpoint.dtype = weight_types(*checkpoint.weights, checkpoint.model);
  return std::move(checkpoint);
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
  inspection.checkpoint = opened.checkpoint;
  if (inspection.tensors.missing.empty() && inspection.tensors.wrong.empty()) {
    try {
      inspection.checkpoint = with_weights(std::move(opened));
    } catch (const Error& error) {  // of the adapters
      inspection.refused.emplace_back(error.what());
    }
  }
  return inspection;
}

CheckpointData open_checkpoint(const fs::path& directory, const CheckpointOverrides& options) {
  Opened opened = open_all(directory, options);
  require_complete(check_weights(*opened.files, opened.checkpoint.model), opened.files->where());
  return with_weights(std::move(opened));
}

}  // namespace pi0
