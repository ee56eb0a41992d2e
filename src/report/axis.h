// Where a drawing's axis begins and ends, and the round numbers to mark on it.
#pragma once

#include <string>
#include <vector>

namespace pi0 {

struct Axis {
  double low = 0;
  double high = 1;
  std::vector<double> ticks;        // ascending, within [low, high]
  std::vector<std::string> labels;  // one a tick, all with the same number of digits

  // 0 at `low`, 1 at `high`.
  double fraction(double value) const { return (value - low) / (high - low); }
};

// An axis with some room around [smallest, largest] and about `wanted` ticks (three at least), 1,
// 2 or 5 times a power of ten apart. It spans `least_span` at least, so that values that hardly
// differ look as if they do not; where that is 0, a twentieth of the values themselves.
Axis value_axis(double smallest, double largest, int wanted, double least_span = 0);

// An axis of the control steps 0 … count - 1, half a step of room on either side, and about
// `wanted` ticks, all whole steps.
Axis step_axis(int count, int wanted);
// The same in seconds, `hz` steps in each, and with ticks at round times.
Axis time_axis(int count, double hz, int wanted);

}  // namespace pi0
