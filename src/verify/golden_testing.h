// What tests of devices against PyTorch share: the recordings in testdata/.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "model/random_weights.h"
#include "verify/comparison.h"
#include "verify/recording.h"

namespace pi0 {

inline const std::filesystem::path kSource = PI0_SOURCE_DIR;

// A recording beside the checkpoint that it is of.
struct GoldenFile {
  std::string checkpoint, file;
};
inline void PrintTo(const GoldenFile& golden, std::ostream* out) {
  *out << golden.checkpoint << ' ' << golden.file;
}

// In letters, digits and underscores, as a test's name is.
inline std::string golden_name(const GoldenFile& golden) {
  std::string name =
      std::filesystem::path(golden.checkpoint).filename().string() + "_" + golden.file;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
}

// All of them but episodes, in the order of their names.
inline std::vector<GoldenFile> golden_files() {
  std::vector<GoldenFile> files;
  for (const char* family : {"golden", "golden_extra"}) {
    for (const auto& directory :
         std::filesystem::directory_iterator(kSource / "testdata" / family)) {
      if (!exists(directory.path() / "config.json")) continue;
      for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
        const std::string name = entry.path().filename().string();
        const bool recording = entry.path().extension() == ".safetensors" &&
                               !name.starts_with("model") && name.find("_step_") == name.npos;
        if (recording) files.push_back({directory.path().string(), name});
      }
    }
  }
  std::sort(files.begin(), files.end(), [](const GoldenFile& a, const GoldenFile& b) {
    return std::tie(a.checkpoint, a.file) < std::tie(b.checkpoint, b.file);
  });
  return files;
}

// The small networks' calls have every setting of real-time chunking; of the larger one's, which
// take long where every instruction set or card makes them, the first two will do.
inline void keep_few_guided(PyTorchRecording& recording) {
  constexpr int kLongHorizon = 50;
  if (!recording.network || recording.network->guided.size() < 2) return;
  std::vector<GuidedCall>& guided = recording.network->guided;
  if (guided.front().actions.shape[0] >= kLongHorizon)
    guided.erase(guided.begin() + 2, guided.end());
}

// A SigLIP layer, a Gemma layer with and without a cache and the expert's, as wide as they are
// published, of random weights.
inline CheckpointData full_width_checkpoint(ModelKind kind, bool all_rows) {
  CheckpointData checkpoint;
  checkpoint.model = full_size_config(kind);
  ModelConfig& model = checkpoint.model;
  model.vision.depth = 1;
  model.language.depth = 2;  // the last layer stops after its keys and values
  model.expert.depth = 2;
  model.num_steps = 2;
  if (!all_rows) {
    model.image_size = 4 * model.vision.patch_size;
    model.num_cameras = 2;  // 32 rows, and one of the prompt
    model.max_tokens = 1;
    model.action_horizon = 33;
  }
  checkpoint.weights = make_random_weights(model);
  checkpoint.dtype = "bf16";
  return checkpoint;
}

// Every component correlates with the other device's at least by `least`.
inline void expect_components_correlate(const Comparison& comparison, double least) {
  EXPECT_GE(comparison.components().size(), 10u);
  for (const ComparedComponent& component : comparison.components()) {
    EXPECT_GE(component.worst.difference.correlation, least)
        << component.worst.operation << " of " << component.worst.component.name << " "
        << component.worst.index;
  }
}

}  // namespace pi0
