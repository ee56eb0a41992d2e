#include "checkpoint/form/nearest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "checkpoint/form/places.h"
#include "checkpoint/form/sentence.h"

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

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : ".";
}

bool is_checkpoint(const fs::path& directory) {
  return holds_weights(directory) || has(directory / "adapter_model.safetensors");
}

// The step that a training run's folder is named after: "029999"; -1 for another name.
std::int64_t step_of(const std::string& name) {
  if (name == "last") return std::numeric_limits<std::int64_t>::max();  // lerobot's
  const bool digits =
      !name.empty() && name.size() < 16 &&
      std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits ? std::stoll(name) : -1;
}

// openpi's for JAX, a step of training or a published one.
bool is_jax_checkpoint(const fs::path& directory) {
  const fs::path params = directory / "params";
  return is_folder(params) &&
         (step_of(directory.filename().string()) >= 0 || has(params / "_METADATA"));
}

struct Found {
  fs::path run;       // the folder that a step of training is in; of what is no step, its own
  std::int64_t step;  // step_of
  fs::path path;
};

// Of a run only the step that was saved last.
void add(const fs::path& path, std::vector<Found>& found) {
  const fs::path folder = path.filename() == "pretrained_model" ? path.parent_path() : path;
  const std::int64_t step = step_of(folder.filename().string());
  const fs::path run = step < 0 ? path : folder.parent_path();
  for (Found& other : found) {
    if (other.run != run) continue;
    if (step > other.step) other = {run, step, path};
    return;
  }
  found.push_back({run, step, path});
}

struct Within {
  std::vector<Found> checkpoints;
  std::vector<Found> jax;
};

// What is below `directory`, the nearest first: of training runs, of the Hugging Face Hub's cache.
// Links are followed, but neither in circles nor to what `directory` is in.
Within look_within(const fs::path& directory) {
  constexpr int kDeepest = 6;  // outputs/train/DATE/JOB/checkpoints/STEP/pretrained_model
  constexpr std::size_t kMostNames = 10000;
  Within within;
  std::error_code ignored;
  const fs::path root = fs::canonical(directory, ignored);
  std::set<fs::path> seen{root};
  std::vector<std::pair<fs::path, int>> folders{{directory, 0}};  // and how deep
  std::size_t names = 0;
  for (std::size_t i = 0; i < folders.size(); ++i) {
    const auto [folder, depth] = folders[i];
    for (const std::string& name : names_in(folder)) {
      if (++names > kMostNames) return within;
      const fs::path path = folder / name;
      if (!is_folder(path)) continue;
      const fs::path real = fs::canonical(path, ignored);
      const fs::path from_there = root.lexically_relative(real);
      const bool above = !from_there.empty() && *from_there.begin() != "..";
      if (above || !seen.insert(real).second) continue;
      if (is_checkpoint(path)) {
        add(path, within.checkpoints);
      } else if (is_jax_checkpoint(path)) {
        add(path, within.jax);
      } else if (depth + 1 < kDeepest) {
        folders.emplace_back(path, depth + 1);
      }
    }
  }
  return within;
}

// "a and b", "a, b and 3 more".
std::string paths_of(const std::vector<Found>& found) {
  std::vector<std::string> paths;
  for (const Found& each : found) paths.push_back(each.path.string());
  return list_of(paths, paths.size() == 2 ? " and " : ", ", 2);
}

// In a folder that is no checkpoint, or below it.
std::string in_or_below(const fs::path& directory) {
  const Within within = look_within(directory);
  if (within.checkpoints.size() == 1) {
    return "; the checkpoint is in " + paths_of(within.checkpoints);
  }
  if (!within.checkpoints.empty()) {
    return fmt::format("; the checkpoints {} are in it", paths_of(within.checkpoints));
  }
  std::string jax = paths_of(within.jax) + (within.jax.size() > 1 ? " are" : " is");
  if (is_folder(directory / "params")) {
    jax = directory.string() + " is";
  } else if (has(directory / "_METADATA") && has(directory / "manifest.ocdbt")) {
    jax = parent_of(directory).string() + " is";
  } else if (within.jax.empty()) {
    return "";
  }
  return fmt::format("; {} openpi's JAX form (params/), {}", jax, kConvertJax);
}

