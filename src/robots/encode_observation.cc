#include <fmt/format.h>

#include <algorithm>

#include "image/view.h"
#include "robots/refuse.h"
#include "robots/robot.h"

namespace pi0 {
namespace {

const CameraKey& key_of(const Robot& robot, const std::string& camera) {
  std::string names;
  for (const CameraKey& key : robot.cameras) {
    if (key.camera.empty()) continue;
    if (camera == key.camera || camera == "observation.images." + key.camera) return key;
    names += (names.empty() ? "" : ", ") + key.camera;
  }
  refuse("image for camera " + camera, "the server's robot has no such camera, but " + names);
}

void encode_image(const ImageView& view, const std::string& name, ImageRule rule,
                  Encoder& encoder) {
  require_view(view, name);
  require_values(view, name);
  if (view.type == PixelType::kUint8 || rule == ImageRule::kOpenpi) {
    const Image image = to_8bit(view);
    encoder.pixels(image.height, image.width, image.rgb);
    return;
  }
  std::vector<float> units;
  units.reserve(std::size_t{3} * view.height * view.width);
  with_pixels(view, [&](auto pixel) {
    for (int row = 0; row < view.height; ++row) {
      for (int column = 0; column < view.width; ++column) {
        for (int channel = 0; channel < 3; ++channel) units.push_back(pixel(row, column, channel));
      }
    }
  });
  encoder.array({view.height, view.width, 3}, units);
}

}  // namespace

void encode_observation(const Robot& robot, const Observation& observation, Encoder& encoder,
                        std::size_t others) {
  encoder.map(observation.images.size() + observation.views.size() + robot.state.size() +
              (observation.prompt ? 1 : 0) + others);
  const auto encode = [&](const std::string& camera, const ImageView& view) {
    encoder.text(key_of(robot, camera).key);
    encode_image(view, "image for camera " + camera, robot.images, encoder);
  };
  for (const auto& [camera, image] : observation.images) {
    encode(camera, view_of(image, "image for camera " + camera));
  }
  for (const auto& [camera, view] : observation.views) encode(camera, view);
  for (const std::string& key : robot.state) {
    const bool first = &key == &robot.state.front();
    const std::span<const float> values =
        first ? std::span(observation.state) : std::span<const float>();
    encoder.text(key).array({static_cast<std::int64_t>(values.size())}, values);
  }
  if (observation.prompt) encoder.text(robot.prompt).text(*observation.prompt);
}

}  // namespace pi0
