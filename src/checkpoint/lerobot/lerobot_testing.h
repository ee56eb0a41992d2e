// What the tests of lerobot's form share: files and codes by a short name.
#pragma once

#include "checkpoint/test_support.h"

namespace pi0 {

inline constexpr auto kInvalid = ErrorCode::kInvalidCheckpoint;
inline constexpr auto kUnsupported = ErrorCode::kUnsupported;
inline constexpr const char* kConfig = "config.json";
inline constexpr const char* kWeights = "model.safetensors";
inline constexpr const char* kPre = "policy_preprocessor.json";
inline constexpr const char* kPost = "policy_postprocessor.json";
// Of pi0_tiny and pi0_odd both.
inline constexpr const char* kPreStatistics =
    "policy_preprocessor_step_6_normalizer_processor.safetensors";
inline constexpr const char* kPostStatistics =
    "policy_postprocessor_step_0_unnormalizer_processor.safetensors";

}  // namespace pi0
