#include "checkpoint/adapters/adapters.h"

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "base/shape_text.h"
#include "checkpoint/form/sentence.h"
#include "checkpoint/weights/weight_files.h"
#include "model/weights.h"

namespace pi0 {
namespace {

constexpr std::string_view kPolicy = "base_model.model.";  // peft's, around the policy's own names
constexpr std::string_view kA = ".lora_A.weight";
constexpr std::string_view kB = ".lora_B.weight";

bool take_end(std::string& name, std::string_view end) {
  if (!name.ends_with(end)) return false;
  name.resize(name.size() - end.size());
  return true;
}

// With bias "all", peft saves those of modules_to_save under the names of its own wrapper too: once
// more, and as the base had it.
bool is_of_wrapper(const std::string& name, const AdapterConfig& config) {
  return config.biases &&
         (name.ends_with(".modules_to_save.bias") || name.ends_with(".original_module.bias"));
}

// A tensor that is in the file whole: the base's name of it, where the configuration has it so.
std::string whole_name(std::string name, const AdapterConfig& config, const std::string& where) {
  const std::string full = name;
  const std::size_t dot = name.rfind('.');
  const std::string module = name.substr(0, dot == std::string::npos ? 0 : dot);
  const bool bias = config.biases && name.ends_with(".bias");
  if (name.find("lora_") != std::string::npos || !(bias || config.saves(module))) {
    fail(where,
         fmt::format("the tensor {} is neither LoRA's A or B of a layer nor one of modules_to_save "
                     "or bias in adapter_config.json: merge the adapters with peft",
                     full),
         ErrorCode::kUnsupported);
  }
  // Of a layer that has adapters too.
  if (take_end(name, ".base_layer.bias")) name += ".bias";
  return name;
}

void require_ranks(const std::string& module, const LowRank& pair, int rank,
                   const std::string& where) {
  const auto& a = pair.a->shape;
  const auto& b = pair.b->shape;
  const bool sizes = a.size() >= 2 && a.size() == b.size() && a[0] == rank && b[1] == rank;
  bool inner = sizes;  // of a convolution, B's is 1 by 1
  for (std::size_t i = 2; inner && i < b.size(); ++i) inner = b[i] == 1;
  if (!inner) {
    fail(where, fmt::format("lora_A and lora_B of {} have shapes {} and {}, expected [{}, in] and "
                            "[out, {}], the rank of adapter_config.json",
                            module, shape_text(a), shape_text(b), rank, rank));
  }
}

std::vector<std::int64_t> merged_shape(const LowRank& pair) {
  std::vector<std::int64_t> shape = pair.a->shape;
  shape[0] = pair.b->shape[0];
  return shape;
}

void require_float(const std::string& name, const SafeTensor& tensor, const std::string& where) {
  if (weight_type(tensor.dtype)) return;
  fail(where, fmt::format("{} is of type {}, expected F32, F16 or BF16", name, tensor.dtype));
}

}  // namespace

Adapters read_adapters(std::shared_ptr<const SafeTensors> file, const AdapterConfig& config) {
  Adapters result;
  const std::string& where = file->where();
  std::map<std::string, std::string> modules;  // by the weight's name, as peft's patterns see them
  const auto place = [&](const SafeTensor*& slot, const std::string& name,
                         const SafeTensor& tensor) {
    if (slot) fail(where, fmt::format("the tensor {} is there twice, under two names", name));
    slot = &tensor;
  };
  for (const auto& [full, tensor] : file->tensors()) {
    require_float(full, tensor, where);
    std::string name = full;
    if (name.starts_with(kPolicy)) name.erase(0, kPolicy.size());
    const bool is_a = take_end(name, kA);
    if (is_a || take_end(name, kB)) {
      const std::string weight = plain_name(name) + ".weight";
      LowRank& pair = result.low_rank[weight];
      place(is_a ? pair.a : pair.b, full, tensor);
      modules[weight] = name;
    } else if (!is_of_wrapper(name, config)) {
      place(result.whole[plain_name(whole_name(name, config, where))], full, tensor);
    }
  }
  for (auto& [weight, pair] : result.low_rank) {
    const std::string& module = modules[weight];
    if (!pair.a || !pair.b) {
      fail(where, fmt::format("{} has a lora_{} without its lora_{}", module, pair.a ? "A" : "B",
                              pair.a ? "B" : "A"));
    }
    require_ranks(module, pair, config.rank_of(module), where);
    pair.scale = config.scale_of(module);
    if (result.whole.contains(weight)) {
      fail(where, fmt::format("{} has adapters and is there whole too", module));
    }
  }
  result.file = std::move(file);
  return result;
}

Adapters open_adapters(const std::filesystem::path& directory, const AdapterConfig& config) {
  return read_adapters(std::make_shared<const SafeTensors>(
                           SafeTensors::open(directory / "adapter_model.safetensors")),
                       config);
}

std::vector<std::string> fit_adapters(Adapters& adapters, const AdapterConfig& config,
                                      const ModelConfig& model) {
  std::vector<std::string> wrong;
  std::map<std::string, Shape> shapes;
  std::map<std::string, bool> known;  // true: computed with
  for (const TensorSpec& spec : architecture(model)) {
    known[spec.name] = !spec.optional;
    if (!spec.optional) shapes[spec.name] = spec.shape;
  }
  known[std::string(kLmHead)] = false;  // the embedding is looked up under its other name
  const auto fits = [&](const std::string& name, const Shape& shape, const char* what) {
    const auto found = known.find(name);
    if (found == known.end()) {
      wrong.push_back(fmt::format("{} of {}, which the network has not", what, name));
    } else if (found->second && shapes[name] != shape) {
      wrong.push_back(fmt::format("{} of {} with shape {}, expected {}", what, name,
                                  shape_text(shape), shape_text(shapes[name])));
    }
    return found != known.end() && found->second;
  };
  std::erase_if(adapters.low_rank, [&](const auto& entry) {
    return !fits(entry.first, merged_shape(entry.second), "adapters");
  });
  std::erase_if(adapters.whole, [&](const auto& entry) {
    return !fits(entry.first, entry.second->shape, "a tensor in place");
  });
  for (const auto& [name, shape] : shapes) {
    if (config.saves("model." + name.substr(0, name.rfind('.'))) &&
        !adapters.whole.contains(name)) {
      wrong.push_back(fmt::format("modules_to_save, but no {}", name));
    }
  }
  const std::string& where = adapters.file->where();
  if (!wrong.empty()) fail(where, "has " + list_of(wrong, "; "));
  if (adapters.low_rank.empty() && adapters.whole.empty()) {
    fail(where, "changes no tensor of the network");
  }
  // peft 0.13 to 0.18 looked for them under a name that they do not have.
  std::vector<std::string> lost;
  for (const auto& [weight, pair] : adapters.low_rank) {
    const std::string bias = weight.substr(0, weight.rfind('.')) + ".bias";
    if (shapes.contains(bias) && !adapters.whole.contains(bias)) lost.push_back(bias);
  }
  std::vector<std::string> warnings;
  if (config.biases && !lost.empty()) {
    warnings.push_back(fmt::format(
        "{}: \"bias\" is {}, but what was trained is not in the file (older releases of "
        "peft left it out): the base's stay, as in peft: {}",
        where, config.lora_only ? "lora_only" : "all", list_of(lost)));
  }
  std::vector<std::string> without;
  for (const auto& [name, shape] : shapes) {
    const std::size_t dot = name.rfind('.');
    const bool matrix = name.substr(dot + 1) == "weight" && shape.size() == 2;
    if (matrix && config.targets("model." + name.substr(0, dot)) &&
        !adapters.low_rank.contains(name) && !adapters.whole.contains(name)) {
      without.push_back(name);
    }
  }
  if (!without.empty()) {
    warnings.push_back(
        fmt::format("{}: \"target_modules\" names modules without adapters in the file, which stay "
                    "the base's: {}",
                    where, list_of(without)));
  }
  return warnings;
}

std::string summary(const Adapters& adapters, const AdapterConfig& config) {
  return fmt::format("rank {}, alpha {:g}{}: {} tensors changed, {} whole", config.rank,
                     config.alpha, config.rank_stabilized ? " (rank-stabilised)" : "",
                     adapters.low_rank.size(), adapters.whole.size());
}

}  // namespace pi0
