// From a camera's image to the network's input: scaled to fit a square with its aspect kept,
// centred, padded with black, and to [-1, 1].
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "pi0/observation.h"

namespace pi0 {

// openpi scales 8-bit pixels as PIL does, with antialias (openpi-client's image_tools.py); lerobot
// scales floats without (resize_with_pad_torch in policies/common/vla_utils.py). lerobot 0.4 took
// them for signed ones: it clamped what it resized to [-1, 1] and padded with -1, which then became
// -3 (policies/pi0/modeling_pi0.py). lerobot 0.3 clamped nothing, and padded with black on the left
// and above alone.
enum class ResizeMethod { kOpenpi, kLerobot, kLerobot0_4, kLerobot0_3 };

// What a channel's value in [0, 1] becomes before it is scaled to [-1, 1], where a checkpoint
// normalises its images; empty: it stays.
using PixelNormalisation = std::function<float(int channel, float unit)>;

// `image` in 8 bits (to_8bit) as openpi-client's resize_with_pad gives it, size x size. `name` is
// what an error calls it (a file, a camera). Throws Error (kInvalidInput) for what require_view and
// require_values refuse (image/view.h), and when it is so narrow that nothing of it would be left
// (PIL and PyTorch refuse that too).
Image resize_with_pad_openpi(const ImageView& image, std::string_view name, int size);

// The network's input, [size, size, 3], in [-1, 1] where nothing is normalised; padding is -1.
// kOpenpi normalises after the resize, the others before it; kLerobot clamps what it resized to
// [0, 1], so normalised values beyond that survive only in an image of the right size.
// Throws as resize_with_pad_openpi.
std::vector<float> to_network_input(const ImageView& image, std::string_view name, int size,
                                    ResizeMethod method, const PixelNormalisation& normalise = {});

}  // namespace pi0
