// What real-time chunking asks for, as a session takes it.
#pragma once

#include <optional>
#include <vector>

#include "pi0/network.h"
#include "runtime/session.h"

namespace pi0 {

// How much each row of a chunk is held to the chunk before, whose first `execution_horizon` rows
// count: lerobot's RTCProcessor.get_prefix_weights.
std::vector<float> prefix_weights(RtcSchedule schedule, int inference_delay, int execution_horizon,
                                  int rows);

// Of the guided form. Nothing where no chunk came before, or the most guidance is none. Throws
// Error (kInvalidInput) for what does not fit.
std::optional<Pi0Guidance> pack_guidance(const RealTimeChunking& rtc, const NetworkInfo& info);

// Of the trained form: lerobot's _prepare_trained_rtc_prefix. Nothing where no chunk came before or
// there is no delay. Throws Error (kInvalidInput) for what does not fit, and where `info` is of no
// network that was trained for it.
std::optional<Pi0HeldRows> pack_held_rows(const RealTimeChunking& rtc, const NetworkInfo& info);

// Throws Error as whichever of the two `rtc` asks for.
void require_rtc_fits(const RealTimeChunking& rtc, const NetworkInfo& info);

}  // namespace pi0
