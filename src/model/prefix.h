// Gemma over the image and prompt embeddings. Only the keys and values of each layer leave it.
#pragma once

#include <vector>

#include "model/gemma.h"
#include "model/stages.h"

namespace pi0 {

// Keys and values of each layer, [1, num_kv_heads, tokens, head_dim].
using KvCache = std::vector<KeysValues>;

class Prefix {
 public:
  Prefix(const ModelConfig& config, const Loader& loader);

  // embeddings [tokens, width], all valid, at positions 0, 1, …: masked tokens are not among them,
  // and a position counts valid tokens only, so dropping a masked token moves no other.
  KvCache run(Device& device, Tensor embeddings, const Stages& stages) const;

 private:
  std::vector<GemmaLayer> layers_;  // all but the last
  GemmaKeysValues last_;            // nothing reads its output, so it stops after keys and values
};

}  // namespace pi0
