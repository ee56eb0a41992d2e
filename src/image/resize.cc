#include "image/resize.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "image/pil_resize.h"
#include "image/view.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

// What lerobot's releases make of a float image that they resize.
struct LerobotRule {
  float padding = 0;
  float least = 0, most = 1;  // between which it is clamped
  bool centred = true;        // else right and below
};

LerobotRule rule_of(ResizeMethod method) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (method == ResizeMethod::kLerobot0_3) return {0, -kInfinity, kInfinity, false};
  if (method == ResizeMethod::kLerobot0_4) return {-1, -1, 1, true};
  return {};
}

// Where the scaled image lies in the square.
struct Fit {
  int width = 0;
  int height = 0;
  int left = 0;
  int top = 0;
};

// Both families compute it alike, in doubles that truncate; an odd remainder goes right and below.
Fit fit_into(const ImageView& image, std::string_view name, int size) {
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

// Pixels as PixelNormalisation has them; 8-bit ones are looked up.
class Normalised {
 public:
  explicit Normalised(const PixelNormalisation& normalise) : normalise_(normalise) {
    for (int channel = 0; channel < 3; ++channel) {
      for (int value = 0; value < 256; ++value) {
        table_[channel][value] = (*this)(channel, static_cast<float>(value) / 255.0f);
      }
    }
  }
  float operator()(int channel, std::uint8_t value) const { return table_[channel][value]; }
  float operator()(int channel, float unit) const {
    return normalise_ ? normalise_(channel, unit) : unit;
  }

 private:
  const PixelNormalisation& normalise_;
  std::array<std::array<float, 256>, 3> table_;
};

float to_signed(float unit) { return unit * 2.0f - 1.0f; }

// An image of size x size, without the resize.
void copy_pixels(const ImageView& image, const Normalised& normalised, float* square) {
  with_pixels(image, [&](auto pixel) {
    for (int y = 0; y < image.height; ++y) {
      for (int x = 0; x < image.width; ++x) {
        for (int c = 0; c < 3; ++c) *square++ = to_signed(normalised(c, pixel(y, x, c)));
      }
    }
  });
}

// Scales into [size, size, 3] that holds the padding already.
void resize_lerobot(const ImageView& image, const Normalised& normalised, const Fit& fit, int size,
                    const LerobotRule& rule, float* square) {
  const std::vector<Between> columns = make_between(image.width, fit.width);
  const std::vector<Between> rows = make_between(image.height, fit.height);
  with_pixels(image, [&](auto pixel) {
    const auto value = [&](int y, int x, int c) { return normalised(c, pixel(y, x, c)); };
    for (int y = 0; y < fit.height; ++y) {
      const auto [top, bottom, down] = rows[y];
      float* out = square + (std::size_t{1} * (fit.top + y) * size + fit.left) * 3;
      for (int x = 0; x < fit.width; ++x) {
        const auto [left, right, across] = columns[x];
        for (int c = 0; c < 3; ++c) {
          const float above = (1 - across) * value(top, left, c) + across * value(top, right, c);
          const float below =
              (1 - across) * value(bottom, left, c) + across * value(bottom, right, c);
          const float scaled = (1 - down) * above + down * below;
          *out++ = to_signed(std::clamp(scaled, rule.least, rule.most));
        }
      }
    }
  });
}

}  // namespace

Image resize_with_pad_openpi(const ImageView& image, std::string_view name, int size) {
  assert(size > 0);
  require_view(image, name);
  require_values(image, name);
  const Fit fit = fit_into(image, name, size);
  const bool as_it_is = image.layout == PixelLayout::kHwc && image.type == PixelType::kUint8;
  const Image turned = as_it_is ? Image() : to_8bit(image);
  Image scaled = resize_bilinear_pil(as_it_is ? image : view_of(turned), fit.width, fit.height);
  if (fit.width == size && fit.height == size) return scaled;
  Image padded = {size, size, std::vector<std::uint8_t>(std::size_t{3} * size * size)};
  for (int y = 0; y < fit.height; ++y) {
    std::copy_n(&scaled.rgb[std::size_t{3} * fit.width * y], std::size_t{3} * fit.width,
                &padded.rgb[(std::size_t{1} * (fit.top + y) * size + fit.left) * 3]);
  }
  return padded;
}

std::vector<float> to_network_input(const ImageView& image, std::string_view name, int size,
                                    ResizeMethod method, const PixelNormalisation& normalise) {
  assert(size > 0);
  const Normalised normalised(normalise);
  const LerobotRule rule = rule_of(method);
  std::vector<float> square(std::size_t{3} * size * size, to_signed(rule.padding));
  if (method == ResizeMethod::kOpenpi) {
    const Image resized = resize_with_pad_openpi(image, name, size);
    copy_pixels(view_of(resized), normalised, square.data());
    return square;
  }
  require_view(image, name);
  require_values(image, name);
  if (image.width == size && image.height == size) {
    copy_pixels(image, normalised, square.data());
  } else {
    Fit fit = fit_into(image, name, size);
    if (!rule.centred) {
      fit.left = size - fit.width;
      fit.top = size - fit.height;
    }
    resize_lerobot(image, normalised, fit, size, rule, square.data());
  }
  return square;
}

}  // namespace pi0
