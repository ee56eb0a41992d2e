// A robot's own keys: what its messages, and its programs in Python, call an image, the state and
// the instruction, as `pi0 serve --robot` takes them (docs/robots.md).
//
//   const pi0::RobotKeys keys = pi0::RobotKeys::find("libero", policy.info());
//   const auto seen = keys.observation({{"observation/image", pi0::ArrayView{"|u1", {256, 256, 3},
//   data}},
//                                       {"observation/state", pi0::ArrayView{"<f4", {8}, state}},
//                                       {"prompt", "open the drawer"}});
//   policy.infer(seen.observation);
//
// In builds with PI0_SERVE, as the installed ones are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "pi0/checkpoint.h"
#include "pi0/error.h"
#include "pi0/export.h"
#include "pi0/observation.h"

namespace pi0 {

struct Robot;

// An array where it lies, at any alignment, in C order without gaps.
struct PI0_API ArrayView {
  std::string dtype = {};                // numpy's dtype.str: "|u1", "<f4"
  std::vector<std::int64_t> shape = {};  // none of a scalar
  const void* data = nullptr;
};

// A text, an array, or a file's bytes (PNG or JPEG).
using RobotValue = std::variant<std::string, ArrayView, std::span<const std::byte>>;
using RobotValues = std::vector<std::pair<std::string, RobotValue>>;

// An observation whose views are of the arrays that it was made from, or of `pixels`, under the
// checkpoint's own names of cameras (`Observation::renamed`). To be moved, not copied.
struct PI0_API RobotObservation {
  Observation observation = {};
  std::list<std::vector<float>> pixels = {};  // of images that could not be used where they lie
};

class PI0_API RobotKeys {
 public:
  // "aloha", "libero", "droid", as openpi's policies for them, or "none": lerobot's keys for the
  // checkpoint's own cameras, and those that its rename_map renames to them. Throws Error
  // (kInvalidInput) for another name, or where it is not plain which of the checkpoint's cameras
  // the robot's are.
  static RobotKeys find(const std::string& name, const PolicyInfo& policy);
  // Of a file (docs/serving.md). Throws Error (kIo, kInvalidInput) naming what in it is wrong.
  static RobotKeys read(const std::filesystem::path& file, const PolicyInfo& policy);

  // What is legal but worth saying of the robot with a policy: openpi's own configurations of it
  // convert actions, and this checkpoint does not, say.
  std::vector<std::string> warnings(const PolicyInfo& policy) const;

  // How many of a policy's `dims` the robot is sent.
  int action_dims(int dims) const;
  std::vector<std::string> images() const;  // keys, of cameras that are used; of one, any of its
  std::string camera(const std::string& key) const;  // the checkpoint's, of one of them
  std::vector<std::string> state() const;            // keys whose values follow one another
  const std::string& prompt() const;                 // its key

  // In a key, "a/b" is also what is under "b" in a map "a". Images: uint8, [height, width, 3] or
  // [3, height, width], are used where they lie, as lerobot's float32 are; other numbers and files
  // are converted. Other keys are not looked at. `prompt`: where there is none under its key.
  // Throws Error naming the key that is absent or does not fit.
  RobotObservation observation(const RobotValues& values,
                               const std::optional<std::string>& prompt = {}) const;

 private:
  struct Impl;
  explicit RobotKeys(std::shared_ptr<const Impl> impl);
  friend RobotKeys keys_of(Robot robot);
  std::shared_ptr<const Impl> impl_;
};

}  // namespace pi0
