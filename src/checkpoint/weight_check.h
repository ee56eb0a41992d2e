// Whether a checkpoint's files hold the network that its configuration describes.
#pragma once

#include <memory>
#include <string>

#include "checkpoint/checkpoint.h"
#include "checkpoint/weight_files.h"

namespace pi0 {

// Compares the files with architecture(config), reading headers only.
TensorReport check_weights(const WeightFiles& files, const ModelConfig& config);

// Throws Error (kInvalidCheckpoint) that names the missing and the wrong tensors, if there are any.
void require_complete(const TensorReport& report, const std::string& where);

// The types of the network's own tensors: "bf16", or "bf16, f32" where mixed.
std::string weight_types(const WeightFiles& files, const ModelConfig& config);

// Hands out views of the mapped files; `files` must have passed require_complete.
std::shared_ptr<const WeightSource> make_weight_source(std::shared_ptr<const WeightFiles> files);

}  // namespace pi0
