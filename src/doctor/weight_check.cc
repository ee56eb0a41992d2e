#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "checkpoint/form/sentence.h"
#include "doctor/checks.h"
#include "doctor/value_summary.h"
#include "host/cores.h"
#include "host/thread_pool.h"

namespace pi0 {
namespace {

constexpr const char* kPaligemma = "paligemma_with_expert.paligemma.model.";
constexpr const char* kVision = "paligemma_with_expert.paligemma.model.vision_tower.vision_model.";
constexpr const char* kLanguage = "paligemma_with_expert.paligemma.model.language_model.";
constexpr const char* kExpert = "paligemma_with_expert.gemma_expert.model.";

constexpr const char* kUntrained =
    "nothing was learned there, or it was not loaded before it was saved: the actions are noise";
constexpr const char* kTakeAnother =
    "take the checkpoint that training left, and look for 'missing keys' in the log of what "
    "loaded or converted it";

struct Tensor {
  std::string name;
  Shape shape;
  ValueSummary values;

  bool is_matrix() const { return shape.size() > 1; }
};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// "language_model.layers.3.mlp.up_proj.weight", as a person would look for it.
std::string short_name(std::string name) {
  for (const std::string prefix : {kPaligemma, "paligemma_with_expert."}) {
    if (name.starts_with(prefix)) return name.substr(prefix.size());
  }
  return name;
}

// The prefix's last layer stops after its keys and values: what follows them has no gradient, so a
// policy that was trained from nothing has it as it began.
bool is_computed_with(const std::string& name, const ModelConfig& model) {
  const std::string last = fmt::format("{}layers.{}.", kLanguage, model.language.depth - 1);
  return !name.starts_with(last) || contains(name, "input_layernorm") || contains(name, "k_proj") ||
         contains(name, "v_proj");
}

std::vector<Tensor> summaries(const ModelConfig& model, const WeightSource& weights,
                              const std::function<void(const Progress&)>& progress) {
  constexpr std::int64_t kPart = 1 << 18;
  const auto pool = cpu::ThreadPool::of_size(cpu::usable_cores());
  std::vector<Tensor> tensors;
  const std::vector<TensorSpec> specs = architecture(model);
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (progress) progress({"looking at the weights", i, specs.size()});
    if (specs[i].optional) continue;
    const HostTensor tensor = weights.tensor(specs[i].name);
    const std::int64_t size = tensor.size();
    std::vector<ValueSummary> parts(static_cast<std::size_t>((size + kPart - 1) / kPart));
    pool->run(static_cast<std::int64_t>(parts.size()), [&](std::int64_t part, int) {
      const std::int64_t begin = part * kPart;
      parts[static_cast<std::size_t>(part)] =
          summarise(tensor, begin, std::min(kPart, size - begin));
    });
    Tensor& added = tensors.emplace_back(Tensor{specs[i].name, tensor.shape, {}});
    for (const ValueSummary& part : parts) added.values.add(part);
  }
  return tensors;
}

// A finding on all of `names`, where there are any.
void add_named(std::string found, const std::vector<std::string>& names, const char* why,
               const char* way_out, Findings& findings) {
  if (names.empty()) return;
  found += fmt::format(" in {} tensor{}: {}", names.size(), names.size() == 1 ? "" : "s",
                       list_of(names, ", ", 4));
  findings.push_back({Severity::kRefuse, "weights", std::move(found), why, way_out});
}

void add_not_finite(const std::vector<Tensor>& tensors, Findings& findings) {
  std::vector<std::string> names;
  for (const Tensor& tensor : tensors) {
    if (tensor.values.not_finite > 0) {
      names.push_back(fmt::format("{} ({} of {})", short_name(tensor.name),
                                  tensor.values.not_finite, tensor.values.count));
    }
  }
  add_named("values that are not finite", names,
            "every action would be NaN: training diverged, "
            "or the file was damaged",
            "take an earlier checkpoint, or copy the file again", findings);
}

// Matrices of a single number. Vectors may be that; their groups are looked at below.
void add_constant(const std::vector<Tensor>& tensors, const ModelConfig& model,
                  Findings& findings) {
  std::vector<std::string> names;
  for (const Tensor& tensor : tensors) {
    const bool judged = tensor.is_matrix() && tensor.values.count > 1 &&
                        !contains(tensor.name, "norm") && is_computed_with(tensor.name, model);
    if (judged && tensor.values.constant()) {
      names.push_back(
          fmt::format("{} (all {})", short_name(tensor.name), short_text(tensor.values.least, 4)));
    }
  }
  add_named("nothing but one number", names, kUntrained, kTakeAnother, findings);
}

// Vectors of which each alone may be as it began, but never all.
struct Group {
  const char* name;
  const char* prefix;
  const char* part;  // in the name
  const char* end;
  float initial;
};
constexpr Group kGroups[] = {
    {"SigLIP's LayerNorm weights", kVision, "norm", ".weight", 1},
    {"SigLIP's biases", kVision, "", ".bias", 0},
    {"Gemma's RMSNorm weights", kLanguage, "norm", ".weight", 0},
    {"the expert's norms", kExpert, "norm", "", 0},
};

void add_initial_groups(const std::vector<Tensor>& tensors, const ModelConfig& model,
                        Findings& findings) {
  for (const Group& group : kGroups) {
    int members = 0, initial = 0;
    for (const Tensor& tensor : tensors) {
      const std::string& name = tensor.name;
      if (!name.starts_with(group.prefix) || !contains(name, group.part) ||
          !name.ends_with(group.end) || !is_computed_with(name, model)) {
        continue;
      }
      ++members;
      initial += tensor.values.constant() && tensor.values.least == group.initial;
    }
    if (members == 0 || initial < members) continue;
    findings.push_back({Severity::kRefuse, "weights",
                        fmt::format("{} are all {:g}, as an initialiser leaves them, in all {} "
                                    "tensors",
                                    group.name, group.initial, members),
                        kUntrained, kTakeAnother});
  }
}

// As torch.nn.Linear begins: uniform between -1 / sqrt(inputs) and 1 / sqrt(inputs). Training moves
// values beyond that at once, since as many as anywhere else lie at the bounds.
bool is_torch_initial(const Tensor& tensor) {
  const double inputs = static_cast<double>(tensor.shape[1]);
  const double bound = 1 / std::sqrt(inputs);
  const ValueSummary& values = tensor.values;
  constexpr std::int64_t kEnough = 256;
  const double largest = std::max(std::abs(values.least), std::abs(values.largest));
  return values.count >= kEnough && values.not_finite == 0 && largest <= bound * 1.004 &&
         largest >= bound * 0.95 && std::abs(values.rms() * std::sqrt(3.0) / bound - 1) < 0.05 &&
         std::abs(values.kurtosis() - 1.8) < 0.15;
}

void add_initial_projections(const std::vector<Tensor>& tensors, Findings& findings) {
  std::vector<std::string> names;
  for (const Tensor& tensor : tensors) {
    const bool projection =
        tensor.shape.size() == 2 && !tensor.name.starts_with("paligemma_with_expert.");
    if (projection && is_torch_initial(tensor)) names.push_back(short_name(tensor.name));
  }
  add_named("uniform within 1 / sqrt(inputs), as torch.nn.Linear begins,", names, kUntrained,
            kTakeAnother, findings);
}

// As one distribution drew them: of one spread and without long tails, in layer after layer. What
// was trained differs from layer to layer. Of few layers or values that could be chance.
bool is_drawn_alike(const std::vector<const Tensor*>& layers) {
  constexpr std::size_t kLayers = 4;
  constexpr std::int64_t kEnough = 1 << 16;
  if (layers.size() < kLayers) return false;
  double least = 1e300, largest = 0, least_kurtosis = 1e300, largest_kurtosis = 0;
  for (const Tensor* tensor : layers) {
    if (tensor->values.count < kEnough || tensor->values.not_finite > 0) return false;
    least = std::min(least, tensor->values.rms());
    largest = std::max(largest, tensor->values.rms());
    least_kurtosis = std::min(least_kurtosis, tensor->values.kurtosis());
    largest_kurtosis = std::max(largest_kurtosis, tensor->values.kurtosis());
  }
  return least > 0 && largest < 1.02 * least && largest_kurtosis < 3.1 &&
         largest_kurtosis - least_kurtosis < 0.1;
}

void add_drawn_alike(const std::vector<Tensor>& tensors, const ModelConfig& model,
                     Findings& findings) {
  for (const auto& [name, prefix] :
       {std::pair("SigLIP", kVision), {"Gemma", kLanguage}, {"the expert", kExpert}}) {
    std::map<std::string, std::vector<const Tensor*>> kinds;  // "self_attn.q_proj.weight"
    for (const Tensor& tensor : tensors) {
      const std::size_t layer = tensor.name.find("layers.");
      if (!tensor.is_matrix() || !tensor.name.starts_with(prefix) || layer == std::string::npos ||
          contains(tensor.name, "norm") || !is_computed_with(tensor.name, model)) {
        continue;
      }
      const std::size_t kind = tensor.name.find('.', layer + std::string_view("layers.").size());
      kinds[tensor.name.substr(kind + 1)].push_back(&tensor);
    }
    std::vector<std::string> alike;
    for (const auto& [kind, layers] : kinds) {
      if (is_drawn_alike(layers)) alike.push_back(kind);
    }
    if (2 * alike.size() <= kinds.size()) continue;
    findings.push_back({Severity::kRefuse, "weights",
                        fmt::format("those of {} are spread alike in every layer, as random "
                                    "numbers are, of {} of its {} kinds: {}",
                                    name, alike.size(), kinds.size(), list_of(alike, ", ", 4)),
                        kUntrained, kTakeAnother});
  }
}

}  // namespace

Findings weight_findings(const ModelConfig& model, const WeightSource& weights,
                         const std::function<void(const Progress&)>& progress) {
  const std::vector<Tensor> tensors = summaries(model, weights, progress);
  Findings findings;
  add_not_finite(tensors, findings);
  add_constant(tensors, model, findings);
  add_initial_groups(tensors, model, findings);
  add_initial_projections(tensors, findings);
  add_drawn_alike(tensors, model, findings);
  if (findings.empty()) {
    std::int64_t values = 0;
    for (const Tensor& tensor : tensors) values += tensor.values.count;
    findings.push_back({Severity::kOk, "weights",
                        fmt::format("{} values in {} tensors: finite, and none as an initialiser "
                                    "leaves them",
                                    values, tensors.size())});
  }
  return findings;
}

}  // namespace pi0
