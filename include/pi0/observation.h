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
#include "pi0/pixels.h"

namespace pi0 {

// An 8-bit RGB image: `rgb` holds [height, width, 3], rows from the top, without padding.
struct PI0_API Image {
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> rgb = {};

  bool operator==(const Image&) const = default;
};

// Decodes a PNG or a JPEG. Grey and CMYK become RGB, alpha is dropped (as PIL's convert("RGB")
// does). Throws Error (kIo, kInvalidInput) naming the file when it cannot be read or is no such
// image.
PI0_API Image load_image(const std::filesystem::path& file);

// The same from memory; `name` is what an error calls it.
PI0_API Image decode_image(std::span<const std::byte> bytes, std::string_view name);

// An RGB image whose pixels somebody else keeps: a camera's buffer, a tensor. They are read during
// the call that is given the view, and not after it; `data` need not be aligned.
//
// Floats give what the same pixels give in 8 bits. Where a checkpoint's images are resized as
// openpi does, in 8 bits, they are rounded to the nearest 8-bit value first; as lerobot does, they
// are used as they are.
struct PI0_API ImageView {
  const void* data = nullptr;  // of the first row (kChw: of the red plane)
  int height = 0;              // pixels, as the width
  int width = 0;
  PixelLayout layout = PixelLayout::kHwc;
  PixelType type = PixelType::kUint8;
  std::size_t row_stride = 0;    // bytes from one row to the next; 0: those of a row's pixels
  std::size_t plane_stride = 0;  // kChw: bytes from one plane to the next; 0: those of its rows
};

// One moment. A camera is named by its full feature name ("observation.images.top") or by what
// follows "observation.images." in it ("top"). Names that are given directly are the robot's: the
// checkpoint's rename_map, where it has one, applies to them, once, as in lerobot. What a robot's
// keys give (pi0/robot.h) is `renamed`: the checkpoint's own names (`Policy::info().cameras`). A
// camera is in `images` or in `views`. Refused (Error, kInvalidInput) are a view without data or
// with sides that are not positive, a stride smaller than a row or a plane, and floats that are not
// finite or more than 0.001 outside their type's range.
struct PI0_API Observation {
  std::map<std::string, Image> images = {};
  std::map<std::string, ImageView> views = {};
  std::vector<float> state = {};  // the robot's own dimensions and units, not normalised
  // The instruction, UTF-8. None is refused: a policy that is told nothing is given an empty one.
  std::optional<std::string> prompt = {};
  bool renamed = false;  // the cameras' names are the checkpoint's own: none is renamed
};

}  // namespace pi0
