// A robot's messages: under which keys they have what a policy asks for, as openpi's policies
// (aloha_policy.py, libero_policy.py, droid_policy.py) and lerobot's datasets call them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "pi0/policy.h"
#include "pi0/robot.h"
#include "wire/encode.h"
#include "wire/value.h"

namespace pi0 {

// How a robot's floats in [0, 1] become pixels. What lies how is told by the shape alone, and alike
// in both: [3, …] has its channels first, [… , 3] last.
enum class ImageRule {
  kOpenpi,   // cut to 8 bits: (255 * x).astype(uint8)
  kLerobot,  // they stay what they are
};

struct CameraKey {
  std::string key = {};  // "observation/image"; "images/cam_high" is also images: {cam_high: …}
  std::string camera = {};  // the checkpoint's name for it; empty: taken, and not used
  bool required = false;
};

struct Robot {
  std::string name = {};  // "aloha"
  std::vector<CameraKey> cameras = {};
  std::vector<std::string> state = {};  // keys whose values follow one another
  std::string prompt = "prompt";        // its key
  int action_dims = 0;                  // the first of the policy's; 0: all
  ImageRule images = ImageRule::kLerobot;
  std::string state_else = {};  // where the first of `state` is absent, in place of all of it
};

// "aloha", "libero", "droid", or "none": lerobot's keys for the checkpoint's own cameras, and those
// that its rename_map renames to them. Throws Error (kInvalidInput) for another name, or where it
// is not plain which of the checkpoint's cameras the robot's are.
Robot find_robot(const std::string& name, const PolicyInfo& policy);

// What is legal but worth saying of a robot with a policy: openpi's own configurations of it
// convert actions, and this checkpoint does not, say.
std::vector<std::string> robot_warnings(const Robot& robot, const PolicyInfo& policy);

// How many of a policy's `dims` the robot is sent.
int action_dims(const Robot& robot, int dims);

// The pixels of a message's PNGs and JPEGs: a file of some kilobytes may have millions.
struct FilePixels {
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  std::int64_t so_far = 0;
};

// Images: uint8 of either layout are used where they lie, as lerobot's float32 are; other floats,
// other integers from 0 to 255, and PNG or JPEG as bytes, are converted. A leading dimension of 1,
// a batch of one, is dropped. A camera without an image is left out, unless it is required; all of
// them may not be, and none may have two. Where a robot's cameras have a map of their own
// ("images"), nothing else may be in it. `prompt`: for messages without one. `files`: its own are
// added, and refused before they are decoded where that is more than `most`. Throws Error naming
// the key that is absent or does not fit: kUnsupported where it is a file of another image format,
// else kInvalidInput.
RobotObservation to_observation(const Robot& robot, const ValueMap& message,
                                const std::optional<std::string>& prompt, FilePixels& files);
RobotObservation to_observation(const Robot& robot, const ValueMap& message,
                                const std::optional<std::string>& prompt);

// The same as the public API has it.
RobotKeys keys_of(Robot robot);

// The way back, for a client: one value, the map that to_observation reads as this observation.
// Cameras "images/…" are in a map of their own, their images of 8 bits [3, …], as openpi's ALOHA
// alone takes them; other keys are flat, other images [… , 3]. All of the state goes under the
// first of the robot's keys for it: a server joins what is under each. Floats are rounded to 8 bits
// where the robot's are cut to them. `others`: entries of the map that the caller writes after it.
// Throws Error (kInvalidInput) naming a camera that the robot has not.
void encode_observation(const Robot& robot, const Observation& observation, Encoder& encoder,
                        std::size_t others = 0);

}  // namespace pi0
