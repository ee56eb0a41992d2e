#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "checkpoint/form/normalization.h"
#include "checkpoint/form/sentence.h"
#include "doctor/checks.h"
#include "doctor/ways_out.h"

namespace pi0 {
namespace {

// A dimension's spread and magnitude, beside the median of the others'.
constexpr double kTinyBesideOthers = 1e-4;
constexpr double kLargeBesideOthers = 300;
// A hundredth of the data lies beyond each quantile, so the std is at least 0.07 of their distance;
// one value in a million as far out as the range is wide leaves it a thousandth of that.
constexpr double kTinyBesideQuantiles = 0.03;
constexpr double kTinyBesideRange = 5e-4;

constexpr const char* kRecompute =
    "compute the statistics again from the data that the policy was trained on";

// One vector's statistics, as far as they are of the robot's own dimensions.
struct Vector {
  const Normalization& normalization;
  std::string subject;
  std::size_t dims;
  const std::vector<std::string>& names;  // one a dimension, or none

  bool moments() const { return normalization.mode == NormalizationMode::kMeanStd; }
  double first(std::size_t i) const { return normalization.first[i]; }
  double second(std::size_t i) const { return normalization.second[i]; }
  double spread(std::size_t i) const { return moments() ? second(i) : (second(i) - first(i)) / 2; }
  double magnitude(std::size_t i) const {
    return moments() ? std::abs(first(i)) + 2 * second(i)
                     : std::max(std::abs(first(i)), std::abs(second(i)));
  }
  std::string name(std::size_t i) const {
    return i < names.size() ? fmt::format("{} ({})", i, names[i]) : std::to_string(i);
  }
  // "mean 0.1, std 2"
  std::string values(std::size_t i) const {
    const auto [one, two] = statistics_of(normalization.mode);
    return fmt::format("{} {}, {} {}", one, short_text(first(i), 4), two, short_text(second(i), 4));
  }
};

// "dimension 3 (mean 0, std 1e-08), 5 (…)" of those for which `holds`; empty: none.
template <typename Holds>
std::string dimensions(const Vector& vector, const Holds& holds) {
  std::vector<std::string> found;
  for (std::size_t i = 0; i < vector.dims; ++i) {
    if (holds(i)) found.push_back(fmt::format("{}: {}", vector.name(i), vector.values(i)));
  }
  return found.empty() ? "" : "dimension " + list_of(found, "; ", 4);
}

// The median of `of` over the dimensions but `left_out`; 0 where it has no others.
template <typename Of>
double median_of_others(const Vector& vector, std::size_t left_out, const Of& of) {
  std::vector<double> others;
  for (std::size_t i = 0; i < vector.dims; ++i) {
    if (i != left_out) others.push_back(of(i));
  }
  if (others.empty()) return 0;
  const auto middle = others.begin() + static_cast<std::ptrdiff_t>(others.size() / 2);
  std::nth_element(others.begin(), middle, others.end());
  return *middle;
}

// The two numbers that all dimensions have, if they are one pair: what nobody's data gives.
std::optional<std::pair<double, double>> single_pair(const Vector& vector) {
  for (std::size_t i = 1; i < vector.dims; ++i) {
    if (vector.first(i) != vector.first(0) || vector.second(i) != vector.second(0)) return {};
  }
  return std::pair(vector.first(0), vector.second(0));
}

// Placeholders: zeros, ones, the range that needs no normalising. Actions may well be from -1 to 1.
std::optional<Finding> inert(const Vector& vector, bool is_action) {
  const auto pair = vector.dims < 2 ? std::nullopt : single_pair(vector);
  if (!pair) return {};
  const auto is = [&](double first, double second) { return *pair == std::pair(first, second); };
  const auto [one, two] = statistics_of(vector.normalization.mode);
  const std::string found =
      fmt::format("{} is {} and {} is {} in all {} dimensions", one, short_text(pair->first, 4),
                  two, short_text(pair->second, 4), vector.dims);
  if (pair->second == (vector.moments() ? 0 : pair->first)) {
    return Finding{Severity::kRefuse, vector.subject, found,
                   "no data has been counted: what differs from it becomes millions, and every "
                   "action is the same",
                   kRecompute};
  }
  const bool range = !vector.moments() && is(-1, 1) &&
                     !(is_action && vector.normalization.mode == NormalizationMode::kMinMax);
  if (!is(0, 1) && !is(1, 1) && !range) return {};
  return Finding{Severity::kWarning, vector.subject, found,
                 "they change nothing or next to nothing: placeholders, unless the data was "
                 "normalised before",
                 kRecompute};
}

// What no data can have, among what is used. (A negative std is refused where it is read.)
void add_impossible(const Vector& vector, Findings& findings) {
  if (vector.moments()) return;
  const std::string wrong =
      dimensions(vector, [&](std::size_t i) { return vector.first(i) > vector.second(i); });
  if (wrong.empty()) return;
  const auto [one, two] = statistics_of(vector.normalization.mode);
  findings.push_back({Severity::kRefuse, vector.subject,
                      fmt::format("{} above {} in {}", one, two, wrong),
                      "the dimension is turned round: the robot moves the other way", kRecompute});
}

// Two statistics that the file has of the vector, both as long as it.
template <typename Holds>
std::string where_both(const Vector& vector, const char* one, const char* two, const Holds& holds) {
  const auto& recorded = vector.normalization.recorded;
  const auto a = recorded.find(one), b = recorded.find(two);
  if (a == recorded.end() || b == recorded.end()) return "";
  std::vector<std::string> found;
  for (std::size_t i = 0; i < std::min({vector.dims, a->second.size(), b->second.size()}); ++i) {
    if (holds(a->second[i], b->second[i], i)) {
      found.push_back(fmt::format("{}: {} {}, {} {}", vector.name(i), one,
                                  short_text(a->second[i], 4), two, short_text(b->second[i], 4)));
    }
  }
  return list_of(found, "; ", 4);
}

// How far apart the file's statistics of one dimension lie, deviations left out.
double range_of(const Vector& vector, std::size_t i) {
  double least = std::numeric_limits<double>::infinity(), largest = -least;
  for (const char* name : {"min", "q01", "q10", "mean", "q90", "q99", "max"}) {
    const auto found = vector.normalization.recorded.find(name);
    if (found == vector.normalization.recorded.end() || i >= found->second.size()) continue;
    least = std::min(least, found->second[i]);
    largest = std::max(largest, found->second[i]);
  }
  return std::max(0.0, largest - least);
}

// The file's statistics beside each other, used or not: of one data set they are in order.
void add_contradictions(const Vector& vector, Findings& findings) {
  const auto [used_one, used_two] = statistics_of(vector.normalization.mode);
  const std::pair<const char*, const char*> ordered[] = {
      {"min", "q01"}, {"min", "max"}, {"q01", "q99"},  {"q01", "q10"}, {"q10", "q90"},
      {"q90", "q99"}, {"q99", "max"}, {"min", "mean"}, {"mean", "max"}};
  for (const auto& [one, two] : ordered) {
    if (one == std::string_view(used_one) && two == std::string_view(used_two)) continue;
    const std::string wrong = where_both(vector, one, two, [&](double a, double b, std::size_t i) {
      // Beyond what rounding does, and lerobot's RunningQuantileStats, whose histogram begins 1e-10
      // below the least value and ends as far above the largest.
      return a - b > 1e-3 * (std::abs(a) + std::abs(b)) &&
             a - b > std::max(1e-8, 1e-6 * range_of(vector, i));
    });
    if (wrong.empty()) continue;
    findings.push_back({Severity::kWarning, vector.subject,
                        fmt::format("{} above {} in dimension {}", one, two, wrong),
                        "no data has both: they are of several data sets, or one was edited",
                        kRecompute});
  }
}

void add_tiny(const Vector& vector, Findings& findings) {
  constexpr const char* kWhy =
      "the dimension is divided by next to nothing: a small difference from training becomes a "
      "huge number in the network";
  const auto below = [&](const char* low, const char* high, double share) {
    return where_both(vector, low, high, [&](double a, double b, std::size_t i) {
      return vector.second(i) > 0 && vector.second(i) < share * (b - a);
    });
  };
  if (vector.moments()) {
    std::string wrong = below("q01", "q99", kTinyBesideQuantiles);
    if (wrong.empty()) wrong = below("min", "max", kTinyBesideRange);
    if (!wrong.empty()) {
      findings.push_back({Severity::kWarning, vector.subject,
                          "a std that is tiny beside the range in dimension " + wrong, kWhy,
                          kRealSpread});
      return;
    }
  }
  const std::string wrong = dimensions(vector, [&](std::size_t i) {
    const auto spread = [&](std::size_t j) { return vector.spread(j); };
    return spread(i) > 0 && spread(i) < kTinyBesideOthers * median_of_others(vector, i, spread);
  });
  if (wrong.empty()) return;
  findings.push_back({Severity::kWarning, vector.subject,
                      "next to no spread, beside the other dimensions, in " + wrong, kWhy,
                      kRealSpread});
}

void add_other_units(const Vector& vector, Findings& findings) {
  const std::string wrong = dimensions(vector, [&](std::size_t i) {
    const auto magnitude = [&](std::size_t j) { return vector.magnitude(j); };
    const double others = median_of_others(vector, i, magnitude);
    return others > 0 && magnitude(i) > kLargeBesideOthers * others;
  });
  if (wrong.empty()) return;
  findings.push_back(
      {Severity::kWarning, vector.subject, "other units than the other dimensions' in " + wrong,
       "a gripper in thousandths beside joints in radians, say: the robot has to give and take "
       "the same units",
       "compare with what the robot's driver reads and takes; convert there, or train with one "
       "scale"});
}

void add_vector(const Vector& vector, bool is_action, Findings& findings) {
  if (vector.normalization.mode == NormalizationMode::kIdentity || vector.dims == 0) return;
  if (const std::optional<Finding> finding = inert(vector, is_action)) {
    findings.push_back(*finding);
    return;
  }
  add_impossible(vector, findings);
  add_contradictions(vector, findings);
  add_tiny(vector, findings);
  add_other_units(vector, findings);
}

// Of the robot's own dimensions; what pads them is not looked at.
Vector vector_of(const Normalization& normalization, const std::string& of, int dims,
                 const std::vector<std::string>& names) {
  const std::size_t all = std::min(normalization.first.size(), normalization.second.size());
  const std::size_t own = dims > 0 ? std::min(all, static_cast<std::size_t>(dims)) : all;
  return {normalization, "statistics of the " + of, own, names};
}

bool are_one(const Vector& state, const Vector& action) {
  if (state.normalization.mode != action.normalization.mode || state.dims != action.dims ||
      state.dims < 2) {
    return false;
  }
  for (std::size_t i = 0; i < state.dims; ++i) {
    if (state.first(i) != action.first(i) || state.second(i) != action.second(i)) return false;
  }
  return true;
}

}  // namespace

Findings statistics_findings(const CheckpointData& checkpoint) {
  Findings findings;
  const std::vector<std::string> none;
  const Vector state = vector_of(checkpoint.state, "state", checkpoint.state_dims, none);
  const Vector action =
      vector_of(checkpoint.action, "actions", checkpoint.action_dims, checkpoint.action_names);
  add_vector(state, false, findings);
  add_vector(action, true, findings);
  if (findings.empty() && are_one(state, action)) {
    findings.push_back({Severity::kWarning, "statistics",
                        fmt::format("those of the state and of the actions are the same in all {} "
                                    "dimensions, to the last digit",
                                    state.dims),
                        "even where an action is the next state, the two differ a little: one was "
                        "copied for the other",
                        kRecompute});
  }
  if (findings.empty() && checkpoint.has_statistics) {
    findings.push_back({Severity::kOk, "statistics",
                        fmt::format("{} dimensions of the state, {} of the actions, all as data "
                                    "can have them",
                                    state.dims, action.dims)});
  }
  return findings;
}

}  // namespace pi0
