// The checks of `pi0 doctor`: each looks at one thing that is open and says what it finds, or that
// it is in order. What `pi0 info` concludes stands first, as it has it.
#pragma once

#include <filesystem>
#include <functional>

#include "checkpoint/checkpoint.h"
#include "doctor/finding.h"
#include "pi0/network.h"
#include "policy/readiness.h"

namespace pi0 {

// What `pi0 info` says: why `pi0 run` would refuse, what is warned about.
Findings readiness_findings(const Inspection& inspection, const Readiness& readiness);

// What in the files is no part of the network, layers beyond the configuration's among it. Of
// LoRA's tensors readiness_findings speaks.
Findings tensor_findings(const TensorReport& tensors);

// Adapters (peft's adapter_model.safetensors) that change nothing, as they were before training.
// Throws Error where they cannot be read.
Findings adapter_findings(const CheckpointData& checkpoint);

// Statistics that do nothing, that no data can have, or that are of another vector or unit.
Findings statistics_findings(const CheckpointData& checkpoint);

// Whether the tokenizer is PaliGemma's, and of the embedding's size. Throws Error where the file
// cannot be read.
Findings tokenizer_findings(const ModelConfig& model, const std::filesystem::path& tokenizer);

// Renames that lead nowhere, cameras that nothing leads to.
Findings camera_findings(const CheckpointData& checkpoint);

// Horizon and executed steps, against what lerobot's train_config.json says of the training. Throws
// Error where that cannot be read.
Findings chunk_findings(const CheckpointData& checkpoint);

// Every value of every tensor: not finite, all the same, as an initialiser left it. `progress` may
// be empty.
Findings weight_findings(const ModelConfig& model, const WeightSource& weights,
                         const std::function<void(const Progress&)>& progress);

}  // namespace pi0
