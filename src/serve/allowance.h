// How often a client may call.
#pragma once

#include <algorithm>

#include "serve/call.h"

namespace pi0 {

// So many calls a second; a second's worth of them, and one at least, may come at once later on.
class Allowance {
 public:
  explicit Allowance(double rate, Clock::time_point now = Clock::now()) : rate_(rate), at_(now) {}

  // Whether there is a call left, which is then used up.
  bool take(Clock::time_point now = Clock::now()) {
    calls_ = std::min(std::max(rate_, 1.0), calls_ + ms_between(at_, now) / 1000 * rate_);
    at_ = now;
    if (calls_ < 1) return false;
    calls_ -= 1;
    return true;
  }

 private:
  const double rate_;
  double calls_ = 1;
  Clock::time_point at_;
};

}  // namespace pi0
