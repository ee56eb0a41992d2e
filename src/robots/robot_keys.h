// A robot's keys, as a user's file and a server's first message have them:
//
//   {"images": {"observation.images.top": "base_0_rgb", "observation.images.low": null},
//    "required": ["observation.images.top"],
//    "state": ["observation.state"],
//    "prompt": "task",
//    "action_dims": 7,
//    "floats": "openpi"}
//
// "images" alone must be there: what a message calls a camera -> the checkpoint's name for it, or
// null where its image is not used. In a key, "a/b" also means {"a": {"b": …}}. "required": those
// without which a message is refused; none unless said. "state" and "prompt" are as above unless
// said; "state" may be empty. "action_dims": how many of the policy's the robot is sent; all unless
// said. "floats": how images of floats become pixels, "openpi" (cut to 8 bits) or "lerobot" (as
// they are), which it is unless said. See ImageRule.
#pragma once

#include <filesystem>

#include "robots/robot.h"

namespace pi0 {

// Throws Error (kIo, kInvalidInput) naming the file, where it is no such file, has another key, or
// names a camera that is none of the policy's or a second time.
Robot read_robot(const std::filesystem::path& path, const PolicyInfo& policy);

// One value, that map.
void encode_robot(const Robot& robot, Encoder& encoder);

// Of a server's first message, where the map is "robot" in its map "pi0". Throws Error
// (kInvalidInput) where it is not: the server is not one of ours.
Robot robot_from_metadata(const ValueMap& metadata);

}  // namespace pi0
