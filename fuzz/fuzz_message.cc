// A message of openpi's protocol from bytes: what it holds, and as each robot's observation, a
// server's metadata, a client's request again. Only pi0::Error may escape.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "image/view.h"
#include "pi0/error.h"
#include "robots/robot_keys.h"
#include "wire/decode.h"

namespace {

std::vector<pi0::Robot> robots() {
  pi0::PolicyInfo policy;
  for (const char* const name : {"base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"}) {
    policy.cameras.push_back({name, name});
  }
  std::vector<pi0::Robot> all;
  for (const char* const name : {"aloha", "libero", "droid", "none"}) {
    all.push_back(pi0::find_robot(name, policy));
  }
  return all;
}

// Reads every pixel that an observation has.
void read_pixels(const pi0::Observation& observation) {
  for (const auto& [name, image] : observation.images) pi0::view_of(image, name);
  for (const auto& [name, view] : observation.views) {
    pi0::require_view(view, name);
    pi0::require_values(view, name);
    if (pi0::to_8bit(view).rgb.empty()) std::abort();
  }
}

void read_message(const pi0::Robot& robot, const pi0::ValueMap& message) {
  try {
    const pi0::RobotObservation read = pi0::to_observation(robot, message, "go");
    read_pixels(read.observation);
    pi0::Encoder encoder;
    pi0::encode_observation(robot, read.observation, encoder);
    const std::vector<std::byte> bytes = encoder.take();
    const pi0::Value again = pi0::decode(bytes);
    if (pi0::to_observation(robot, pi0::to_map(again, "again"), {}).observation.state.size() !=
        read.observation.state.size()) {
      std::abort();
    }
  } catch (const pi0::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<pi0::Robot> all = robots();
  try {
    const pi0::Value value = pi0::decode(std::as_bytes(std::span(data, size)));
    pi0::describe(value);
    const pi0::ValueMap& message = pi0::to_map(value, "message");
    for (const pi0::Robot& robot : all) read_message(robot, message);
    read_message(pi0::robot_from_metadata(message), message);
  } catch (const pi0::Error&) {
  }
  return 0;
}
