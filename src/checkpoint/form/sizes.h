// The sizes that both families write the same way: two variants by name, and, where a network has
// sizes of its own, the key "architecture".
#pragma once

#include <string>
#include <vector>

#include "files/json.h"
#include "model/config.h"

namespace pi0 {

// The widest size that validate() (model/config.h) lets pass.
inline constexpr int kMaxSize = 1 << 24;

// Reads "paligemma_variant", "action_expert_variant" and "architecture" of a config.json into
// `model`. What is absent keeps openpi's full size, but for two: the patch size keeps what `model`
// has, and vocab_size becomes 0, to be taken from the embedding's rows.
void read_sizes(const Json& config, const std::string& where, ModelConfig& model);

// Those of the two variants that are openpi's with adapters ("gemma_2b_lora"), which have the sizes
// of their base.
std::vector<std::string> lora_variants(const Json& config, const std::string& where);

}  // namespace pi0
