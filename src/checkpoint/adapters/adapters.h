// peft's adapter_model.safetensors: what of a base's tensors is changed, and how.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/adapters/adapter_config.h"
#include "files/safetensors.h"
#include "model/config.h"

namespace pi0 {

// Of one weight [out, in] (or [out, in, height, width]): base + scale B A.
struct LowRank {
  const SafeTensor* a = nullptr;  // [rank, in], or [rank, in, height, width]
  const SafeTensor* b = nullptr;  // [out, rank], or [out, rank, 1, 1]
  double scale = 0;
};

// By openpi's names, of the tensors that change.
struct Adapters {
  std::shared_ptr<const SafeTensors> file;
  std::map<std::string, LowRank> low_rank;
  std::map<std::string, const SafeTensor*> whole;  // modules_to_save, and biases
};

// Throws Error naming the file and the tensor: a name that peft gives to none of LoRA's tensors, or
// that `config` has no reason for (kUnsupported), an A without its B, ranks that are not the
// configuration's, shapes that do not go together.
Adapters read_adapters(std::shared_ptr<const SafeTensors> file, const AdapterConfig& config);

// read_adapters() of a directory's adapter_model.safetensors.
Adapters open_adapters(const std::filesystem::path& directory, const AdapterConfig& config);

// Leaves out what the network does not compute with (the heads of the language models). Throws
// Error naming the tensors that do not fit the network's: none of the name, another shape, nothing
// left, or one that modules_to_save promises and the file has not. Returns what is worth a warning.
std::vector<std::string> fit_adapters(Adapters& adapters, const AdapterConfig& config,
                                      const ModelConfig& model);

// "rank 16, alpha 32: 84 tensors changed, 2 whole".
std::string summary(const Adapters& adapters, const AdapterConfig& config);

}  // namespace pi0
