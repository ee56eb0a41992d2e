// Milliseconds of wall time.
#pragma once

#include <chrono>

namespace pi0 {

class Stopwatch {
 public:
  // Since it was made, or last lapped.
  double elapsed_ms() const { return milliseconds(Clock::now() - start_); }
  // The same, and from here anew.
  double lap_ms() {
    const Clock::time_point now = Clock::now();
    const double lap = milliseconds(now - start_);
    start_ = now;
    return lap;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static double milliseconds(Clock::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
  }
  Clock::time_point start_ = Clock::now();
};

}  // namespace pi0
