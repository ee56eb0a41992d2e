#include "replay/played_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>

#include "verify/compare.h"

namespace pi0 {
namespace {

std::vector<float> without(const std::vector<float>& values, const std::vector<float>& noise) {
  std::vector<float> rest(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) rest[i] = values[i] - noise[i];
  return rest;
}

std::uint32_t bits(float value) { return std::bit_cast<std::uint32_t>(value); }

double correlation_of(const RecordedCall& recorded, const Outcome& now, double of_actions) {
  const std::vector<float>& then = recorded.outputs.values;
  const std::vector<float>& noise = recorded.noise.values;
  if (then.empty() || then.size() != now.outputs.size() || then.size() != noise.size()) {
    return of_actions;
  }
  return compare(without(then, noise), without(now.outputs, noise)).correlation;
}

double least_of(const RecordedCall& recorded, const Outcome& now, const Tolerances& tolerances) {
  if (tolerances.least_correlation) return *tolerances.least_correlation;
  if (recorded.least_correlation == 0 || now.least_correlation == 0) {
    return std::max(recorded.least_correlation, now.least_correlation);
  }
  return std::min(recorded.least_correlation, now.least_correlation);
}

}  // namespace

PlayedCall judge(const RecordedCall& recorded, const Outcome& now, const Tolerances& tolerances) {
  PlayedCall played;
  played.number = recorded.number;
  played.client = recorded.client;
  played.verdict = Verdict::kDiffers;
  const std::vector<float>& then = recorded.actions.values;
  if (!recorded.error_code.empty() && !now.error.empty()) {
    played.verdict = Verdict::kEqual;
  } else if (!recorded.error_code.empty()) {
    played.why = "it gives actions now, then: " + recorded.error;
  } else if (!now.error.empty()) {
    played.why = now.error;
  } else if (then.size() != now.actions.size()) {
    played.why = fmt::format("{} numbers now, {} then", now.actions.size(), then.size());
  } else {
    const Difference difference = compare(then, now.actions);
    played.largest_difference = difference.largest;
    played.correlation = correlation_of(recorded, now, difference.correlation);
    const double least = least_of(recorded, now, tolerances);
    const bool close = least > 0 ? *played.correlation >= least
                                 : difference.largest <=
                                       tolerances.difference * std::max(1.0, difference.magnitude);
    const bool equal = std::ranges::equal(then, now.actions, {}, bits, bits);
    if (equal) {
      played.verdict = Verdict::kEqual;
    } else if (close && tolerances.difference > 0) {
      played.verdict = Verdict::kClose;
    }
  }
  return played;
}

bool is_circumstance(std::string_view code) {
  constexpr std::string_view kAll[] = {"busy", "stale", "superseded", "stopping", "left"};
  return std::ranges::find(kAll, code) != std::end(kAll);
}

PlayedCall not_compared(const RecordedCall& recorded, std::string why) {
  PlayedCall played;
  played.number = recorded.number;
  played.client = recorded.client;
  played.why = std::move(why);
  return played;
}

}  // namespace pi0
