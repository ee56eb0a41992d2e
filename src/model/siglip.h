// SigLIP, and the projector into the language model's width.
#pragma once

#include <memory>
#include <vector>

#include "model/config.h"
#include "model/loader.h"
#include "model/stages.h"

namespace pi0 {

class Siglip {
 public:
  Siglip(const ModelConfig& config, const Loader& loader);

  // images [cameras, size, size, 3] in [-1, 1] -> [cameras * patches, language width].
  Tensor embed(Device& device, const Tensor& images, const Stages& stages) const;

 private:
  struct Layer {
    std::unique_ptr<NormWeights> norm1;
    std::unique_ptr<QkvWeights> qkv;
    std::unique_ptr<LinearWeights> out;
    std::unique_ptr<NormWeights> norm2;
    std::unique_ptr<LinearWeights> fc1;
    std::unique_ptr<LinearWeights> fc2;
  };
  std::unique_ptr<PatchEmbeddingWeights> patches_;
  std::vector<Layer> layers_;
  std::unique_ptr<NormWeights> norm_;
  std::unique_ptr<LinearWeights> projector_;
};

}  // namespace pi0
