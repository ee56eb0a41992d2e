// What a robot sees and is told at one moment: the input of a policy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pi0/export.h"

namespace pi0 {

// An 8-bit RGB image: `rgb` holds [height, width, 3], rows from the top, without padding.
struct PI0_API Image {
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> rgb = {};

  bool operator==(const Image&) const = default;
};

// Decodes a PNG or a JPEG. Grey becomes RGB, alpha is dropped (as PIL's convert("RGB") does).
// Throws Error (kIo, kInvalidInput) naming the file when it cannot be read or is no such image.
PI0_API Image load_image(const std::filesystem::path& file);

// The same from memory; `name` is what an error calls it.
PI0_API Image decode_image(std::span<const std::byte> bytes, std::string_view name);

// One moment. Camera names are the checkpoint's (`Policy::info().cameras`): the full feature name
// ("observation.images.top") or what follows "observation.images." in it ("top").
struct PI0_API Observation {
  std::map<std::string, Image> images = {};
  std::vector<float> state = {};  // the robot's own dimensions and units, not normalised
  // The instruction, UTF-8. None is refused: a policy that is told nothing is given an empty one.
  std::optional<std::string> prompt = {};

  bool operator==(const Observation&) const = default;
};

}  // namespace pi0
