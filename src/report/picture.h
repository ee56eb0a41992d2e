// An image as text that an SVG or an HTML page can hold.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "pi0/observation.h"

namespace pi0 {

// `image` so small that neither side exceeds `longest_side`, each pixel the mean of those that it
// covers; as it is when it is that small already.
Image reduced(const Image& image, int longest_side);

// A PNG file.
std::vector<std::uint8_t> encode_png(const Image& image);

// "data:image/png;base64,…"
std::string png_data_uri(const Image& image);

// RFC 4648, padded.
std::string base64(std::span<const std::uint8_t> bytes);

}  // namespace pi0
