// Checkpoints that replay's tests play recorded calls on.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "files/safetensors.h"

namespace pi0 {

// A copy of a checkpoint of lerobot's, whose actions are wider by that factor about their mean.
inline void copy_with_wider_actions(const std::filesystem::path& checkpoint,
                                    const std::filesystem::path& copy, float factor) {
  std::filesystem::copy(checkpoint, copy);
  const std::string name = "policy_postprocessor_step_0_unnormalizer_processor.safetensors";
  const SafeTensors statistics = SafeTensors::open(checkpoint / name);
  std::vector<std::vector<float>> values;
  std::vector<TensorToWrite> tensors;
  for (const auto& [tensor, is] : statistics.tensors()) {
    std::vector<float>& floats = values.emplace_back(floats_of<float>(is.bytes));
    for (float& value : floats) value *= tensor == "action.std" ? factor : 1;
    const std::string_view bytes(reinterpret_cast<const char*>(floats.data()), is.bytes.size());
    tensors.push_back({tensor, is.dtype, is.shape, bytes});
  }
  write_safetensors(copy / name, tensors, statistics.metadata());
}

}  // namespace pi0
