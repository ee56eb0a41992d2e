#include "checkpoint/weights/weight_files.h"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "checkpoint/form/nearest.h"
#include "checkpoint/form/sentence.h"
#include "model/weights.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWhole = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

// Where the parts of PaliGemma were until transformers 4.52, and so in what lerobot saved with it.
constexpr std::string_view kPaligemma = "paligemma_with_expert.paligemma.";
constexpr std::pair<std::string_view, std::string_view> kMoved[] = {
    {"language_model.lm_head.", "lm_head."},
    {"language_model.model.", "model.language_model."},
    {"vision_tower.", "model.vision_tower."},
    {"multi_modal_projector.", "model.multi_modal_projector."}};

}  // namespace

// lerobot's fine-tunes have "model." before every name; openpi and lerobot's base models have not.
// torch.compile puts "_orig_mod." into names, DDP "module.", wherever a module was wrapped.
std::string plain_name(std::string name) {
  for (const std::string_view wrapper : {"_orig_mod.", "module."}) {
    for (std::size_t at = name.find(wrapper); at != std::string::npos;
         at = name.find(wrapper, at)) {
      if (at == 0 || name[at - 1] == '.') {
        name.erase(at, wrapper.size());
      } else {
        at += wrapper.size();
      }
    }
  }
  if (name.starts_with("model.")) name.erase(0, 6);
  if (!name.starts_with(kPaligemma)) return name;
  for (const auto& [before, now] : kMoved) {
    if (name.compare(kPaligemma.size(), before.size(), before) != 0) continue;
    name.replace(kPaligemma.size(), before.size(), now);
    break;
  }
  return name;
}

std::optional<DType> weight_type(const std::string& dtype) {
  if (dtype == "F32") return DType::kF32;
  if (dtype == "F16") return DType::kF16;
  if (dtype == "BF16") return DType::kBF16;
  return std::nullopt;
}

HostTensor mapped_tensor(const SafeTensors& file, const std::string& name,
                         const SafeTensor& tensor) {
  return {name + " in " + file.where(), weight_type(tensor.dtype).value(), tensor.shape,
          tensor.bytes.data(), lend(tensor.bytes, file.owner())};
}

void require_beside(const std::string& name, const std::string& where) {
  const fs::path path(name);
  bool inside = !name.empty() && path.is_relative() && path.has_filename() &&
                name.find('\0') == std::string::npos;
  for (const fs::path& part : path) inside = inside && part != "..";
  if (!inside) fail(where, describe(name) + " names no file of the checkpoint's directory");
}

std::map<std::string, std::string> parse_shard_index(const Json& index, const std::string& where) {
  require_object(index, where);
  const Json* weight_map = find_object(index, "weight_map", where);
  if (!weight_map) fail(where, "\"weight_map\" is missing");
  const std::string at = where + ": weight_map";
  std::map<std::string, std::string> result;
  for (const auto& [name, file] : weight_map->items()) {
    if (!file.is_string()) {
      fail(at, describe(name) + " is " + describe(file) + ", expected the name of a file");
    }
    require_beside(file.get<std::string>(), at);
    result[name] = file.get<std::string>();
  }
  if (result.empty()) fail(at, "names no tensor");
  return result;
}

void WeightFiles::add(const SafeTensors& file, const std::string& name) {
  for (const char* module : {"normalize_inputs.", "normalize_targets.", "unnormalize_outputs."}) {
    if (!name.starts_with(module)) continue;
    statistics_.emplace(name, *file.find(name));
    return;
  }
  const auto [place, is_new] =
      tensors_.emplace(plain_name(name), Located{&file, name, file.find(name)});
  if (!is_new) {
    fail(where_,
         fmt::format("the tensor {} is there twice: as {} in {} and as {} in {}", plain_name(name),
                     place->second.name, place->second.file->where(), name, file.where()));
  }
}

std::shared_ptr<const WeightFiles> WeightFiles::open(const fs::path& directory) {
  auto result = std::make_shared<WeightFiles>();
  std::map<std::string, std::string> weight_map;
  std::error_code ignored;
  if (fs::exists(directory / kWhole, ignored)) {
    result->where_ = (directory / kWhole).string();
    result->names_ = {kWhole};
  } else if (fs::exists(directory / kIndex, ignored)) {
    result->where_ = (directory / kIndex).string();
    weight_map = parse_shard_index(read_json(directory / kIndex), result->where_);
    std::set<std::string> shards;
    for (const auto& [name, shard] : weight_map) shards.insert(shard);
    result->names_.assign(shards.begin(), shards.end());
  } else {
    fail(directory.string(), fmt::format("holds neither {} nor {}{}", kWhole, kIndex,
                                         nearest_to_checkpoint(directory)));
  }

  std::vector<std::string> absent;
  for (const std::string& name : result->names_) {
    if (!fs::exists(directory / name, ignored)) absent.push_back(name);
  }
  if (!absent.empty()) {
    fail(result->where_,
         "names files that are absent: " + list_of(absent) + links_to_nothing(directory));
  }
  std::map<std::string, const SafeTensors*> by_name;
  for (const std::string& name : result->names_) {
    result->files_.push_back(
        std::make_unique<const SafeTensors>(SafeTensors::open(directory / name)));
    by_name[name] = result->files_.back().get();
  }
  for (const auto& [name, shard] : weight_map) {
    if (!by_name[shard]->find(name)) {
      fail(result->where_,
           fmt::format("says that {} holds the tensor {}, but it does not", shard, name));
    }
  }
  // Also those that an index leaves out.
  for (const auto& file : result->files_) {
    for (const auto& [name, tensor] : file->tensors()) result->add(*file, name);
  }
  return result;
}

std::vector<std::shared_ptr<const OpenedFile>> WeightFiles::opened() const {
  std::vector<std::shared_ptr<const OpenedFile>> opened;
  for (const auto& file : files_) opened.push_back(file->file());
  return opened;
}

const WeightFiles::Located* WeightFiles::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

const WeightFiles::Located* WeightFiles::find_embedding() const {
  const Located* embedding = find(kEmbedTokens);
  return embedding ? embedding : find(kLmHead);
}

}  // namespace pi0
