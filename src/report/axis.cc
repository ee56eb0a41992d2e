#include "report/axis.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace pi0 {
namespace {

int exponent_of(double value) { return static_cast<int>(std::floor(std::log10(value) + 1e-9)); }

// The smallest of 1, 2, 5 times a power of ten that is no smaller than `step`.
double round_step(double step) {
  const double power = std::pow(10.0, exponent_of(step));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= step * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

void add_ticks(Axis& axis, double step) {
  const double largest = std::max(std::abs(axis.low), std::abs(axis.high));
  // Beyond six digits before the point, or zeros after it, an exponent is shorter.
  const bool scientific = largest >= 1e6 || step < 1e-5;
  const int decimals = scientific ? std::max(0, exponent_of(largest) - exponent_of(step))
                                  : std::max(0, -exponent_of(step));
  const double first = std::ceil(axis.low / step);
  const int count = static_cast<int>(std::floor(axis.high / step) - first) + 1;
  for (int i = 0; i < count; ++i) {
    const double tick = (first + i) * step;
    axis.ticks.push_back(tick);
    axis.labels.push_back(scientific && tick != 0 ? scientific_text(tick, decimals)
                                                  : fixed_text(tick, scientific ? 0 : decimals));
  }
}

}  // namespace

Axis value_axis(double smallest, double largest, int wanted, double least_span) {
  const double magnitude = std::max(std::abs(smallest), std::abs(largest));
  const double span = largest - smallest;
  if (least_span <= 0) least_span = magnitude > 0 ? 0.05 * magnitude : 2.0;
  const double room = std::max(0.07 * span, (least_span - span) / 2);
  Axis axis;
  axis.low = smallest - room;
  axis.high = largest + room;
  const double step = round_step((axis.high - axis.low) / wanted);
  add_ticks(axis, step);
  if (axis.ticks.size() < 3) {  // one or two do not show a scale
    axis.ticks.clear();
    axis.labels.clear();
    add_ticks(axis, round_step(step / 2.5));
  }
  return axis;
}

Axis step_axis(int count, int wanted) {
  Axis axis;
  axis.low = -0.5;
  axis.high = count - 0.5;
  add_ticks(axis, std::max(1.0, round_step(static_cast<double>(count) / wanted)));
  return axis;
}

Axis time_axis(int count, double hz, int wanted) {
  Axis axis;
  axis.low = -0.5 / hz;
  axis.high = (count - 0.5) / hz;
  add_ticks(axis, round_step(count / hz / wanted));
  return axis;
}

}  // namespace pi0
