// Reading the pixels of a view (pi0/observation.h), however they lie.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "pi0/observation.h"

namespace pi0 {

// The image's own pixels. Throws Error (kInvalidInput) naming `name` when its sides are not
// positive or do not fit its bytes.
ImageView view_of(const Image& image, std::string_view name = "image");

// Throw Error (kInvalidInput) naming `name`: when the view has no data, no sides, or a stride that
// is too small; when one of its floats is not finite or outside its range (reads them all).
void require_view(const ImageView& view, std::string_view name);
void require_values(const ImageView& view, std::string_view name);

// Of views that require_view takes: the bytes of its pixels without what is between rows and
// planes; whether two are alike in all but where their pixels are.
std::vector<std::byte> dense_bytes(const ImageView& view);
bool same_pixels(const ImageView& a, const ImageView& b);

// The same pixels, floats rounded to the nearest 8-bit value.
Image to_8bit(const ImageView& view);

// Bytes from one to the next.
struct PixelStrides {
  std::size_t row = 0;
  std::size_t column = 0;
  std::size_t channel = 0;
};
PixelStrides strides_of(const ImageView& view);

// Gives `use` a function (row, column, channel) -> std::uint8_t, or float in [0, 1], by the view's
// type.
template <typename Use>
void with_pixels(const ImageView& view, Use use) {
  const auto* data = static_cast<const std::byte*>(view.data);
  const PixelStrides strides = strides_of(view);
  const auto at = [=](int row, int column, int channel) {
    return data + strides.row * row + strides.column * column + strides.channel * channel;
  };
  const auto number = [=](int row, int column, int channel) {
    float value;
    std::memcpy(&value, at(row, column, channel), sizeof value);
    return value;
  };
  if (view.type == PixelType::kUint8) {
    use([=](int row, int column, int channel) {
      return static_cast<std::uint8_t>(*at(row, column, channel));
    });
  } else if (view.type == PixelType::kFloatUnit) {
    use(number);
  } else {
    use([=](int row, int column, int channel) { return (number(row, column, channel) + 1) / 2; });
  }
}

}  // namespace pi0
