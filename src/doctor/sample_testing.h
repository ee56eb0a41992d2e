// A sample of examples/policy's own data, to be written and damaged. For tests only.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/test_support.h"
#include "doctor/sample.h"

namespace pi0 {

inline const std::filesystem::path kTrained =
    std::filesystem::path(PI0_SOURCE_DIR) / "examples/policy";

// Nine moments of three tasks' episodes, in the order of the tasks' names.
inline DataSample recorded_sample() {
  return sample_of(read_recording(kTrained / "recorded.safetensors", open_checkpoint(kTrained)));
}

// The same as tools/dataset_sample.py writes it.
struct SampleFile {
  std::map<std::string, EditedTensor> tensors;
  std::map<std::string, std::string> metadata;

  SampleFile() {
    const DataSample sample = recorded_sample();
    const auto count = static_cast<std::int64_t>(sample.moments.size());
    std::vector<float> states, actions;
    std::string pixels;
    Json prompts = Json::array();
    for (const Moment& moment : sample.moments) {
      const Observation& seen = moment.observation;
      states.insert(states.end(), seen.state.begin(), seen.state.end());
      actions.insert(actions.end(), moment.actions.begin(), moment.actions.end());
      const std::vector<std::uint8_t>& rgb = seen.images.at("base_0_rgb").rgb;
      pixels.append(rgb.begin(), rgb.end());
      prompts.push_back(*seen.prompt);
    }
    put(float_tensor("state", {count, 4}, states));
    put(float_tensor("actions", {count, 16, 4}, actions));
    put({"image.base_0_rgb", "U8", {count, 112, 112, 3}, pixels});
    metadata["prompts"] = prompts.dump();
  }
  void put(const EditedTensor& tensor) { tensors[tensor.name] = tensor; }
  void write(const std::filesystem::path& path) const {
    std::vector<TensorToWrite> to_write;
    for (const auto& [name, tensor] : tensors) {
      to_write.push_back({name, tensor.dtype, tensor.shape, tensor.bytes});
    }
    write_safetensors(path, to_write, metadata);
  }
};

}  // namespace pi0
