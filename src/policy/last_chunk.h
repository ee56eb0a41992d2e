// A session's last chunk, and how the next one goes on from it: real-time chunking.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pi0/policy.h"
#include "policy/pipeline.h"

namespace pi0 {

int rows_of(const LastChunk& last, int dims);
// [dims], what goes out in the step of row `step`, which may lie before the chunk or after it;
// there is a chunk.
std::span<const float> sent(const LastChunk& last, int dims, std::int64_t step);

// With all that a session's own has. Throws Error (kInvalidInput) as Session::set_last_chunk does.
LastChunk completed(LastChunk last, const Pipeline& pipeline);

// Throws Error (kInvalidInput) where `rtc`, with its `executed`, does not fit a session whose last
// chunk had `rows`, or an observation with a state of `state_dims`.
void require_continuable(const RealTimeChunking& rtc, const Pipeline& pipeline, int rows,
                         std::size_t state_dims);

// Rows of the last chunk, perhaps beyond its end.
struct Takeover {
  std::int64_t first = 0;  // for the same moment as the new chunk's row 0
  std::int64_t next = 0;   // in whose place the new chunk begins to go out
};
Takeover takeover_of(const RealTimeChunking& rtc);

// In the trained form, how many rows are held: as lerobot's RTCInferenceEngine has it, as many as
// go out, but none that is not left of the last chunk's `rows`, and no more than training had, with
// a warning.
int held_rows(const RealTimeChunking& rtc, int rows, int longest,
              std::vector<std::string>& warnings);

// The same, as the network takes it: towards what is left of `last`, seen from `state`.
RealTimeChunking towards_left_over(const LastChunk& last, const RealTimeChunking& rtc,
                                   const Pipeline& pipeline, std::span<const float> state);

Seam seam_between(const LastChunk& last, const RealTimeChunking& rtc, const ActionChunk& chunk);

// Throws Error (kLimit) naming the first dimension in which a seam is over `rtc`'s limits.
void require_within_limits(const Seam& seam, const RealTimeChunking& rtc,
                           const std::vector<std::string>& names);

}  // namespace pi0