// What a training saves to go on from, beside the policy: by how a name begins.
bool is_training_state(const std::string& name) {
  for (const char* begin :
       {"training_state", "global_step", "zero_to_fp32.py", "metadata.pt", "optimizer", "scheduler",
        "scaler.", "rng_state", "random_states", "training_args.bin"}) {
    if (name.starts_with(begin)) return true;
  }
  return false;
}

// Of a step without weights: the run's latest that has them.
std::string instead_of_training_state(const fs::path& directory) {
  if (step_of(directory.filename().string()) >= 0) {
    const Within run = look_within(parent_of(directory));
    if (!run.checkpoints.empty()) return "take " + paths_of(run.checkpoints);
  }
  return "save the policy itself with save_pretrained (DeepSpeed: zero_to_fp32.py first)";
}

std::string in_directory(const fs::path& directory) {
  if (const std::string links = links_to_nothing(directory); !links.empty()) return links;
  if (const std::string found = in_or_below(directory); !found.empty()) return found;
  const std::vector<std::string> names = names_in(directory);
  std::vector<std::string> shards, tensors;
  for (const std::string& name : names) {
    if (!name.ends_with(".safetensors") || is_training_state(name)) continue;
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
    const std::optional<OtherForm> form = other_form(name);
    if (!form || is_training_state(name)) continue;
    return fmt::format("; it holds {}, {}, which is not read here: {}", name, form->what,
                       form->way_out);
  }
  for (const fs::path& near : {parent_of(directory), parent_of(directory) / "pretrained_model"}) {
    if (is_checkpoint(near)) return "; the checkpoint is in " + near.string();
  }
  for (const std::string& name : names) {
    if (!is_training_state(name)) continue;
    return fmt::format("; it holds {}, a training's state, but no weights: {}", name,
                       instead_of_training_state(directory));
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

bool leads_nowhere(const fs::path& path) {
  std::error_code ignored;
  return fs::is_symlink(path, ignored) && !has(path);
}

}  // namespace

std::string links_to_nothing(const fs::path& directory) {
  std::vector<std::string> links;
  for (const std::string& name : names_in(directory)) {
    const bool of_checkpoint = name.ends_with(".json") || name.ends_with(".safetensors");
    if (of_checkpoint && leads_nowhere(directory / name)) links.push_back(name);
  }
  if (links.empty()) return "";
  return fmt::format(
      "; {} to what is not there: download {}, or copy with cp -L",
      links.size() == 1 ? links.front() + " is a link" : list_of(links, ", ", 3) + " are links",
      links.size() == 1 ? "it" : "them");
}

std::string nearest_to_checkpoint(const fs::path& given) {
  std::string text = given.string();  // without the slashes at its end, so that it has a parent
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  const fs::path path = text;
  if (is_folder(path)) return in_directory(path);
  if (leads_nowhere(path)) {
    std::error_code ignored;
    return fmt::format(
        "; it is a link to {}, which is not there: download it, or copy it with cp -L",
        fs::read_symlink(path, ignored).string());
  }
  const bool state = is_training_state(path.filename().string());
  if (const std::optional<OtherForm> form = other_form(path); form && !state) {
    return fmt::format("; it is {}, which is not read here: {}", form->what, form->way_out);
  }
  if (is_checkpoint(parent_of(path))) {
    return "; the checkpoint is " +
           (path.has_parent_path() ? path.parent_path().string() : "the folder that it is in, .");
  }
  return state ? "; it is a training's state, not weights" : "";
}

}  // namespace pi0
