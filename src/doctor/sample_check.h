// Whether a policy predicts what happened, better than predictions that look at nothing.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "doctor/finding.h"
#include "doctor/sample.h"
#include "pi0/policy.h"

namespace pi0 {

// A way to predict, and its root mean square error over all observations, steps and dimensions,
// each dimension in units of its standard deviation in the sample.
struct PredictionError {
  std::string name;
  double error = 0;
};

// Throws Error (kInvalidInput) where its actions are not of so many dimensions, or are the same in
// every step.
void require_fitting(const DataSample& sample, int action_dims);

// `policy` against the sample, the policy first; then what predicts without looking: the sample's
// mean action, the state held (where it has as many values as an action), no action (zeros).
// Dimensions that do not change in the sample, which must fit, are left out. Throws Error
// (kInvalidInput) where an observation does not fit the policy. Of the warnings of the policy's
// calls, the first of each kind is added to `warnings`.
std::vector<PredictionError> prediction_errors(const Policy& policy, const DataSample& sample,
                                               const std::function<void(const Progress&)>& progress,
                                               std::vector<std::string>& warnings);

Findings sample_findings(const Policy& policy, const DataSample& sample,
                         const std::function<void(const Progress&)>& progress);

}  // namespace pi0
