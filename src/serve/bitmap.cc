#include "serve/bitmap.h"

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "image/view.h"

namespace pi0 {
namespace {

constexpr int kLongestSide = 320;

// Little-endian.
void append(std::string& to, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) to += static_cast<char>(value >> (8 * i) & 0xFF);
}

template <typename Pixel>
char to_byte(Pixel pixel) {
  if constexpr (std::is_same_v<Pixel, std::uint8_t>) {
    return static_cast<char>(pixel);
  } else {  // NaN is black
    const float value = pixel > 0 ? std::min(float{pixel} * 255, 255.0f) : 0.0f;
    return static_cast<char>(static_cast<std::uint8_t>(value + 0.5f));
  }
}

}  // namespace

std::string to_bitmap(const ImageView& view) {
  const int step = (std::max(view.width, view.height) + kLongestSide - 1) / kLongestSide;
  const int width = (view.width + step - 1) / step;
  const int height = (view.height + step - 1) / step;
  const int padding = (4 - width * 3 % 4) % 4;  // rows are of whole words
  const auto size = static_cast<std::uint32_t>((width * 3 + padding) * height);
  constexpr std::uint32_t kHeader = 14 + 40;

  std::string file = "BM";
  file.reserve(kHeader + size);
  append(file, kHeader + size, 4);
  append(file, 0, 4);
  append(file, kHeader, 4);
  append(file, 40, 4);
  append(file, static_cast<std::uint32_t>(width), 4);
  append(file, static_cast<std::uint32_t>(height), 4);
  append(file, 1, 2);   // planes
  append(file, 24, 2);  // bits a pixel
  append(file, 0, 4);   // not compressed
  append(file, size, 4);
  for (int i = 0; i < 4; ++i) append(file, 0, 4);  // pixels a metre, no palette
  with_pixels(view, [&](auto pixel) {
    for (int row = height - 1; row >= 0; --row) {  // from the bottom, blue first
      for (int column = 0; column < width; ++column) {
        for (int channel = 2; channel >= 0; --channel) {
          file += to_byte(pixel(row * step, column * step, channel));
        }
      }
      file.append(static_cast<std::size_t>(padding), '\0');
    }
  });
  return file;
}

}  // namespace pi0
