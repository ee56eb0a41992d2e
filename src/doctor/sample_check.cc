#include "doctor/sample_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "checkpoint/form/sentence.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

// Of the error of the best that looks at nothing; a policy above it is warned about.
constexpr double kHardlyBetter = 0.8;

// Of each dimension, over all moments and steps.
struct Spread {
  std::vector<double> mean;
  std::vector<double> deviation;  // 0 where it does not change
};

Spread spread_of(const DataSample& sample) {
  const auto dims = static_cast<std::size_t>(sample.dims);
  std::vector<double> count(dims), sum(dims), square(dims);
  const auto for_each = [&](const auto& take) {
    for (const Moment& moment : sample.moments) {
      for (std::size_t i = 0; i < moment.actions.size(); ++i) take(i % dims, moment.actions[i]);
    }
  };
  for_each([&](std::size_t d, double value) {
    ++count[d];
    sum[d] += value;
  });
  Spread spread{sum, std::vector<double>(dims)};
  for (std::size_t d = 0; d < dims; ++d) spread.mean[d] /= count[d];
  for_each([&](std::size_t d, double value) { square[d] += std::pow(value - spread.mean[d], 2); });
  for (std::size_t d = 0; d < dims; ++d) spread.deviation[d] = std::sqrt(square[d] / count[d]);
  return spread;
}

// The squares of one way to predict, added up.
struct Squares {
  const Spread& spread;
  double sum = 0;
  double count = 0;

  void add(std::size_t dimension, double predicted, double actual) {
    if (spread.deviation[dimension] == 0) return;
    sum += std::pow((predicted - actual) / spread.deviation[dimension], 2);
    ++count;
  }
  double error() const { return std::sqrt(sum / count); }
};

// What a warning is about: what stands before the values that it names.
std::string kind_of(const std::string& warning) { return warning.substr(0, warning.find(": ")); }

}  // namespace

void require_fitting(const DataSample& sample, int action_dims) {
  if (sample.dims != action_dims) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: actions of {} dimensions, the policy's have {}", sample.where,
                            sample.dims, action_dims));
  }
  const std::vector<double> deviations = spread_of(sample).deviation;
  if (std::all_of(deviations.begin(), deviations.end(), [](double one) { return one == 0; })) {
    throw Error(ErrorCode::kInvalidInput,
                sample.where + ": the actions are the same in every step: nothing to predict");
  }
}

std::vector<PredictionError> prediction_errors(const Policy& policy, const DataSample& sample,
                                               const std::function<void(const Progress&)>& progress,
                                               std::vector<std::string>& warnings) {
  const auto dims = static_cast<std::size_t>(sample.dims);
  const Spread spread = spread_of(sample);
  Squares own{spread}, mean{spread}, held{spread}, none{spread};
  bool can_hold = true;
  for (std::size_t i = 0; i < sample.moments.size(); ++i) {
    if (progress) progress({"predicting", i, sample.moments.size()});
    const Moment& moment = sample.moments[i];
    SampleOptions options{.noise = moment.noise};
    if (moment.noise.empty()) options.seed = i;
    const ActionChunk chunk = policy.infer(moment.observation, options);
    for (const std::string& warning : chunk.warnings) {
      const bool said = std::any_of(warnings.begin(), warnings.end(), [&](const auto& earlier) {
        return kind_of(earlier) == kind_of(warning);
      });
      if (!said) warnings.push_back(warning);
    }
    const std::vector<float>& state = moment.observation.state;
    can_hold = can_hold && state.size() == dims;
    const std::size_t values = std::min(moment.actions.size(), chunk.actions.size());
    for (std::size_t k = 0; k < values; ++k) {
      const std::size_t d = k % dims;
      const double actual = moment.actions[k];
      own.add(d, chunk.actions[k], actual);
      mean.add(d, spread.mean[d], actual);
      none.add(d, 0, actual);
      if (can_hold) held.add(d, state[d], actual);
    }
  }
  std::vector<PredictionError> errors{{"the policy", own.error()},
                                      {"the mean action", mean.error()}};
  if (can_hold) errors.push_back({"holding still (the state)", held.error()});
  errors.push_back({"no action (zeros)", none.error()});
  return errors;
}

Findings sample_findings(const Policy& policy, const DataSample& sample,
                         const std::function<void(const Progress&)>& progress) {
  std::vector<std::string> warnings;
  const std::vector<PredictionError> errors = prediction_errors(policy, sample, progress, warnings);
  const auto best = std::min_element(
      errors.begin() + 1, errors.end(),
      [](const PredictionError& a, const PredictionError& b) { return a.error < b.error; });
  std::vector<std::string> others;
  for (auto other = errors.begin() + 1; other != errors.end(); ++other) {
    others.push_back(fmt::format("{} {}", other->name, fixed_text(other->error, 2)));
  }
  const double own = errors.front().error;
  Finding finding{Severity::kOk, "predictions",
                  fmt::format("off by {} of the data's spread over {} observations; {}",
                              fixed_text(own, 2), sample.moments.size(), list_of(others))};
  if (!(own < kHardlyBetter * best->error)) {
    const bool no_better = !(own < best->error);
    finding.severity = no_better ? Severity::kRefuse : Severity::kWarning;
    finding.why = fmt::format("the policy is {} than {}, which looks at nothing",
                              no_better ? "no better" : "hardly better", best->name);
    finding.way_out =
        "check that cameras, prompt, and the state's and actions' order and units are those of the "
        "training; if they are, it has not learned the task";
  }
  Findings findings{std::move(finding)};
  for (const std::string& warning : warnings) {
    findings.push_back({Severity::kWarning, "predictions", warning,
                        "said of at least one observation in the sample, as pi0 run would say it",
                        "give the robot's observations as they were in training"});
  }
  return findings;
}

}  // namespace pi0
