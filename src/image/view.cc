#include "image/view.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/text.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

// Above what rounding does to a number, below half of an 8-bit step.
constexpr float kRangeTolerance = 1e-3f;

std::string sides_text(const ImageView& view) {
  return "an image of " + std::to_string(view.width) + " x " + std::to_string(view.height) +
         " pixels";
}

[[noreturn]] void refuse(std::string_view name, const std::string& sentence) {
  throw Error(ErrorCode::kInvalidInput, std::string(name) + ": " + sentence);
}

bool planar(const ImageView& view) { return view.layout == PixelLayout::kChw; }

std::size_t value_bytes(const ImageView& view) {
  return view.type == PixelType::kUint8 ? 1 : sizeof(float);
}

// Values of one row, of all channels or of its plane's.
std::size_t row_values(const ImageView& view) {
  return static_cast<std::size_t>(view.width) * (planar(view) ? 1 : 3);
}

std::size_t row_bytes(const ImageView& view) { return row_values(view) * value_bytes(view); }

// From the beginning of a plane to the end of its last row.
std::size_t plane_bytes(const ImageView& view) {
  return strides_of(view).row * (static_cast<std::size_t>(view.height) - 1) + row_bytes(view);
}

// Rows of all planes; row_bytes at each.
std::size_t row_count(const ImageView& view) {
  return static_cast<std::size_t>(view.height) * (planar(view) ? 3 : 1);
}

const std::byte* row_at(const ImageView& view, std::size_t row) {
  const PixelStrides strides = strides_of(view);
  const auto height = static_cast<std::size_t>(view.height);
  return static_cast<const std::byte*>(view.data) + strides.channel * (row / height) +
         strides.row * (row % height);
}

std::uint8_t rounded_to_8bit(std::uint8_t pixel) { return pixel; }
std::uint8_t rounded_to_8bit(float unit) {
  const double value = std::clamp(double{unit} * 255, 0.0, 255.0);
  return static_cast<std::uint8_t>(value + 0.5);  // NOLINT(bugprone-incorrect-roundings): exact
}

float float_at(const std::byte* row, std::size_t i) {
  float number;
  std::memcpy(&number, row + i * sizeof number, sizeof number);
  return number;
}

}  // namespace

PixelStrides strides_of(const ImageView& view) {
  const std::size_t value = value_bytes(view);
  PixelStrides strides;
  strides.row = view.row_stride != 0 ? view.row_stride : row_bytes(view);
  strides.column = planar(view) ? value : 3 * value;
  strides.channel = value;
  if (planar(view)) {
    strides.channel = view.plane_stride != 0 ? view.plane_stride
                                             : strides.row * static_cast<std::size_t>(view.height);
  }
  return strides;
}

ImageView view_of(const Image& image, std::string_view name) {
  const ImageView view = {.data = image.rgb.data(), .height = image.height, .width = image.width};
  const bool sides = image.width > 0 && image.height > 0;
  if (sides && image.rgb.size() / 3 / image.width == static_cast<std::size_t>(image.height) &&
      image.rgb.size() % (std::size_t{3} * image.width) == 0) {
    return view;
  }
  refuse(name, sides_text(view) + " in " + std::to_string(image.rgb.size()) +
                   " bytes, expected positive sides and 3 bytes a pixel");
}

void require_view(const ImageView& view, std::string_view name) {
  if (view.data == nullptr) {
    refuse(name, sides_text(view) + " at a null pointer, expected its data");
  }
  if (view.width <= 0 || view.height <= 0) {
    refuse(name, sides_text(view) + ", expected positive sides");
  }
  if (strides_of(view).row < row_bytes(view)) {
    refuse(name, "row_stride is " + std::to_string(view.row_stride) + " bytes, expected at least " +
                     std::to_string(row_bytes(view)) + ", a row of " + std::to_string(view.width) +
                     " pixels, or 0 where nothing is between rows");
  }
  if (planar(view) ? strides_of(view).channel < plane_bytes(view) : view.plane_stride != 0) {
    refuse(name, "plane_stride is " + std::to_string(view.plane_stride) + " bytes, expected " +
                     (planar(view) ? "at least " + std::to_string(plane_bytes(view)) +
                                         ", a plane of " + std::to_string(view.height) +
                                         " rows, or 0 where nothing is between planes"
                                   : "0: the layout is kHwc, which has no planes"));
  }
}

void require_values(const ImageView& view, std::string_view name) {
  if (view.type == PixelType::kUint8) return;
  const float low = view.type == PixelType::kFloatUnit ? 0.0f : -1.0f;
  const std::size_t values = row_values(view);
  std::size_t fit = 0;
  for (std::size_t row = 0; row < row_count(view); ++row) {
    const std::byte* const numbers = row_at(view, row);
    for (std::size_t i = 0; i < values; ++i) {  // NaN is in no range
      const float number = float_at(numbers, i);
      fit += (number >= low - kRangeTolerance ? 1 : 0) & (number <= 1 + kRangeTolerance ? 1 : 0);
    }
  }
  if (fit == values * row_count(view)) return;

  const std::string expected = "expected float32 from " + short_text(low, 1) + " to 1";
  float least = float_at(row_at(view, 0), 0);
  float most = least;
  for (std::size_t row = 0; row < row_count(view); ++row) {
    for (std::size_t i = 0; i < values; ++i) {
      const float number = float_at(row_at(view, row), i);
      if (!std::isfinite(number)) {
        refuse(name, std::to_string(number) + " in row " +
                         std::to_string(row % static_cast<std::size_t>(view.height)) + ", column " +
                         std::to_string(planar(view) ? i : i / 3) + ", " + expected);
      }
      least = std::min(least, number);
      most = std::max(most, number);
    }
  }
  refuse(name, "values from " + short_text(least, 4) + " to " + short_text(most, 4) + ", " +
                   expected +
                   (most > 1 + kRangeTolerance
                        ? "; pixels of 0 to 255 are to be divided by 255, or given as 8-bit ones"
                        : ""));
}

Image to_8bit(const ImageView& view) {
  Image image = {view.height, view.width, {}};
  image.rgb.resize(std::size_t{3} * view.width * view.height);
  std::uint8_t* out = image.rgb.data();
  with_pixels(view, [&](auto pixel) {
    for (int y = 0; y < view.height; ++y) {
      for (int x = 0; x < view.width; ++x) {
        for (int c = 0; c < 3; ++c) *out++ = rounded_to_8bit(pixel(y, x, c));
      }
    }
  });
  return image;
}

std::vector<std::byte> dense_bytes(const ImageView& view) {
  std::vector<std::byte> bytes;
  const std::size_t size = row_bytes(view);
  bytes.reserve(size * row_count(view));
  for (std::size_t row = 0; row < row_count(view); ++row) {
    bytes.insert(bytes.end(), row_at(view, row), row_at(view, row) + size);
  }
  return bytes;
}

bool same_pixels(const ImageView& a, const ImageView& b) {
  if (a.height != b.height || a.width != b.width || a.layout != b.layout || a.type != b.type) {
    return false;
  }
  for (std::size_t row = 0; row < row_count(a); ++row) {
    if (std::memcmp(row_at(a, row), row_at(b, row), row_bytes(a)) != 0) return false;
  }
  return true;
}

}  // namespace pi0
