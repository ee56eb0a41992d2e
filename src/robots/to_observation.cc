#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/shape_text.h"
#include "base/text.h"
#include "robots/read_image.h"
#include "robots/refuse.h"
#include "robots/robot.h"

namespace pi0 {
namespace {

// Far more than a robot has, far fewer than would take memory.
constexpr std::int64_t kMostStateValues = 4096;
// Of an instruction. A tokenizer takes seconds and gigabytes for one of megabytes.
constexpr std::size_t kMostPromptBytes = 16384;

// Under a flat key, or along a path of maps; nullptr where there is none, or nil.
const Value* find_path(const ValueMap& map, std::string_view key) {
  const auto given = [](const Value* value) {
    return value && !value->as<std::monostate>() ? value : nullptr;
  };
  if (const Value* const flat = given(find_value(map, key))) return flat;
  for (std::size_t at = key.find('/'); at != key.npos; at = key.find('/', at + 1)) {
    const Value* const inner = find_value(map, key.substr(0, at));
    if (!inner || !inner->as<ValueMap>()) continue;
    if (const Value* const found = find_path(*inner->as<ValueMap>(), key.substr(at + 1))) {
      return found;
    }
  }
  return nullptr;
}

std::string camera_keys(const Robot& robot) {
  std::string keys;
  for (const CameraKey& camera : robot.cameras) keys += (keys.empty() ? "" : ", ") + camera.key;
  return keys;
}

// The maps that cameras alone are in: "images/".
std::vector<std::string_view> folders_of_cameras(const Robot& robot) {
  std::vector<std::string_view> folders;
  for (const CameraKey& camera : robot.cameras) {
    const std::size_t slash = camera.key.rfind('/');
    if (slash == std::string::npos) continue;
    const std::string_view folder = std::string_view(camera.key).substr(0, slash + 1);
    const auto in_it = [folder](const std::string& key) { return key.starts_with(folder); };
    if (!folders.empty() && folders.back() == folder) continue;
    if (!in_it(robot.prompt) && std::none_of(robot.state.begin(), robot.state.end(), in_it)) {
      folders.push_back(folder);
    }
  }
  return folders;
}

// As openpi's AlohaInputs does.
void refuse_unknown_cameras(const Robot& robot, const ValueMap& message) {
  const auto require_known = [&robot](const std::string& key) {
    const bool known = std::any_of(robot.cameras.begin(), robot.cameras.end(),
                                   [&key](const CameraKey& camera) { return camera.key == key; });
    if (!known) {
      refuse(printable(key), "no such camera, expected " + camera_keys(robot));
    }
  };
  for (const std::string_view folder : folders_of_cameras(robot)) {
    for (const auto& [key, value] : message) {
      if (key.starts_with(folder)) require_known(std::string(key));
    }
    const Value* const inner = find_path(message, folder.substr(0, folder.size() - 1));
    if (!inner || !inner->as<ValueMap>()) continue;
    for (const auto& [key, value] : *inner->as<ValueMap>()) {
      require_known(fmt::format("{}{}", folder, key));
    }
  }
}

void append_state(const ValueMap& message, const std::string& key, std::vector<float>& state) {
  const Value* const value = find_path(message, key);
  if (!value) refuse(key, "is absent, expected the robot's state");
  if (const auto* const array = value->as<NumpyArray>()) {
    const std::int64_t last = array->shape.empty() ? 1 : array->shape.back();
    if (array->size() > std::min(last, kMostStateValues)) {
      refuse(key, fmt::format("has the shape {}, expected [values], at most {}",
                              shape_text(array->shape), kMostStateValues));
    }
  }
  const std::vector<float> values = to_floats(*value, key);
  state.insert(state.end(), values.begin(), values.end());
}

}  // namespace

RobotObservation to_observation(const Robot& robot, const ValueMap& message,
                                const std::optional<std::string>& prompt) {
  FilePixels files;
  return to_observation(robot, message, prompt, files);
}

RobotObservation to_observation(const Robot& robot, const ValueMap& message,
                                const std::optional<std::string>& prompt, FilePixels& files) {
  RobotObservation result;
  Observation& observation = result.observation;
  observation.renamed = true;  // CameraKey::camera
  refuse_unknown_cameras(robot, message);
  for (const CameraKey& camera : robot.cameras) {
    const Value* const value = find_path(message, camera.key);
    if (!value && camera.required) refuse(camera.key, "is absent, expected an image");
    if (value && !camera.camera.empty()) {
      if (observation.images.contains(camera.camera) || observation.views.contains(camera.camera)) {
        refuse(camera.key, "is a second image for camera " + camera.camera + ", expected one");
      }
      read_image(*value, camera.key, robot.images, camera.camera, files, result);
    }
  }
  if (observation.images.empty() && observation.views.empty()) {
    refuse("observation", "no image, expected at least one of " + camera_keys(robot));
  }
  if (!robot.state_else.empty() && !find_path(message, robot.state.front()) &&
      find_path(message, robot.state_else)) {
    append_state(message, robot.state_else, observation.state);
  } else {
    for (const std::string& key : robot.state) append_state(message, key, observation.state);
  }
  const Value* const told = find_path(message, robot.prompt);
  observation.prompt = told ? to_text(*told, robot.prompt) : prompt;
  if (observation.prompt && observation.prompt->size() > kMostPromptBytes) {
    refuse(robot.prompt, fmt::format("has {} bytes, expected an instruction, at most {}",
                                     observation.prompt->size(), kMostPromptBytes));
  }
  if (!observation.prompt) {
    refuse(robot.prompt,
           "is absent, expected the instruction; none is set for messages without it");
  }
  return result;
}

}  // namespace pi0
