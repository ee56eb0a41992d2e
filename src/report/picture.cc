#include "report/picture.h"

#include <png.h>

#include <algorithm>
#include <cassert>
#include <cstddef>

#include "pi0/error.h"

namespace pi0 {
namespace {

// Where pixel `i` of `count` begins in a side of `size` pixels.
std::size_t boundary(int i, int count, int size) {
  return static_cast<std::size_t>(static_cast<std::int64_t>(i) * size / count);
}

}  // namespace

std::vector<std::uint8_t> encode_png(const Image& image) {
  assert(image.rgb.size() == static_cast<std::size_t>(image.height) * image.width * 3);
  png_image description{};
  description.version = PNG_IMAGE_VERSION;
  description.width = static_cast<png_uint_32>(image.width);
  description.height = static_cast<png_uint_32>(image.height);
  description.format = PNG_FORMAT_RGB;
  std::vector<std::uint8_t> bytes(PNG_IMAGE_PNG_SIZE_MAX(description));
  png_alloc_size_t size = bytes.size();
  if (!png_image_write_to_memory(&description, bytes.data(), &size, 0, image.rgb.data(), 0,
                                 nullptr)) {
    throw Error(ErrorCode::kIo,
                std::string("an image cannot be written as PNG: ") + description.message);
  }
  bytes.resize(size);
  return bytes;
}

Image reduced(const Image& image, int longest_side) {
  const int longest = std::max(image.height, image.width);
  if (longest <= longest_side) return image;
  const auto scaled = [&](int size) {
    return std::max(1, static_cast<int>(static_cast<std::int64_t>(size) * longest_side / longest));
  };
  Image small;
  small.height = scaled(image.height);
  small.width = scaled(image.width);
  for (int y = 0; y < small.height; ++y) {
    const std::size_t top = boundary(y, small.height, image.height);
    const std::size_t bottom = boundary(y + 1, small.height, image.height);
    for (int x = 0; x < small.width; ++x) {
      const std::size_t left = boundary(x, small.width, image.width);
      const std::size_t right = boundary(x + 1, small.width, image.width);
      for (std::size_t channel = 0; channel < 3; ++channel) {
        std::uint64_t sum = 0;
        for (std::size_t row = top; row < bottom; ++row) {
          for (std::size_t column = left; column < right; ++column) {
            sum += image.rgb[(row * image.width + column) * 3 + channel];
          }
        }
        const std::uint64_t count = std::max<std::size_t>(1, (bottom - top) * (right - left));
        small.rgb.push_back(static_cast<std::uint8_t>((sum + count / 2) / count));
      }
    }
  }
  return small;
}

std::string png_data_uri(const Image& image) {
  return "data:image/png;base64," + base64(encode_png(image));
}

std::string base64(std::span<const std::uint8_t> bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) group = group << 8 | (k < count ? bytes[i + k] : 0);
    for (std::size_t k = 0; k < 4; ++k) {
      text += k <= count ? kDigits[group >> (18 - 6 * k) & 63] : '=';
    }
  }
  return text;
}

}  // namespace pi0
