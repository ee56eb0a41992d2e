#include "robots/robot_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string_view>

#include "base/text.h"
#include "files/json.h"
#include "robots/refuse.h"
#include "wire/decode.h"

namespace pi0 {
namespace {

constexpr std::string_view kKeys[] = {"images", "required",    "state",
                                      "prompt", "action_dims", "floats"};

std::vector<std::string> to_texts(const Value& value, const std::string& name) {
  const auto* const list = value.as<ValueList>();
  if (!list) refuse(name, "is " + describe(value) + ", expected a list of keys");
  std::vector<std::string> texts;
  for (const Value& item : *list) texts.push_back(to_text(item, name));
  return texts;
}

// Errors name `where`.
Robot to_robot(const Value& value, const std::string& where) {
  const ValueMap& map = to_map(value, where);
  const auto find = [&map](std::string_view key) { return find_value(map, key); };
  const auto name = [&where](std::string_view key) { return fmt::format("{}: {}", where, key); };
  Robot robot = {.name = "none", .state = {"observation.state"}, .prompt = "task"};
  const Value* const images = find("images");
  if (!images) refuse(where, "no \"images\", expected a map of a message's keys to cameras");
  for (const auto& [key, camera] : to_map(*images, name("images"))) {
    const std::string text = to_text({key}, name("images"));
    robot.cameras.push_back({text, camera.as<std::monostate>() ? "" : to_text(camera, name(text))});
  }
  if (const Value* const required = find("required")) {
    for (const std::string& key : to_texts(*required, name("required"))) {
      const auto camera =
          std::find_if(robot.cameras.begin(), robot.cameras.end(),
                       [&key](const CameraKey& candidate) { return candidate.key == key; });
      if (camera == robot.cameras.end()) {
        refuse(name("required"), printable(key) + " is none of \"images\"");
      }
      camera->required = true;
    }
  }
  if (const Value* const state = find("state")) robot.state = to_texts(*state, name("state"));
  if (const Value* const prompt = find("prompt")) robot.prompt = to_text(*prompt, name("prompt"));
  if (const Value* const dims = find("action_dims")) {
    robot.action_dims = static_cast<int>(
        to_integer(*dims, name("action_dims"), 0, std::numeric_limits<int>::max()));
  }
  if (const Value* const floats = find("floats")) {
    const std::string rule = to_text(*floats, name("floats"));
    if (rule != "openpi" && rule != "lerobot") {
      refuse(name("floats"), "is " + describe(*floats) + ", expected openpi or lerobot");
    }
    robot.images = rule == "openpi" ? ImageRule::kOpenpi : ImageRule::kLerobot;
  }
  return robot;
}

void require_cameras(const Robot& robot, const PolicyInfo& policy, const std::string& where) {
  std::string names;
  std::vector<std::string_view> taken;
  for (const CameraInfo& camera : policy.cameras) {
    names += (names.empty() ? "" : ", ") + camera.name;
  }
  for (const CameraKey& key : robot.cameras) {
    if (key.camera.empty()) continue;
    const auto found = std::find_if(
        policy.cameras.begin(), policy.cameras.end(), [&key](const CameraInfo& camera) {
          return key.camera == camera.name || key.camera == camera.feature;
        });
    if (found == policy.cameras.end()) {
      refuse(where, fmt::format("{} is camera {}, expected one of the checkpoint's: {}",
                                printable(key.key), printable(key.camera), names));
    }
    if (std::find(taken.begin(), taken.end(), found->name) != taken.end()) {
      refuse(where, "camera " + found->name + " has two keys, expected one");
    }
    taken.push_back(found->name);
  }
  if (taken.empty()) refuse(where, "\"images\" has no key of a camera, expected one at least");
}

}  // namespace

Robot read_robot(const std::filesystem::path& path, const PolicyInfo& policy) {
  // Read as a server's message is, once it is one.
  const Json json = read_input_json(path);
  const std::vector<std::uint8_t> message = Json::to_msgpack(json);
  const Value value = decode(std::as_bytes(std::span(message)));
  for (const auto& [key, is] : to_map(value, path.string())) {
    if (std::find(std::begin(kKeys), std::end(kKeys), key) == std::end(kKeys)) {
      refuse(path.string(),
             fmt::format("\"{}\" is no key of it, expected \"images\", \"required\", "
                         "\"state\", \"prompt\", \"action_dims\" or \"floats\"",
                         printable(key)));
    }
  }
  Robot robot = to_robot(value, path.string());
  require_cameras(robot, policy, path.string());
  return robot;
}

void encode_robot(const Robot& robot, Encoder& encoder) {
  std::vector<std::string> required;
  encoder.map(std::size(kKeys)).text("images").map(robot.cameras.size());
  for (const CameraKey& camera : robot.cameras) {
    encoder.text(camera.key);
    camera.camera.empty() ? encoder.nil() : encoder.text(camera.camera);
    if (camera.required) required.push_back(camera.key);
  }
  encoder.text("required").texts(required);
  encoder.text("state").texts(robot.state);
  encoder.text("prompt").text(robot.prompt);
  encoder.text("action_dims").integer(robot.action_dims);
  encoder.text("floats").text(robot.images == ImageRule::kOpenpi ? "openpi" : "lerobot");
}

Robot robot_from_metadata(const ValueMap& metadata) {
  const Value* const ours = find_value(metadata, "pi0");
  const Value* const robot =
      ours && ours->as<ValueMap>() ? find_value(*ours->as<ValueMap>(), "robot") : nullptr;
  if (!robot) {
    refuse("the server's metadata", "no \"robot\" in a map \"pi0\", expected a server of libpi0's");
  }
  return to_robot(*robot, "the server's metadata: robot");
}

}  // namespace pi0
