// Weights made up, for any sizes: to measure, audit and compare a network without a checkpoint.
#pragma once

#include <memory>

#include "model/weights.h"

namespace pi0 {

// The published sizes of π0 or π0.5, but for the vocabulary, which is cut to 1024 rows: a call
// reads one row a token, and 257152 of them would be a gigabyte.
ModelConfig full_size_config(ModelKind kind);

// Values as a trained network's are scaled: weights N(0, 1) / sqrt(inputs), norms near what leaves
// their input as it is, biases small. They depend on the tensor's name and the index alone, are
// bf16, and are made when a tensor is asked for and freed with its owner.
std::shared_ptr<const WeightSource> make_random_weights(const ModelConfig& config);

// The same tensors without data: shapes alone, for a device that is only asked what it would do.
std::shared_ptr<const WeightSource> make_weight_shapes(const ModelConfig& config);

}  // namespace pi0
