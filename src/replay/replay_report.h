// What a replay found, as tables.
#pragma once

#include <string>
#include <vector>

#include "replay/played_call.h"
#include "report/report.h"

namespace pi0 {

// `then`, `now`: the devices that computed them.
Report replay_report(const std::vector<PlayedCall>& calls, const std::string& then,
                     const std::string& now);

// Whether none differs, and one at least was played.
bool all_agree(const std::vector<PlayedCall>& calls);

}  // namespace pi0
