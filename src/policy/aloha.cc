#include "policy/aloha.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <cstddef>

namespace pi0 {
namespace {

// Joints that turn the other way; grippers are not turned.
constexpr std::array<std::size_t, 4> kFlipped = {1, 2, 8, 9};
constexpr std::array<std::size_t, 2> kGrippers = {6, 13};

// Metres between the fingers, closed and open, as ALOHA scales them to 0 and 1.
constexpr double kClosed = 0.01844, kOpen = 0.05800;
// Interbotix's gripper: a horn that an arm joins to the finger, metres.
constexpr double kArm = 0.036, kHorn = 0.022;
// Which radians training scaled to 0 and 1, and how many one of a command is.
struct GripperScale {
  double least, most, command;
};
// Those of the encoder counts 2405 and 3110 (of 4096, 2048 being 0).
constexpr GripperScale kOfOpenpi = {0.5476, 1.6296, 1};
// modeling_pi0.py of 0.3: "measured on an actual Trossen robot".
constexpr GripperScale kOfLerobot = {0.4, 1.5, 1.5 - 0.4};
// Radians of the puppet's gripper joint, closed and open: ALOHA's commands as 0 and 1.
constexpr double kJointClosed = -0.6213, kJointOpen = 1.4910;

GripperScale scale_of(Family family) { return family == Family::kOpenpi ? kOfOpenpi : kOfLerobot; }

double gripper_to_angle(double travel, const GripperScale& scale) {
  const double metres = travel * (kOpen - kClosed) + kClosed;
  const double sine = (kHorn * kHorn + metres * metres - kArm * kArm) / (2 * kHorn * metres);
  return (std::asin(std::clamp(sine, -1.0, 1.0)) - scale.least) / (scale.most - scale.least);
}

double gripper_from_angle(double angle, const GripperScale& scale) {
  return (angle * scale.command + scale.least - kJointClosed) / (kJointOpen - kJointClosed);
}

double gripper_command_to_angle(double command, const GripperScale& scale) {
  return (command * (kJointOpen - kJointClosed) + kJointClosed - scale.least) / scale.command;
}

}  // namespace

std::vector<float> aloha_state_to_pi(std::span<const float> state, Family family) {
  assert(state.size() == kAlohaDims);
  std::vector<float> result(state.begin(), state.end());
  for (const std::size_t joint : kFlipped) result[joint] = -result[joint];
  for (const std::size_t gripper : kGrippers) {
    result[gripper] = static_cast<float>(gripper_to_angle(result[gripper], scale_of(family)));
  }
  return result;
}

void aloha_actions_from_pi(std::span<double> actions, Family family) {
  assert(actions.size() == kAlohaDims);
  for (const std::size_t joint : kFlipped) actions[joint] = -actions[joint];
  for (const std::size_t gripper : kGrippers) {
    actions[gripper] = gripper_from_angle(actions[gripper], scale_of(family));
  }
}

void aloha_actions_to_pi(std::span<double> actions, Family family) {
  assert(actions.size() == kAlohaDims);
  for (const std::size_t joint : kFlipped) actions[joint] = -actions[joint];
  for (const std::size_t gripper : kGrippers) {
    actions[gripper] = gripper_command_to_angle(actions[gripper], scale_of(family));
  }
}

}  // namespace pi0
