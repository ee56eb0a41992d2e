#include "model/siglip.h"

namespace pi0 {
namespace {

constexpr float kEps = 1e-6f;  // transformers' SiglipVisionConfig.layer_norm_eps

}  // namespace

Siglip::Siglip(const ModelConfig& config, const Loader& loader) {
  const std::string model = "paligemma_with_expert.paligemma.model.";
  const std::string tower = model + "vision_tower.vision_model.";
  const std::string embeddings = tower + "embeddings.";
  patches_ = loader.device().prepare_patch_embedding(
      loader.tensor(embeddings + "patch_embedding.weight"),
      loader.tensor(embeddings + "patch_embedding.bias"),
      loader.tensor(embeddings + "position_embedding.weight"));
  const VisionConfig& vision = config.vision;
  const HeadShape heads{vision.num_heads, vision.num_heads, vision.head_dim(), /*rotary=*/false};
  for (int i = 0; i < vision.depth; ++i) {
    const std::string name = tower + "encoder.layers." + std::to_string(i) + ".";
    const std::string attention = name + "self_attn.";
    Layer layer;
    layer.norm1 = loader.layer_norm(name + "layer_norm1");
    layer.qkv = loader.device().prepare_qkv({.heads = heads,
                                             .q = loader.tensor(attention + "q_proj.weight"),
                                             .q_bias = loader.tensor(attention + "q_proj.bias"),
                                             .k = loader.tensor(attention + "k_proj.weight"),
                                             .v = loader.tensor(attention + "v_proj.weight"),
                                             .k_bias = loader.tensor(attention + "k_proj.bias"),
                                             .v_bias = loader.tensor(attention + "v_proj.bias")});
    layer.out = loader.linear(attention + "out_proj", true, &heads);
    layer.norm2 = loader.layer_norm(name + "layer_norm2");
    layer.fc1 = loader.linear(name + "mlp.fc1", true);
    layer.fc2 = loader.linear(name + "mlp.fc2", true);
    layers_.push_back(std::move(layer));
  }
  norm_ = loader.layer_norm(tower + "post_layernorm");
  projector_ = loader.linear(model + "multi_modal_projector.linear", true);
}

Tensor Siglip::embed(Device& device, const Tensor& images, const Stages& stages) const {
  const HeadSplit split{.sequences = static_cast<int>(images.dim(0))};
  device.mark(component::kPatchEmbedding, 0);
  Tensor x = device.patch_embedding(images, *patches_);
  std::size_t done = 0;
  for (const Layer& layer : layers_) {
    device.mark(component::kSiglipLayer, static_cast<int>(done));
    stages.progress("vision", done++, layers_.size());
    Qkv qkv = device.qkv(device.layer_norm(x, *layer.norm1, kEps), *layer.qkv, split);
    x = device.linear_residual(device.attention(std::move(qkv.queries), qkv.own, nullptr),
                               *layer.out, std::move(x));
    const Tensor hidden =
        device.linear(device.layer_norm(x, *layer.norm2, kEps), *layer.fc1, Activation::kGelu);
    x = device.linear_residual(hidden, *layer.fc2, std::move(x));
  }
  device.mark(component::kSiglipTower, 0);
  x = device.layer_norm(x, *norm_, kEps);
  stages("vision_output", 0, x);
  device.mark(component::kProjector, 0);
  x = device.linear(x, *projector_);
  stages("image_embeddings", 0, x);
  return x;
}

}  // namespace pi0
