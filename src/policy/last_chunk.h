// A session's last chunk, and how the next one goes on from it: real-time chunking.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pi0/policy.h"
#include "policy/pipeline.h"

namespace pi0 {

struct LastChunk {
  std::vector<float> model_actions = {};  // [rows, action_dim], as the network gave them
  std::vector<float> state = {};          // from which it predicted them
  std::vector<float> actions = {};        // [rows, dims], in the robot's units; none: no chunk yet
  int dims = 0;
  int begun = 0;                      // the first row that goes out
  std::vector<float> preceding = {};  // [dims], what goes out just before that; none: nothing does

  int rows() const { return dims == 0 ? 0 : static_cast<int>(actions.size()) / dims; }
  // What goes out in the step of row `step`, which may lie before the chunk or after it; there is a
  // chunk.
  std::span<const float> sent(std::int64_t step) const;
};

// Throws Error (kInvalidInput) where `rtc`, with its `executed`, does not fit a session whose last
// chunk had `rows`, or an observation with a state of `state_dims`.
void require_continuable(const RealTimeChunking& rtc, const Pipeline& pipeline, int rows,
                         std::size_t state_dims);

// How a call continues a chunk that there is. Both may lie beyond the chunk's end.
struct Takeover {
  std::int64_t first = 0;  // the row of the last chunk that is for the new one's row 0
  std::int64_t next = 0;   // the row of the last chunk in whose place the new one begins to go out
};
Takeover takeover_of(const RealTimeChunking& rtc);

// The same, as the network takes it: towards what is left of `last`, seen from `state`.
RealTimeChunking towards_left_over(const LastChunk& last, const RealTimeChunking& rtc,
                                   const Pipeline& pipeline, std::span<const float> state);

Seam seam_between(const LastChunk& last, const RealTimeChunking& rtc, const ActionChunk& chunk);

// Throws Error (kLimit) naming the first dimension in which a seam is over `rtc`'s limits.
void require_within_limits(const Seam& seam, const RealTimeChunking& rtc,
                           const std::vector<std::string>& names);

}  // namespace pi0
