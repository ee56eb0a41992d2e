// Whether a checkpoint's files hold the network that its configuration describes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/weights/weight_files.h"
#include "model/config.h"
#include "model/weights.h"

namespace pi0 {

// What `pi0 info` prints beside the CheckpointData itself: the tensors, without judging them.
struct TensorReport {
  std::int64_t parameters = 0;       // of the tensors that the network needs and that are there
  std::int64_t bytes = 0;            // of all tensors in the files
  std::vector<std::string> files;    // model.safetensors, or the shards
  std::map<std::string, int> types;  // "bf16" -> how many tensors
  // In the files, not needed: TensorSpec::optional, the other of the tied pair, whatever else.
  std::vector<std::string> unused;
  std::vector<std::string> unknown;  // of the unused, whatever else
  std::vector<std::string> missing;  // needed, not in the files
  std::vector<std::string> wrong;    // a sentence each: name, shape found, shape expected
};

// Compares the files with architecture(config), reading headers only.
TensorReport check_weights(const WeightFiles& files, const ModelConfig& config);

// Throws Error (kInvalidCheckpoint) that names the missing and the wrong tensors, if there are any.
void require_complete(const TensorReport& report, const std::string& where);

// The types of the network's own tensors: "bf16", or "bf16, f32" where mixed.
std::string weight_types(const WeightSource& weights, const ModelConfig& config);

// Hands out views of the mapped files; `files` must have passed require_complete.
std::shared_ptr<const WeightSource> make_weight_source(std::shared_ptr<const WeightFiles> files);

}  // namespace pi0
