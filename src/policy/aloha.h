// ALOHA's joints and grippers, and those that π0's base model was trained with: what openpi's
// aloha_policy.py does where `adapt_to_pi` is set, as it is unless said, and what lerobot 0.3 does
// where `adapt_to_pi_aloha` is, with the scale of grippers that openpi had then. An arm is six
// joints in radians and a gripper; there are two.
#pragma once

#include <span>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace pi0 {

// A state [14] as the robot gives it, grippers 0 (closed) to 1 along their travel -> as the network
// was trained, grippers by their angle.
std::vector<float> aloha_state_to_pi(std::span<const float> state, Family family);

// Predicted actions [14], in place: the way back. Gripper commands are no inverse of gripper
// states, since the robot takes them in another range.
void aloha_actions_from_pi(std::span<double> actions, Family family);

// Its inverse: commands [14] as the robot takes them -> as they were predicted.
void aloha_actions_to_pi(std::span<double> actions, Family family);

}  // namespace pi0
