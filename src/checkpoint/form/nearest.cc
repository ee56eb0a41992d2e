#include "checkpoint/form/nearest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace pi0 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConvertJax =
    "which openpi's examples/convert_jax_model_to_pytorch.py converts (--checkpoint_dir, "
    "--config_name, --output_path)";

// Files that weights are kept in elsewhere: how a name ends, what that is, and the way out.
struct OtherForm {
  const char* ending;
  const char* what;
  const char* way_out;
};
constexpr const char* kPickled =
    "load it in the software that saved it, and save it there with save_pretrained or "
    "safetensors.torch.save_model";
constexpr OtherForm kOtherForms[] = {
    {".gguf", "a model for llama.cpp",
     "it is made from a checkpoint of lerobot or openpi: take that one"},
    {".onnx", "an exported graph", "it is exported from a checkpoint: take that one"},
    {".engine", "a TensorRT engine", "it is built from a checkpoint: take that one"},
    {".pt", "pickled PyTorch", kPickled},
    {".pth", "pickled PyTorch", kPickled},
    {".ckpt", "a checkpoint of PyTorch Lightning, pickled", kPickled},
    {".bin", "pickled PyTorch", kPickled},
    {".msgpack", "Flax", "convert it to PyTorch in the software that saved it"},
    {".tar", "an archive", "unpack it"},
    {".gz", "an archive", "unpack it"},
    {".zip", "an archive", "unpack it"},
};

std::optional<OtherForm> other_form(const fs::path& file) {
  const std::string name = file.filename().string();
  for (const OtherForm& form : kOtherForms) {
    if (name.ends_with(form.ending)) return form;
  }
  return std::nullopt;
}

// Names in a directory, sorted; none where it cannot be read.
std::vector<std::string> names_in(const fs::path& directory) {
  constexpr std::size_t kMost = 10000;
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end;
       !error && at != end && names.size() < kMost; at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool has(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_checkpoint(const fs::path& directory) {
  return has(directory / "model.safetensors") || has(directory / "model.safetensors.index.json") ||
         has(directory / "adapter_model.safetensors");
}

// The step that a training run's folder is named after: "029999"; -1 for another name.
std::int64_t step_of(const std::string& name) {
  const bool digits =
      !name.empty() && name.size() < 16 &&
      std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits ? std::stoll(name) : -1;
}

// In `directory`, of a training run or of the Hugging Face Hub's cache, the checkpoint that was
// saved last; empty: none.
fs::path checkpoint_within(const fs::path& directory) {
  for (const char* name :
       {"pretrained_model", "checkpoints/last/pretrained_model", "last/pretrained_model"}) {
    if (is_checkpoint(directory / name)) return directory / name;
  }
  for (const fs::path& parent : {directory, directory / "checkpoints", directory / "snapshots"}) {
    fs::path best;
    std::int64_t latest = -1;
    for (const std::string& name : names_in(parent)) {
      for (const fs::path& inside : {parent / name / "pretrained_model", parent / name}) {
        if (!is_checkpoint(inside) || (!best.empty() && step_of(name) <= latest)) continue;
        best = inside;
        latest = step_of(name);
      }
    }
    if (!best.empty()) return best;
  }
  return {};
}

// openpi's JAX form: params/ of orbax. Empty: there is none.
fs::path jax_within(const fs::path& directory) {
  if (is_folder(directory / "params")) return directory;
  if (has(directory / "_METADATA") && has(directory / "manifest.ocdbt"))
    return directory.parent_path();
  fs::path best;
  std::int64_t latest = -1;
  for (const std::string& name : names_in(directory)) {
    if (step_of(name) <= latest || !is_folder(directory / name / "params")) continue;
    best = directory / name;
    latest = step_of(name);
  }
  return best;
}

std::string in_directory(const fs::path& directory) {
  if (const fs::path within = checkpoint_within(directory); !within.empty()) {
    return "; the checkpoint is in " + within.string();
  }
  if (const fs::path jax = jax_within(directory); !jax.empty()) {
    return fmt::format("; {} is openpi's JAX form (params/), {}", jax.string(), kConvertJax);
  }
  const std::vector<std::string> names = names_in(directory);
  std::vector<std::string> shards, tensors;
  for (const std::string& name : names) {
    if (!name.ends_with(".safetensors")) continue;
    if (name.starts_with("model-") && name.find("-of-") != std::string::npos) {
      shards.push_back(name);
    } else if (!name.starts_with("policy_p")) {  // processors' statistics
      tensors.push_back(name);
    }
  }
  if (!shards.empty()) {
    return fmt::format(
        "; it holds {}, {} of several files: fetch model.safetensors.index.json, which says "
        "what is in which",
        shards.front(), shards.size() == 1 ? "one" : std::to_string(shards.size()));
  }
  if (!tensors.empty()) {
    return fmt::format("; it holds {}: if that is the network, name it model.safetensors",
                       tensors.front());
  }
  for (const std::string& name : names) {
    if (name == "training_state" || name.starts_with("global_step") || name == "zero_to_fp32.py") {
      return fmt::format(
          "; it holds {}, a training's state: save the policy itself with "
          "save_pretrained (DeepSpeed: zero_to_fp32.py first)",
          name);
    }
    if (const std::optional<OtherForm> form = other_form(name)) {
      return fmt::format("; it holds {}, {}, which is not read here: {}", name, form->what,
                         form->way_out);
    }
  }
  for (const fs::path& near :
       {directory.parent_path(), directory.parent_path() / "pretrained_model"}) {
    if (is_checkpoint(near)) return "; the checkpoint is in " + near.string();
  }
  if (names.empty()) return "; it is empty";
  for (const char* name : {"config.json", "policy_preprocessor.json"}) {
    if (has(directory / name)) {
      return fmt::format(
          "; it holds {}, but no weights: fetch or copy the other files of the checkpoint too",
          name);
    }
  }
  return "";
}

}  // namespace

std::string nearest_to_checkpoint(const fs::path& given) {
  std::string text = given.string();  // without the slashes at its end, so that it has a parent
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  const fs::path path = text;
  if (is_folder(path)) return in_directory(path);
  if (const std::optional<OtherForm> form = other_form(path)) {
    return fmt::format("; it is {}, which is not read here: {}", form->what, form->way_out);
  }
  if (const fs::path parent = path.parent_path(); is_checkpoint(parent.empty() ? "." : parent)) {
    return "; the checkpoint is " +
           (parent.empty() ? "the folder that it is in, ." : parent.string());
  }
  return "";
}

}  // namespace pi0
