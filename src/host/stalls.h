// Whether a piece of work is worth sharing, on a machine whose cores others want too: there a
// thread may lose its core in the middle of an item, and whoever waits for it waits through the
// others' time slices.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace pi0::cpu {

class Stalls {
 public:
  using Clock = std::chrono::steady_clock;

  // Work that begins now is its caller's alone, until it has gone on for kLong.
  bool recent(Clock::time_point now) const { return now < alone_until_; }

  // What a piece of shared work took that is done now: its caller worked on `own` of `count` items
  // for `busy` and then `waited` for those that others had begun. It was a stall where it took
  // longer by that than its caller would have taken alone. The longer ago the last one, the less is
  // made of it.
  void note(Clock::time_point now, Clock::duration busy, Clock::duration waited, std::int64_t own,
            std::int64_t count) {
    const bool is_short = own != 0 && busy < kShort;
    if (!is_short || waited < kStall || (busy + waited) * own <= busy * count) return;
    const bool long_ago = now - alone_until_ > alone_for_;
    alone_for_ = std::clamp(long_ago ? alone_for_ / 2 : alone_for_ * 2, kLeastAlone, kMostAlone);
    alone_until_ = now + alone_for_;
  }

  // Work that goes on for longer is worth a stall.
  static constexpr std::chrono::milliseconds kLong{4};

 private:
  // Who works for less than a millisecond and then waits for half of one waits for a thread that
  // has lost its core: time slices are some milliseconds.
  static constexpr std::chrono::milliseconds kShort{1};
  static constexpr std::chrono::microseconds kStall{500};
  // How long short work is not shared after a stall, the first and after many.
  static constexpr Clock::duration kLeastAlone = std::chrono::milliseconds(8);
  static constexpr Clock::duration kMostAlone = std::chrono::milliseconds(128);

  Clock::time_point alone_until_{};
  Clock::duration alone_for_{};
};

}  // namespace pi0::cpu
