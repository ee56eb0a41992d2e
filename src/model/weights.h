// The tensors that a network of given sizes consists of, and where they come from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "device/host_tensor.h"
#include "model/config.h"

namespace pi0 {

struct TensorSpec {
  std::string name;  // openpi's name, without the "model." of lerobot's fine-tunes
  Shape shape;
  // Not computed with, so allowed to be absent: gemma_expert.lm_head, the prefix's final norm.
  bool optional = false;  // its shape is then not looked at, and left empty here
};

// The token embedding is tied: either name may hold it, and embed_tokens wins where both do.
inline constexpr std::string_view kEmbedTokens =
    "paligemma_with_expert.paligemma.model.language_model.embed_tokens.weight";
inline constexpr std::string_view kLmHead = "paligemma_with_expert.paligemma.lm_head.weight";

// Every tensor of the architecture, in the order of the network. The tied pair is listed once, as
// kEmbedTokens.
std::vector<TensorSpec> architecture(const ModelConfig& config);

// Hands out the tensors of the architecture: a checkpoint's mapped files, or weights made up.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // `name` is one of architecture()'s; the shape is as there. Throws Error when it is not so.
  virtual HostTensor tensor(const std::string& name) const = 0;
  // Without its values, where making them takes time.
  virtual DType dtype(const std::string& name) const { return tensor(name).dtype; }
};

}  // namespace pi0
