#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <vector>

#include "image/view.h"
#include "robots/refuse.h"
#include "robots/robot.h"

namespace pi0 {
namespace {

// Of a name that is given directly, the key that the rename_map knows it by; else, and of what is
// `renamed`, that of the checkpoint's own camera of this name.
const CameraKey& key_of(const Robot& robot, const std::string& camera, bool renamed) {
  const std::string prefix = "observation.images.";
  std::string names;
  for (const CameraKey& key : robot.cameras) {
    if (renamed || key.camera.empty()) continue;
    if (camera == key.key || prefix + camera == key.key) return key;
  }
  for (const CameraKey& key : robot.cameras) {
    if (key.camera.empty()) continue;
    if (camera == key.camera || camera == prefix + key.camera) return key;
    names += (names.empty() ? "" : ", ") + key.camera;
  }
  refuse("image for camera " + camera, "the server's robot has no such camera, but " + names);
}

// As openpi's ALOHA has its cameras: in a map of their own, and channels first.
constexpr std::string_view kFolder = "images/";

void encode_image(const ImageView& view, const std::string& name, ImageRule rule, bool in_folder,
                  Encoder& encoder) {
  require_view(view, name);
  require_values(view, name);
  if (view.type == PixelType::kUint8 || rule == ImageRule::kOpenpi) {
    const Image image = to_8bit(view);
    in_folder ? encoder.planes(image.height, image.width, image.rgb)
              : encoder.pixels(image.height, image.width, image.rgb);
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
  struct Sent {
    std::string_view key;
    std::string camera;
    ImageView view;
    bool in_folder() const { return key.starts_with(kFolder); }
  };
  std::vector<Sent> sent;
  const auto add = [&](const std::string& camera, const ImageView& view) {
    sent.push_back(
        {key_of(robot, camera, observation.renamed).key, "image for camera " + camera, view});
  };
  for (const auto& [camera, image] : observation.images) {
    add(camera, view_of(image, "image for camera " + camera));
  }
  for (const auto& [camera, view] : observation.views) add(camera, view);
  // Those in the folder last, as one entry.
  const auto flat_end = std::stable_partition(sent.begin(), sent.end(),
                                              [](const Sent& one) { return !one.in_folder(); });
  const auto in_folder = static_cast<std::size_t>(sent.end() - flat_end);

  encoder.map(sent.size() - in_folder + (in_folder != 0 ? 1 : 0) + robot.state.size() +
              (observation.prompt ? 1 : 0) + others);
  for (const Sent& one : sent) {
    if (&one == std::to_address(flat_end)) encoder.text("images").map(in_folder);
    encoder.text(one.in_folder() ? one.key.substr(kFolder.size()) : one.key);
    encode_image(one.view, one.camera, robot.images, one.in_folder(), encoder);
  }
  for (const std::string& key : robot.state) {
    const bool first = &key == &robot.state.front();
    const std::span<const float> values =
        first ? std::span(observation.state) : std::span<const float>();
    encoder.text(key).array({static_cast<std::int64_t>(values.size())}, values);
  }
  if (observation.prompt) encoder.text(robot.prompt).text(*observation.prompt);
}

}  // namespace pi0
