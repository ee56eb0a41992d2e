#include "model/weights.h"

namespace pi0 {
namespace {

// Collects specs under a prefix, so that the names below read as in a state_dict.
struct Builder {
  std::vector<TensorSpec> specs;

  void add(const std::string& name, Shape shape) { specs.push_back({name, std::move(shape)}); }
  void linear(const std::string& name, std::int64_t out, std::int64_t in, bool bias) {
    add(name + ".weight", {out, in});
    if (bias) add(name + ".bias", {out});
  }
  void layer_norm(const std::string& name, std::int64_t width) {
    add(name + ".weight", {width});
    add(name + ".bias", {width});
  }
  void rms_norm(const std::string& name, std::int64_t width, bool adaptive) {
    if (adaptive) {
      linear(name + ".dense", 3 * width, width, true);  // scale, shift, gate
    } else {
      add(name + ".weight", {width});
    }
  }
  void gemma_layers(const std::string& prefix, const GemmaConfig& gemma, bool adaptive) {
    for (int layer = 0; layer < gemma.depth; ++layer) {
      const std::string name = prefix + "layers." + std::to_string(layer) + ".";
      const std::int64_t q = std::int64_t{gemma.num_heads} * gemma.head_dim;
      const std::int64_t kv = std::int64_t{gemma.num_kv_heads} * gemma.head_dim;
      rms_norm(name + "input_layernorm", gemma.width, adaptive);
      linear(name + "self_attn.q_proj", q, gemma.width, false);
      linear(name + "self_attn.k_proj", kv, gemma.width, false);
      linear(name + "self_attn.v_proj", kv, gemma.width, false);
      linear(name + "self_attn.o_proj", gemma.width, q, false);
      rms_norm(name + "post_attention_layernorm", gemma.width, adaptive);
      linear(name + "mlp.gate_proj", gemma.mlp_dim, gemma.width, false);
      linear(name + "mlp.up_proj", gemma.mlp_dim, gemma.width, false);
      linear(name + "mlp.down_proj", gemma.width, gemma.mlp_dim, false);
    }
  }
};

}  // namespace

std::vector<TensorSpec> architecture(const ModelConfig& config) {
  Builder builder;
  const VisionConfig& vision = config.vision;
  const std::string paligemma = "paligemma_with_expert.paligemma.model.";
  const std::string tower = paligemma + "vision_tower.vision_model.";
  builder.add(tower + "embeddings.patch_embedding.weight",
              {vision.width, 3, vision.patch_size, vision.patch_size});
  builder.add(tower + "embeddings.patch_embedding.bias", {vision.width});
  builder.add(tower + "embeddings.position_embedding.weight", {config.patches(), vision.width});
  for (int layer = 0; layer < vision.depth; ++layer) {
    const std::string name = tower + "encoder.layers." + std::to_string(layer) + ".";
    builder.layer_norm(name + "layer_norm1", vision.width);
    for (const char* part : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      builder.linear(name + "self_attn." + part, vision.width, vision.width, true);
    }
    builder.layer_norm(name + "layer_norm2", vision.width);
    builder.linear(name + "mlp.fc1", vision.mlp_dim, vision.width, true);
    builder.linear(name + "mlp.fc2", vision.width, vision.mlp_dim, true);
  }
  builder.layer_norm(tower + "post_layernorm", vision.width);
  builder.linear(paligemma + "multi_modal_projector.linear", config.language.width, vision.width,
                 true);

  builder.add(std::string(kEmbedTokens), {config.vocab_size, config.language.width});
  builder.gemma_layers(paligemma + "language_model.", config.language, false);
  builder.specs.push_back({paligemma + "language_model.norm.weight", {}, true});

  const bool pi05 = config.kind == ModelKind::kPi05;
  const int width = config.expert.width;
  builder.gemma_layers("paligemma_with_expert.gemma_expert.model.", config.expert, pi05);
  builder.rms_norm("paligemma_with_expert.gemma_expert.model.norm", width, pi05);
  builder.specs.push_back({"paligemma_with_expert.gemma_expert.lm_head.weight", {}, true});

  builder.linear("action_in_proj", width, config.action_dim, true);
  builder.linear("action_out_proj", config.action_dim, width, true);
  if (pi05) {
    builder.linear("time_mlp_in", width, width, true);
    builder.linear("time_mlp_out", width, width, true);
  } else {
    builder.linear("state_proj", width, config.state_dim, true);
    builder.linear("action_time_mlp_in", width, 2 * std::int64_t{width}, true);
    builder.linear("action_time_mlp_out", width, width, true);
  }
  return builder.specs;
}

}  // namespace pi0
