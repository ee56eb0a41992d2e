#include "checkpoint/weights/weight_check.h"

#include <fmt/format.h>

#include <set>

#include "checkpoint/form/sentence.h"

namespace pi0 {
namespace {

const WeightFiles::Located* locate(const WeightFiles& files, const std::string& name) {
  return name == kEmbedTokens ? files.find_embedding() : files.find(name);
}

class MappedWeights : public WeightSource {
 public:
  explicit MappedWeights(std::shared_ptr<const WeightFiles> files) : files_(std::move(files)) {}

  HostTensor tensor(const std::string& name) const override {
    const WeightFiles::Located* found = locate(*files_, name);
    if (!found) fail(files_->where(), fmt::format("the tensor {} is missing", name));
    if (!weight_type(found->tensor->dtype)) {
      fail(files_->where(), "the tensor " + name + " is of type " + found->tensor->dtype);
    }
    return mapped_tensor(*found->file, found->name, *found->tensor);
  }

 private:
  std::shared_ptr<const WeightFiles> files_;
};

}  // namespace

TensorReport check_weights(const WeightFiles& files, const ModelConfig& config) {
  TensorReport report;
  report.files = files.names();
  std::set<const WeightFiles::Located*> used;
  std::set<std::string, std::less<>> known{std::string(kEmbedTokens), std::string(kLmHead)};
  for (const TensorSpec& spec : architecture(config)) {
    known.insert(spec.name);
    if (spec.optional) continue;
    const WeightFiles::Located* found = locate(files, spec.name);
    if (!found) {
      report.missing.push_back(spec.name);
      continue;
    }
    used.insert(found);
    const SafeTensor& tensor = *found->tensor;
    report.parameters += element_count(tensor.shape);
    if (tensor.shape != spec.shape) {
      report.wrong.push_back(fmt::format("{} has shape {}, expected {}", found->name,
                                         shape_text(tensor.shape), shape_text(spec.shape)));
    }
    if (!weight_type(tensor.dtype)) {
      report.wrong.push_back(
          fmt::format("{} is of type {}, expected F32, F16 or BF16", found->name, tensor.dtype));
    }
  }
  for (const auto& [name, located] : files.tensors()) {
    report.bytes += static_cast<std::int64_t>(located.tensor->bytes.size());
    ++report.types[lower(located.tensor->dtype)];
    if (used.contains(&located)) continue;
    report.unused.push_back(located.name);
    if (!known.contains(name)) report.unknown.push_back(located.name);
  }
  return report;
}

void require_complete(const TensorReport& report, const std::string& where) {
  // openpi's code for PyTorch has no adapters, and neither library saves any among the weights.
  for (const std::string& name : report.unused) {
    if (name.find("lora_") == std::string::npos) continue;
    fail(where,
         fmt::format("holds the adapter {} among the weights, which neither openpi nor lerobot "
                     "saves so: merge it into them, or save it with peft",
                     name),
         ErrorCode::kUnsupported);
  }
  std::vector<std::string> sentences;
  for (const std::string& name : report.missing) sentences.push_back(name + " is missing");
  sentences.insert(sentences.end(), report.wrong.begin(), report.wrong.end());
  if (sentences.empty()) return;
  const std::string subject = sentences.size() == 1
                                  ? "a tensor of the network is"
                                  : fmt::format("{} tensors of the network are", sentences.size());
  // What they may be called instead.
  const std::string others = report.missing.empty() || report.unknown.empty()
                                 ? ""
                                 : "; not of this network are " + list_of(report.unknown, ", ", 3);
  fail(where, fmt::format("{} missing or wrong: {}{}", subject, list_of(sentences, "; "), others));
}

std::string weight_types(const WeightSource& weights, const ModelConfig& config) {
  std::set<std::string> types;
  for (const TensorSpec& spec : architecture(config)) {
    if (!spec.optional) types.insert(name_of(weights.dtype(spec.name)));
  }
  return list_of({types.begin(), types.end()});
}

std::shared_ptr<const WeightSource> make_weight_source(std::shared_ptr<const WeightFiles> files) {
  return std::make_shared<MappedWeights>(std::move(files));
}

}  // namespace pi0
