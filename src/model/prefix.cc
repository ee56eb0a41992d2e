#include "model/prefix.h"

namespace pi0 {

Prefix::Prefix(const ModelConfig& config, const Loader& loader) {
  const auto name = [](int layer) {
    return "paligemma_with_expert.paligemma.model.language_model.layers." + std::to_string(layer) +
           ".";
  };
  const GemmaConfig& language = config.language;
  for (int layer = 0; layer + 1 < language.depth; ++layer) {
    layers_.push_back(
        load_gemma_layer(language, loader, name(layer), false, WeightPrecision::kCoarse));
  }
  last_ = load_gemma_keys_values(language, loader, name(language.depth - 1));
}

KvCache Prefix::run(Device& device, Tensor embeddings, const Stages& stages) const {
  KvCache cache;
  Tensor x = std::move(embeddings);
  for (const GemmaLayer& layer : layers_) {
    device.mark(component::kGemmaLayer, static_cast<int>(cache.size()));
    stages.progress("prefix", cache.size(), layers_.size());
    Qkv qkv = project(device, layer, x, nullptr);
    cache.push_back(std::move(qkv.own));
    x = finish_layer(device, layer, std::move(x), std::move(qkv.queries), cache.back(), nullptr);
  }
  device.mark(component::kGemmaLayer, static_cast<int>(cache.size()));
  cache.push_back(project_keys_values(device, last_, x, nullptr));
  for (std::size_t layer = 0; layer < cache.size(); ++layer) {
    stages("prefix_keys", static_cast<int>(layer), cache[layer].keys);
    stages("prefix_values", static_cast<int>(layer), cache[layer].values);
  }
  return cache;
}

}  // namespace pi0
