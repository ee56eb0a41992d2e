// Feeds bytes to the safetensors reader, and what it takes to the readers of lerobot's statistics
// and of adapters, which are merged into a small network where they fit it. Whatever they are,
// every tensor lies within the bytes and is as long as its shape says, or pi0::Error is thrown.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/adapters/adapters.h"
#include "checkpoint/adapters/merged_weights.h"
#include "checkpoint/lerobot/processors.h"
#include "files/safetensors.h"
#include "model/weights.h"
#include "pi0/error.h"

namespace {

void check_tensors(const pi0::SafeTensors& file, std::span<const std::byte> bytes) {
  for (const auto& [name, tensor] : file.tensors()) {
    const bool inside = tensor.bytes.data() >= bytes.data() &&
                        tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + bytes.size();
    std::uint64_t count = 1;
    for (const std::int64_t dim : tensor.shape) count *= static_cast<std::uint64_t>(dim);
    const bool dense = count == 0 ? tensor.bytes.empty() : tensor.bytes.size() % count == 0;
    if (!inside || !dense || file.find(name) != &tensor) std::abort();
  }
}

void read_statistics(const pi0::Statistics& statistics, pi0::NormalizationMode mode) {
  pi0::NormalizerStep step;
  step.eps = 1e-8;
  step.features = {{"observation.state", "STATE"}, {"observation.images.top", "VISUAL"}};
  step.norm_map = {{"STATE", mode}, {"ACTION", mode}, {"VISUAL", mode}};
  const pi0::Feature features[] = {{"observation.state", "STATE", 9},
                                   {"action", "ACTION", 7},
                                   {"observation.images.top", "VISUAL", 3}};
  std::vector<std::string> warnings;
  bool absent = false;
  for (const pi0::Feature& feature : features) {
    try {
      const pi0::Normalization normalization =
          lerobot_normalization(step, &statistics, feature, "fuzz", warnings, absent);
      if (normalization.first.size() != normalization.second.size()) std::abort();
    } catch (const pi0::Error&) {
    }
  }
}

// Zeros.
class Base : public pi0::WeightSource {
 public:
  explicit Base(const pi0::ModelConfig& model) : specs_(architecture(model)) {}
  pi0::HostTensor tensor(const std::string& name) const override {
    static const std::vector<float> zeros(4096);
    for (const pi0::TensorSpec& spec : specs_) {
      if (spec.name != name) continue;
      if (pi0::element_count(spec.shape) > 4096) std::abort();
      return {name, pi0::DType::kF32, spec.shape, reinterpret_cast<const std::byte*>(zeros.data()),
              nullptr};
    }
    std::abort();
  }

 private:
  std::vector<pi0::TensorSpec> specs_;
};

void merge_adapters(const pi0::SafeTensors& file) {
  pi0::ModelConfig model;
  model.vision = {.width = 4, .depth = 1, .mlp_dim = 4, .num_heads = 1, .patch_size = 2};
  model.language = model.expert = {4, 1, 4, 1, 1, 4};
  model.image_size = 4;
  model.vocab_size = 8;
  model.state_dim = model.action_dim = 4;
  pi0::AdapterConfig config;
  config.rank = 2;
  config.alpha = 4;
  config.biases = true;
  config.modules_to_save = {"state_proj"};
  try {
    pi0::Adapters adapters =
        pi0::read_adapters(std::make_shared<const pi0::SafeTensors>(file), config);
    fit_adapters(adapters, config, model);
    const auto merged = pi0::merge(std::make_shared<Base>(model), std::move(adapters));
    for (const pi0::TensorSpec& spec : architecture(model)) {
      if (!spec.optional && merged->tensor(spec.name).shape != spec.shape) std::abort();
    }
  } catch (const pi0::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto bytes = std::as_bytes(std::span(data, size));
    const pi0::SafeTensors file = pi0::SafeTensors::parse(bytes, "fuzz.safetensors");
    check_tensors(file, bytes);
    merge_adapters(file);
    const pi0::Statistics statistics = pi0::statistics_in(file.tensors(), file.where());
    read_statistics(statistics, pi0::NormalizationMode::kMeanStd);
    read_statistics(statistics, pi0::NormalizationMode::kMinMax);
    read_statistics(statistics, pi0::NormalizationMode::kQuantile10);
    read_statistics(statistics_of_0_3(statistics, "normalize_inputs",
                                      {"observation.state", "observation.images.top"}),
                    pi0::NormalizationMode::kMeanStd);
  } catch (const pi0::Error&) {
  }
  return 0;
}
