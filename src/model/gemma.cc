#include "model/gemma.h"

namespace pi0 {
namespace {

// Null for 1; what has to be made for it, `made` keeps.
const Tensor* gate_of(Device& device, const NormModulation& by, Tensor& made) {
  if (by.modulation == nullptr) return nullptr;
  if (by.of_held == nullptr) return &by.modulation->gate;
  made = device.choose_rows(by.of_held->gate, by.rows->held, by.modulation->gate, by.rows->free);
  return &made;
}

HeadShape head_shape(const GemmaConfig& config) {
  return {config.num_heads, config.num_kv_heads, config.head_dim, /*rotary=*/true};
}

QkvSource qkv_source(const GemmaConfig& config, const Loader& loader, const std::string& name,
                     bool with_queries) {
  QkvSource source;
  source.heads = head_shape(config);
  if (with_queries) source.q = loader.tensor(name + "self_attn.q_proj.weight");
  source.k = loader.tensor(name + "self_attn.k_proj.weight");
  source.v = loader.tensor(name + "self_attn.v_proj.weight");
  return source;
}

}  // namespace

Tensor normalise(Device& device, const Tensor& x, const NormWeights* norm,
                 const NormModulation& by) {
  if (by.modulation == nullptr) return device.rms_norm(x, *norm, kRmsNormEps);
  Tensor free = device.rms_norm(x, *by.modulation, kRmsNormEps);
  if (by.of_held == nullptr) return free;
  const Tensor held = device.rms_norm(x, *by.of_held, kRmsNormEps);
  return device.choose_rows(held, by.rows->held, free, by.rows->free);
}

GemmaLayer load_gemma_layer(const GemmaConfig& config, const Loader& loader,
                            const std::string& name, bool adaptive, WeightPrecision mlp) {
  GemmaLayer layer;
  if (!adaptive) {
    layer.input_norm = loader.rms_norm(name + "input_layernorm");
    layer.post_attention_norm = loader.rms_norm(name + "post_attention_layernorm");
  }
  layer.qkv = loader.device().prepare_qkv(qkv_source(config, loader, name, true));
  const HeadShape heads = head_shape(config);
  layer.out = loader.linear(name + "self_attn.o_proj", false, &heads);
  layer.mlp = loader.device().prepare_gated_mlp(loader.tensor(name + "mlp.gate_proj.weight"),
                                                loader.tensor(name + "mlp.up_proj.weight"),
                                                loader.tensor(name + "mlp.down_proj.weight"), mlp);
  return layer;
}

GemmaKeysValues load_gemma_keys_values(const GemmaConfig& config, const Loader& loader,
                                       const std::string& name) {
  GemmaKeysValues layer;
  layer.input_norm = loader.rms_norm(name + "input_layernorm");
  layer.qkv = loader.device().prepare_qkv(qkv_source(config, loader, name, false));
  return layer;
}

Qkv project(Device& device, const GemmaKeysValues& layer, const Tensor& x, const KeysValues* after,
            const NormModulation& modulation) {
  return device.qkv(normalise(device, x, layer.input_norm.get(), modulation), *layer.qkv,
                    {.sequences = 1, .after = after});
}

KeysValues project_keys_values(Device& device, const GemmaKeysValues& layer, const Tensor& x,
                               const KeysValues* after) {
  return device.keys_values(normalise(device, x, layer.input_norm.get(), {}), *layer.qkv,
                            {.sequences = 1, .after = after});
}

Tensor finish_layer(Device& device, const GemmaLayer& layer, Tensor x, Tensor queries,
                    const KeysValues& own, const KeysValues* cache,
                    const GemmaModulation& modulation) {
  Tensor gate;
  x = device.linear_residual(device.attention(std::move(queries), own, cache), *layer.out,
                             std::move(x), gate_of(device, modulation.input, gate));
  const Tensor normed =
      normalise(device, x, layer.post_attention_norm.get(), modulation.post_attention);
  return device.gated_mlp(normed, *layer.mlp, std::move(x),
                          gate_of(device, modulation.post_attention, gate));
}

}  // namespace pi0
