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

// Nothing where no chunk came before. Throws Error (kInvalidInput) for what does not fit.
std::optional<Pi0Guidance> pack_guidance(const RealTimeChunking& rtc, const NetworkInfo& info);

}  // namespace pi0
