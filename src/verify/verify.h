// Is it the same as PyTorch? Runs what a recording holds the inputs of, and compares every stage
// that it holds the results of.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "pi0/network.h"
#include "verify/recording.h"

namespace pi0 {

struct StageResult {
  std::string stage;  // "prefix_keys 3", "open.actions"
  Shape shape;
  double largest_difference = 0;
  double tolerance = 0;  // absolute: the relative one times the stage's magnitude, at least 1
  double correlation = 1;
  // Above 0: the stage is judged by its correlation. Of x_t and actions it is that of what was
  // added to the noise, which both have in common.
  double least_correlation = 0;
  bool passed() const {  // false for NaN
    return least_correlation > 0 ? correlation >= least_correlation
                                 : largest_difference <= tolerance;
  }
};

struct Verification {
  std::vector<StageResult> stages;
  // What was computed, under the recording's names and shapes; excluded rows are zero.
  std::map<std::string, RecordedTensor> computed;
  std::vector<std::string> warnings;
};

struct VerifyOptions {
  double tolerance = 1e-4;  // how close fp32 computed in one order is to fp32 in another
  std::function<void(const Progress&)> progress;  // may be empty
};

// Where the network's device computes in less than fp32, a stage of the network is judged by its
// correlation: kStageCorrelation inside, its own (NetworkInfo::least_correlation) of
// actions.
inline constexpr double kStageCorrelation = 0.99;

// Throws Error (kInvalidInput) when the recording does not fit the checkpoint.
Verification verify_network(const Network& network, const ModelConfig& config,
                            const NetworkRecording& recording, const std::string& where,
                            const VerifyOptions& options);

// The whole way.
Verification verify_case(const Network& network, const RecordedCase& recorded,
                         const std::string& where, RecordedPipelines& pipelines,
                         const VerifyOptions& options);

}  // namespace pi0
