// Policies and messages for the tests of robots. For tests only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/test_support.h"
#include "robots/robot.h"
#include "wire/decode.h"

namespace pi0 {

inline PolicyInfo policy_with(const std::vector<std::string>& cameras,
                              const std::string& family = "lerobot") {
  PolicyInfo policy = {.kind = "pi0", .family = family, .action_dims = 14};
  for (const std::string& name : cameras) {
    const bool lerobot = family == "lerobot";
    policy.cameras.push_back({(lerobot ? "observation.images." : "") + name, name});
  }
  return policy;
}

inline PolicyInfo openpi_policy() {
  return policy_with({"base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"}, "openpi");
}

// A message, and what it is once it is read, which lies in it.
struct Message {
  explicit Message(const std::function<void(Encoder&)>& write) {
    Encoder encoder;
    write(encoder);
    bytes = encoder.take();
    value = decode(bytes);
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  const ValueMap& map() const { return to_map(value, "message"); }

  std::vector<std::byte> bytes;
  Value value;
};

}  // namespace pi0
