#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "robots/refuse.h"
#include "robots/robot.h"

namespace pi0 {
namespace {

// A camera, and what checkpoints call it: openpi's, then as datasets of that robot have it.
struct KnownCamera {
  const char* key;
  std::vector<std::string_view> names;
  bool required = false;
  bool used = true;  // by openpi
};

struct KnownRobot {
  const char* name;
  std::vector<KnownCamera> cameras;
  std::vector<std::string> state;
  int action_dims;
};

// Datasets' names: openpi's repack transforms (training/config.py), lerobot's LIBERO and DROID.
const std::vector<KnownRobot>& known_robots() {
  static const std::vector<KnownRobot> robots = {
      {"aloha",
       {{"images/cam_high", {"base_0_rgb", "cam_high", "top"}, true},
        {"images/cam_left_wrist", {"left_wrist_0_rgb", "cam_left_wrist"}},
        {"images/cam_right_wrist", {"right_wrist_0_rgb", "cam_right_wrist"}},
        {"images/cam_low", {"cam_low"}, false, false}},
       {"state"},
       14},
      {"libero",
       {{"observation/image", {"base_0_rgb", "image"}, true},
        {"observation/wrist_image", {"left_wrist_0_rgb", "wrist_image", "image2"}, true}},
       {"observation/state"},
       7},
      {"droid",
       {{"observation/exterior_image_1_left",
         {"base_0_rgb", "exterior_image_1_left", "exterior_1_left"},
         true},
        {"observation/wrist_image_left",
         {"left_wrist_0_rgb", "wrist_image_left", "wrist_left"},
         true}},
       {"observation/joint_position", "observation/gripper_position"},
       8}};
  return robots;
}

const CameraInfo* find_camera(const PolicyInfo& policy, const KnownCamera& known) {
  for (const std::string_view name : known.names) {
    const auto found = std::find_if(
        policy.cameras.begin(), policy.cameras.end(),
        [name](const CameraInfo& camera) { return !camera.empty && camera.name == name; });
    if (found != policy.cameras.end()) return &*found;
  }
  return nullptr;
}

Robot to_robot(const KnownRobot& known, const PolicyInfo& policy) {
  Robot robot = {.name = known.name,
                 .state = known.state,
                 .action_dims = known.action_dims,
                 .images = ImageRule::kOpenpi};
  const KnownCamera* lost = nullptr;
  std::string others;  // the checkpoint's cameras that nothing goes to
  for (const KnownCamera& camera : known.cameras) {
    const CameraInfo* const found = find_camera(policy, camera);
    if (!found && camera.used && (!lost || camera.required)) lost = &camera;
    robot.cameras.push_back({camera.key, found ? found->name : "", camera.required});
  }
  for (const CameraInfo& camera : policy.cameras) {
    const bool used =
        std::any_of(robot.cameras.begin(), robot.cameras.end(),
                    [&camera](const CameraKey& key) { return key.camera == camera.name; });
    if (!used && !camera.empty) others += (others.empty() ? "" : ", ") + camera.name;
  }
  // An optional one may have no place where every place is taken.
  if (lost && (lost->required || !others.empty())) {
    refuse("robot " + robot.name,
           fmt::format("{} is none of the checkpoint's cameras by its name; say "
                       "which of them ({}) in a file of keys (--keys)",
                       lost->key, others.empty() ? "all are taken" : others));
  }
  return robot;
}

// A robot with one camera may have it as "observation.image".
std::string lerobot_key(const std::string& camera) {
  return camera.starts_with("observation.") ? camera : "observation.images." + camera;
}

// As lerobot's rename step has them: a key that is renamed is another feature's, and no longer its
// own; all others stay, also beside one that is renamed to them.
Robot lerobot_robot(const PolicyInfo& policy) {
  Robot robot = {.name = "none", .state = {"observation.state"}, .prompt = "task"};
  for (const CameraInfo& camera : policy.cameras) {
    if (camera.empty) continue;
    if (!policy.rename_map.contains(camera.feature)) {
      robot.cameras.push_back({lerobot_key(camera.name), camera.name});
    }
    for (const auto& [key, feature] : policy.rename_map) {
      if (feature == camera.feature) robot.cameras.push_back({key, camera.name});
    }
  }
  for (const auto& [key, feature] : policy.rename_map) {
    if (feature != "observation.state") continue;
    robot.state = {key};
    if (!policy.rename_map.contains(feature)) robot.state_else = feature;
  }
  return robot;
}

}  // namespace

Robot find_robot(const std::string& name, const PolicyInfo& policy) {
  if (name == "none") return lerobot_robot(policy);
  for (const KnownRobot& known : known_robots()) {
    if (name == known.name) return to_robot(known, policy);
  }
  refuse("robot", "is \"" + name + "\", expected aloha, libero, droid or none");
}

std::vector<std::string> robot_warnings(const Robot& robot, const PolicyInfo& policy) {
  std::vector<std::string> warnings;
  if (robot.action_dims > policy.action_dims) {
    warnings.push_back(fmt::format("robot {}: has {} action dimensions, but the policy {}",
                                   robot.name, robot.action_dims, policy.action_dims));
  }
  if (policy.family != "openpi" || policy.relative_actions) return warnings;
  // What openpi's configurations have of each (training/config.py).
  if (robot.name == "aloha" && !policy.adapt_to_pi) {
    warnings.push_back(
        "robot aloha: joints and grippers are sent as the network has them and actions are taken "
        "as "
        "absolute, where openpi trains ALOHA with adapt_to_pi and mostly with delta actions; say "
        "so "
        "if this checkpoint was (--adapt-to-pi, --delta-mask 6,-1,6,-1)");
  }
  if (robot.name == "libero" && policy.kind == "pi0") {
    warnings.push_back(
        "robot libero: actions are taken as the dataset's, where openpi's pi0_libero is trained "
        "with delta actions on top of them; say so if this checkpoint was (--delta-mask 6,-1)");
  }
  if (robot.name == "droid") {
    warnings.push_back(
        "robot droid: actions are taken as the dataset's, velocities of its joints say, where "
        "openpi trains those of joint positions (pi05_full_droid_finetune, *_jointpos_polaris) as "
        "delta actions; say so if this checkpoint was (--delta-mask 7,-1)");
  }
  return warnings;
}

int action_dims(const Robot& robot, int dims) {
  return robot.action_dims != 0 ? std::min(robot.action_dims, dims) : dims;
}

}  // namespace pi0
