// The parts of the network, as its code marks them on a device (Device::mark).
#pragma once

#include "device/operations.h"

namespace pi0::component {

using Index = Component::Index;

inline constexpr Component kInputs{"inputs", "inputs"};
inline constexpr Component kPatchEmbedding{"patch_embedding", "vision"};
inline constexpr Component kSiglipLayer{"siglip_layer", "vision", Index::kLayer};
inline constexpr Component kSiglipTower{"siglip_tower", "vision"};
inline constexpr Component kProjector{"projector", "vision"};
inline constexpr Component kPrefixEmbeddings{"prefix_embeddings", "prefix"};
inline constexpr Component kGemmaLayer{"gemma_layer", "prefix", Index::kLayer};
inline constexpr Component kStateEmbedding{"state_embedding", "prefix"};
inline constexpr Component kStateLayer{"state_layer", "prefix", Index::kLayer};
// Computed once in a model's life.
inline constexpr Component kStepConstants{"step_constants", "other", Index::kStep};
inline constexpr Component kSuffixEmbedding{"suffix_embedding", "denoising", Index::kStep};
inline constexpr Component kExpertLayer{"expert_layer", "denoising", Index::kLayerOfStep};
inline constexpr Component kVelocity{"velocity", "denoising", Index::kStep};
// x_t after each step, which reports list one by one.
inline constexpr Component kDenoisingStep{"denoising_step", "denoising", Index::kLayer};
inline constexpr Component kActions{"actions", "denoising"};

}  // namespace pi0::component
