#include "replay/played_call.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "verify/compare.h"

namespace pi0 {
namespace {

std::vector<float> without(const std::vector<float>& values, const std::vector<float>& noise) {
  std::vector<float> rest(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) rest[i] = values[i] - noise[i];
  return rest;
}

bool equal_bits(const std::vector<float>& one, const std::vector<float>& other) {
  const auto bits = [](float value) { return std::bit_cast<std::uint32_t>(value); };
  return std::ranges::equal(one, other, {}, bits, bits);
}

bool tells_outputs(const RecordedCall& recorded, const Outcome& now) {
  return !now.outputs.empty() && now.outputs.size() == recorded.outputs.values.size() &&
         now.outputs.size() == recorded.noise.values.size();
}

// A recorded call's numbers: [observations, rows], each of `width` of the network's outputs, of
// which the first `dims` become actions.
struct Layout {
  explicit Layout(const RecordedCall& recorded)
      : observations(static_cast<std::size_t>(recorded.actions.shape[0])),
        rows(static_cast<std::size_t>(recorded.actions.shape[1])),
        dims(static_cast<std::size_t>(recorded.actions.shape[2])),
        width(static_cast<std::size_t>(recorded.outputs.shape[2])) {}
  std::size_t action(std::size_t row, std::size_t dim) const { return row * dims + dim; }
  std::size_t output(std::size_t row, std::size_t dim) const { return row * width + dim; }

  std::size_t observations, rows, dims, width;
};

// [observations, dims]: how much of the robot's unit one of the network's is. NaN where the
// network said one value in all rows, which do not tell.
std::vector<double> units_of(const RecordedCall& recorded, const Layout& at) {
  const std::vector<float>& outputs = recorded.outputs.values;
  const std::vector<float>& actions = recorded.actions.values;
  std::vector<double> units;
  for (std::size_t first = 0; first < at.observations * at.rows; first += at.rows) {
    for (std::size_t dim = 0; dim < at.dims; ++dim) {
      std::size_t least = first, most = first;
      for (std::size_t row = first; row < first + at.rows; ++row) {
        if (outputs[at.output(row, dim)] < outputs[at.output(least, dim)]) least = row;
        if (outputs[at.output(row, dim)] > outputs[at.output(most, dim)]) most = row;
      }
      units.push_back((double{actions[at.action(most, dim)]} - actions[at.action(least, dim)]) /
                      (double{outputs[at.output(most, dim)]} - outputs[at.output(least, dim)]));
    }
  }
  return units;
}

// The square of how far the network's outputs may be from the recorded ones where their
// correlation, with the noise taken off, is `least`.
double square_allowed(const RecordedCall& recorded, double least) {
  const std::vector<float> made = without(recorded.outputs.values, recorded.noise.values);
  double sum = 0, squares = 0;
  for (const float value : made) sum += value, squares += double{value} * value;
  return 2 * (1 - least) * (squares - sum * sum / static_cast<double>(made.size()));
}

// What is wrong with actions whose outputs may be close; empty where nothing is. `allowed`: what
// fp32's arithmetic makes of an action.
std::string unexplained(const RecordedCall& recorded, const Outcome& now, double allowed,
                        double least) {
  const RecordedArray& outputs = recorded.outputs;
  const RecordedArray& actions = recorded.actions;
  if (outputs.shape.size() != 3 || outputs.shape[0] != actions.shape[0] ||
      outputs.shape[1] != actions.shape[1] || outputs.shape[2] < actions.shape[2] ||
      outputs.values.size() != recorded.noise.values.size()) {
    return "it was recorded without the outputs that its actions are of";
  }
  const bool told = tells_outputs(recorded, now);
  if (told && equal_bits(outputs.values, now.outputs)) {
    return "the network gives the same, its actions are not";
  }
  const Layout at(recorded);
  const std::vector<double> units = units_of(recorded, at);
  double square = 0;  // of the outputs' difference, as actions tell it
  for (std::size_t row = 0; row < at.observations * at.rows; ++row) {
    for (std::size_t dim = 0; dim < at.dims; ++dim) {
      const double unit = units[row / at.rows * at.dims + dim];
      if (std::isnan(unit)) continue;
      const std::size_t action = at.action(row, dim), output = at.output(row, dim);
      const double moved = double{now.actions[action]} - actions.values[action];
      const double by_outputs =
          told ? unit * (double{now.outputs[output]} - outputs.values[output]) : 0;
      const double rest = std::abs(moved - by_outputs);
      if (rest <= allowed) continue;
      if (told) return "its actions are not what was made of such outputs then";
      square += std::pow((rest - allowed) / unit, 2);
    }
  }
  const bool fits = square <= square_allowed(recorded, least);
  return fits ? "" : "its actions are further off than outputs that are close make them";
}

double correlation_of(const RecordedCall& recorded, const Outcome& now, double of_actions) {
  if (!tells_outputs(recorded, now)) return of_actions;
  const std::vector<float>& noise = recorded.noise.values;
  return compare(without(recorded.outputs.values, noise), without(now.outputs, noise)).correlation;
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
  if (!recorded.error_code.empty() && recorded.error_code == now.error_code) {
    played.verdict = Verdict::kEqual;
  } else if (!recorded.error_code.empty() && now.error.empty()) {
    played.why = "it gives actions now, then: " + recorded.error;
  } else if (!recorded.error_code.empty()) {
    played.why = fmt::format("{}; then {}: {}", now.error, recorded.error_code, recorded.error);
  } else if (!now.error.empty()) {
    played.why = now.error;
  } else if (then.size() != now.actions.size()) {
    played.why = fmt::format("{} numbers now, {} then", now.actions.size(), then.size());
  } else {
    const Difference difference = compare(then, now.actions);
    played.largest_difference = difference.largest;
    played.correlation = correlation_of(recorded, now, difference.correlation);
    const double least = least_of(recorded, now, tolerances);
    const double allowed = tolerances.difference * std::max(1.0, difference.magnitude);
    if (equal_bits(then, now.actions)) {
      played.verdict = Verdict::kEqual;
    } else if (tolerances.difference > 0 &&
               (least > 0 ? *played.correlation >= least : difference.largest <= allowed)) {
      if (least > 0) played.why = unexplained(recorded, now, allowed, least);
      if (played.why.empty()) played.verdict = Verdict::kClose;
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
