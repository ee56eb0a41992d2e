// What a log need not say again.
#pragma once

#include <cstddef>
#include <deque>
#include <set>
#include <string>
#include <utility>

namespace pi0 {

// The last of what was said, so that what clients bring about takes no memory without end.
class SaidBefore {
 public:
  static constexpr std::size_t kMost = 256;

  // Whether it is among them. If not, it is from now on.
  bool operator()(const std::string& what) {
    if (!all_.insert(what).second) return true;
    in_order_.push_back(what);
    if (in_order_.size() > kMost) {
      all_.erase(in_order_.front());
      in_order_.pop_front();
    }
    return false;
  }

 private:
  std::set<std::string> all_;
  std::deque<std::string> in_order_;  // the oldest first
};

}  // namespace pi0
