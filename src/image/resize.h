// From a camera's image to the network's input: scaled to fit a square with its aspect kept,
// centred, padded with black, and to [-1, 1].
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "pi0/observation.h"

namespace pi0 {

// openpi scales 8-bit pixels as PIL does, with antialias (openpi-client's image_tools.py); lerobot
// scales floats without (resize_with_pad_torch in policies/common/vla_utils.py).
enum class ResizeMethod { kOpenpi, kLerobot };

// What each 8-bit value of a channel becomes before it is scaled to [-1, 1]: value / 255 unless
// a checkpoint normalises its images.
using PixelTable = std::array<std::array<float, 256>, 3>;
PixelTable unit_pixels();

// `image` as openpi-client's resize_with_pad gives it, size x size; returned as it is when it has
// that size. `name` is what an error calls it (a file, a camera). Throws Error (kInvalidInput) when
// its sides are not positive or do not fit its bytes, or when it is so narrow that nothing of it
// would be left (PIL and PyTorch refuse that too).
Image resize_with_pad_openpi(const Image& image, std::string_view name, int size);

// The network's input, [3, size, size] planar, in [-1, 1] with the plain table; padding is -1.
// kOpenpi looks `pixels` up after the resize, kLerobot before it; kLerobot clamps what it resized
// to [0, 1], so values of the table beyond that survive only in an image of the right size.
// Throws as resize_with_pad_openpi.
std::vector<float> to_network_input(const Image& image, std::string_view name, int size,
                                    ResizeMethod method, const PixelTable& pixels = unit_pixels());

}  // namespace pi0
