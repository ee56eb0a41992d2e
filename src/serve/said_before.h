// What a log need not say again.
#pragma once

#include <cstddef>
#include <deque>
#include <set>
#include <string>

#include "serve/allowance.h"

namespace pi0 {

// The last of what was said, so that what clients bring about takes no memory without end.
class SaidBefore {
 public:
  static constexpr std::size_t kMost = 256;

  // Whether it is to be said now: it is not among them, and they do not come one after another
  // without end. From then on it is among them.
  bool operator()(const std::string& what, Clock::time_point now = Clock::now()) {
    if (all_.contains(what) || !lines_.take(now)) return false;
    all_.insert(what);
    in_order_.push_back(what);
    if (in_order_.size() > kMost) {
      all_.erase(in_order_.front());
      in_order_.pop_front();
    }
    return true;
  }

 private:
  Allowance lines_{10};  // a second
  std::set<std::string> all_;
  std::deque<std::string> in_order_;  // the oldest first
};

}  // namespace pi0
