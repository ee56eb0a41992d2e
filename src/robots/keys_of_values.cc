#include <utility>

#include "base/text.h"
#include "pi0/robot.h"
#include "robots/refuse.h"
#include "robots/robot.h"
#include "robots/robot_keys.h"
#include "wire/decode.h"

namespace pi0 {
namespace {

Value to_value(const RobotValue& given) {
  if (const auto* text = std::get_if<std::string>(&given)) return {std::string_view(*text)};
  if (const auto* bytes = std::get_if<std::span<const std::byte>>(&given)) return {*bytes};
  const auto& view = std::get<ArrayView>(given);
  NumpyArray array{parse_dtype(view.dtype), view.shape, {}};
  const std::size_t bytes =
      static_cast<std::size_t>(array.size()) * static_cast<std::size_t>(array.type.bytes);
  array.data = {static_cast<const std::byte*>(view.data), bytes};
  return {std::move(array)};
}

}  // namespace

struct RobotKeys::Impl {
  Robot robot;
};

RobotKeys::RobotKeys(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

RobotKeys keys_of(Robot robot) {
  return RobotKeys(std::make_shared<const RobotKeys::Impl>(RobotKeys::Impl{std::move(robot)}));
}

RobotKeys RobotKeys::find(const std::string& name, const PolicyInfo& policy) {
  return keys_of(find_robot(name, policy));
}

RobotKeys RobotKeys::read(const std::filesystem::path& file, const PolicyInfo& policy) {
  return keys_of(read_robot(file, policy));
}

std::vector<std::string> RobotKeys::warnings(const PolicyInfo& policy) const {
  return robot_warnings(impl_->robot, policy);
}

int RobotKeys::action_dims(int dims) const { return pi0::action_dims(impl_->robot, dims); }

std::vector<std::string> RobotKeys::images() const {
  std::vector<std::string> keys;
  for (const CameraKey& camera : impl_->robot.cameras) {
    if (!camera.camera.empty()) keys.push_back(camera.key);
  }
  return keys;
}

std::string RobotKeys::camera(const std::string& key) const {
  for (const CameraKey& camera : impl_->robot.cameras) {
    if (camera.key == key && !camera.camera.empty()) return camera.camera;
  }
  refuse("robot", printable(key) + " is none of its images' keys");
}

std::vector<std::string> RobotKeys::state() const { return impl_->robot.state; }
const std::string& RobotKeys::prompt() const { return impl_->robot.prompt; }

RobotObservation RobotKeys::observation(const RobotValues& values,
                                        const std::optional<std::string>& prompt) const {
  ValueMap message;
  message.reserve(values.size());
  for (const auto& [key, value] : values) {
    try {
      message.emplace_back(key, to_value(value));
    } catch (const Error& error) {
      throw Error(error.code(), key + ": " + error.what());
    }
  }
  return to_observation(impl_->robot, message, prompt);
}

}  // namespace pi0
