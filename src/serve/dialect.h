// Servers of others that speak openpi's messages, and each a little more.
#pragma once

#include <string_view>

namespace pi0 {

enum class Dialect {
  kOpenpi,
  kSglang,    // multimodal_gen's action_utils.py: other metadata, options beside the observation
  kVllmOmni,  // RobotRealtimeConnection: answers are bare arrays, errors maps; there is a reset
};

// A client asks for it by the path of its request's target.
Dialect dialect_of(std::string_view target);

}  // namespace pi0
