// The Gemma layers that the prefix and the action expert share in form.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/loader.h"

namespace pi0 {

inline constexpr float kRmsNormEps = 1e-6f;  // transformers' GemmaConfig.rms_norm_eps

// A layer up to the keys and values that it leaves behind; all that a last layer needs when
// nothing reads its output.
struct GemmaKeysValues {
  std::unique_ptr<NormWeights> input_norm;  // null where norms are adaptive
  std::unique_ptr<QkvWeights> qkv;
};

struct GemmaLayer : GemmaKeysValues {
  std::unique_ptr<LinearWeights> out;
  std::unique_ptr<NormWeights> post_attention_norm;  // null where norms are adaptive
  std::unique_ptr<GatedMlpWeights> mlp;
};

// Which rows are held, as ones among zeros, and which are free; as wide as what they choose
// (Device::choose_rows).
struct RowChoice {
  Tensor held, free;
};

// How a norm is modulated, and what it leads to gated; null pointers where it is plain.
struct NormModulation {
  const Modulation* modulation = nullptr;
  // Of the rows that are held, in its place; null where none are.
  const Modulation* of_held = nullptr;
  const RowChoice* rows = nullptr;
};

// Of a layer's two norms.
struct GemmaModulation {
  NormModulation input, post_attention;
};

// RMSNorm by `norm`, or where it is adaptive (null) by its modulation.
Tensor normalise(Device& device, const Tensor& x, const NormWeights* norm,
                 const NormModulation& modulation);

// `name` is "….layers.N.". Adaptive layers have no norm weights of their own.
GemmaLayer load_gemma_layer(const GemmaConfig& config, const Loader& loader,
                            const std::string& name, bool adaptive, WeightPrecision mlp);
// Without the query projection and what follows it.
GemmaKeysValues load_gemma_keys_values(const GemmaConfig& config, const Loader& loader,
                                       const std::string& name);

// Normalises and projects x [rows, width], whose positions follow those of `after` (may be null).
Qkv project(Device& device, const GemmaKeysValues& layer, const Tensor& x, const KeysValues* after,
            const NormModulation& modulation = {});
KeysValues project_keys_values(Device& device, const GemmaKeysValues& layer, const Tensor& x,
                               const KeysValues* after);

// The rest of the layer: attention over `own` and `cache` (may be null), then the MLP.
// x is the layer's input, [rows, width].
Tensor finish_layer(Device& device, const GemmaLayer& layer, Tensor x, Tensor queries,
                    const KeysValues& own, const KeysValues* cache,
                    const GemmaModulation& modulation = {});

}  // namespace pi0
