#include "image/resize.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <string>

#include "image/pil_resize.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

void require_image(const Image& image, std::string_view name) {
  const bool sides = image.width > 0 && image.height > 0;
  if (sides && image.rgb.size() / 3 / image.width == static_cast<std::size_t>(image.height) &&
      image.rgb.size() % (std::size_t{3} * image.width) == 0) {
    return;
  }
  throw Error(ErrorCode::kInvalidInput,
              std::string(name) + ": an image of " + std::to_string(image.width) + " x " +
                  std::to_string(image.height) + " pixels in " + std::to_string(image.rgb.size()) +
                  " bytes, expected positive sides and 3 bytes a pixel");
}

// Where the scaled image lies in the square.
struct Fit {
  int width = 0;
  int height = 0;
  int left = 0;
  int top = 0;
};

// Both families compute it alike, in doubles that truncate; an odd remainder goes right and below.
Fit fit_into(const Image& image, std::string_view name, int size) {
  const double ratio =
      std::max(static_cast<double>(image.width) / size, static_cast<double>(image.height) / size);
  Fit fit;
  fit.width = static_cast<int>(image.width / ratio);
  fit.height = static_cast<int>(image.height / ratio);
  if (fit.width == 0 || fit.height == 0) {
    throw Error(ErrorCode::kInvalidInput,
                std::string(name) + ": an image of " + std::to_string(image.width) + " x " +
                    std::to_string(image.height) + " pixels, too narrow: scaled to fit " +
                    std::to_string(size) + " x " + std::to_string(size) +
                    " it would have less than a pixel");
  }
  fit.left = (size - fit.width) / 2;
  fit.top = (size - fit.height) / 2;
  return fit;
}

// Between which two input pixels an output pixel lies, and how much of the second it takes.
struct Between {
  int first = 0;
  int second = 0;
  float weight = 0;
};

// PyTorch's interpolate(mode="bilinear", align_corners=False), along one side, in fp32 as there.
std::vector<Between> make_between(int in, int out) {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  std::vector<Between> result(out);
  for (int i = 0; i < out; ++i) {
    const float source = std::max(scale * (static_cast<float>(i) + 0.5f) - 0.5f, 0.0f);
    const int first = std::min(static_cast<int>(source), in - 1);
    const float weight = std::min(source - static_cast<float>(first), 1.0f);
    result[i] = {first, std::min(first + 1, in - 1), weight};
  }
  return result;
}

float to_signed(float unit) { return unit * 2.0f - 1.0f; }

// Scales and pads planes of [3, size, size] that hold the padding already.
void resize_lerobot(const Image& image, const Fit& fit, int size, const PixelTable& pixels,
                    std::vector<float>& planes) {
  const std::vector<Between> columns = make_between(image.width, fit.width);
  const std::vector<Between> rows = make_between(image.height, fit.height);
  for (int c = 0; c < 3; ++c) {
    const auto pixel = [&](int y, int x) {
      return pixels[c][image.rgb[(std::size_t{1} * y * image.width + x) * 3 + c]];
    };
    for (int y = 0; y < fit.height; ++y) {
      const auto [top, bottom, down] = rows[y];
      float* out = &planes[(std::size_t{1} * c * size + fit.top + y) * size + fit.left];
      for (int x = 0; x < fit.width; ++x) {
        const auto [left, right, across] = columns[x];
        const float above = (1 - across) * pixel(top, left) + across * pixel(top, right);
        const float below = (1 - across) * pixel(bottom, left) + across * pixel(bottom, right);
        out[x] = to_signed(std::clamp((1 - down) * above + down * below, 0.0f, 1.0f));
      }
    }
  }
}

// An image of size x size, without the resize.
std::vector<float> to_planes(const Image& image, const PixelTable& pixels) {
  const std::size_t area = std::size_t{1} * image.width * image.height;
  std::vector<float> planes(3 * area);
  for (std::size_t i = 0; i < area; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      planes[c * area + i] = to_signed(pixels[c][image.rgb[3 * i + c]]);
    }
  }
  return planes;
}

}  // namespace

PixelTable unit_pixels() {
  PixelTable table;
  for (auto& channel : table) {
    for (int value = 0; value < 256; ++value) channel[value] = static_cast<float>(value) / 255.0f;
  }
  return table;
}

Image resize_with_pad_openpi(const Image& image, std::string_view name, int size) {
  assert(size > 0);
  require_image(image, name);
  if (image.width == size && image.height == size) return image;
  const Fit fit = fit_into(image, name, size);
  const Image scaled = resize_bilinear_pil(image, fit.width, fit.height);
  Image padded = {size, size, std::vector<std::uint8_t>(std::size_t{3} * size * size)};
  for (int y = 0; y < fit.height; ++y) {
    std::copy_n(&scaled.rgb[std::size_t{3} * fit.width * y], std::size_t{3} * fit.width,
                &padded.rgb[(std::size_t{1} * (fit.top + y) * size + fit.left) * 3]);
  }
  return padded;
}

std::vector<float> to_network_input(const Image& image, std::string_view name, int size,
                                    ResizeMethod method, const PixelTable& pixels) {
  if (method == ResizeMethod::kOpenpi) {
    return to_planes(resize_with_pad_openpi(image, name, size), pixels);
  }
  assert(size > 0);
  require_image(image, name);
  if (image.width == size && image.height == size) return to_planes(image, pixels);
  std::vector<float> planes(std::size_t{3} * size * size, -1.0f);
  resize_lerobot(image, fit_into(image, name, size), size, pixels, planes);
  return planes;
}

}  // namespace pi0
