#include "robots/read_image.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <type_traits>
#include <utility>

#include "base/shape_text.h"
#include "image/decode.h"
#include "robots/refuse.h"
#include "wire/elements.h"

namespace pi0 {
namespace {

// Its sides and layout; no data yet. [3, …] has its channels first, also where [… , 3] fits, as
// both openpi and lerobot take it.
ImageView sides_of(const NumpyArray& array, const std::string& key) {
  std::span<const std::int64_t> shape = array.shape;
  if (shape.size() == 4 && shape.front() == 1) shape = shape.subspan(1);
  const bool planar = shape.size() == 3 && shape[0] == 3;
  if (array.data.empty() || shape.size() != 3 || (!planar && shape[2] != 3)) {
    refuse(key, fmt::format("has the shape {}, expected [height, width, 3] or [3, height, width]",
                            shape_text(array.shape)));
  }
  const std::span<const std::int64_t> sides = shape.subspan(planar ? 1 : 0, 2);
  // They fit: what msgpack holds has fewer than 2^32 bytes.
  return {.height = static_cast<int>(sides[0]),
          .width = static_cast<int>(sides[1]),
          .layout = planar ? PixelLayout::kChw : PixelLayout::kHwc};
}

// Rounded to float16's 11 binary digits.
float rounded_to_half(float value) {
  int exponent = 0;
  std::frexp(value, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(value, 11 - exponent)), exponent - 11);
}

// numpy's (255 * image).astype(uint8), in the image's own type; other integers as they are.
template <typename Number>
bool to_pixel(Number element, bool half, std::uint8_t& pixel) {
  if constexpr (std::is_floating_point_v<Number>) {
    Number scaled = 255 * element;
    if (half && std::isfinite(scaled)) scaled = rounded_to_half(static_cast<float>(scaled));
    if (!(scaled > -1 && scaled < 256)) return false;  // NaN too
    pixel = static_cast<std::uint8_t>(std::trunc(scaled));
    return true;
  } else {
    pixel = static_cast<std::uint8_t>(element);
    return std::cmp_greater_equal(element, 0) && std::cmp_less_equal(element, 255);
  }
}

// Its elements in 8 bits, in the order they have.
std::vector<std::uint8_t> to_pixels(const NumpyArray& array, const std::string& key) {
  const bool is_float = array.type.kind == NumpyKind::kFloat;
  const bool half = is_float && array.type.bytes == 2;
  std::vector<std::uint8_t> pixels;
  pixels.reserve(static_cast<std::size_t>(array.size()));
  for_each_element(array, [&](auto element) {
    if constexpr (!std::is_same_v<decltype(element), bool>) {
      std::uint8_t pixel = 0;
      if (!to_pixel(element, half, pixel)) {
        refuse(key, fmt::format("a pixel is {}, expected {}", element,
                                is_float ? "floats from 0 to 1" : "integers from 0 to 255"));
      }
      pixels.push_back(pixel);
    }
  });
  return pixels;
}

Image to_image(const ImageView& sides, const std::vector<std::uint8_t>& pixels) {
  Image image = {.height = sides.height, .width = sides.width};
  if (sides.layout == PixelLayout::kHwc) {
    image.rgb = pixels;
    return image;
  }
  const std::size_t plane = pixels.size() / 3;
  image.rgb.reserve(pixels.size());
  for (std::size_t i = 0; i < plane; ++i) {
    for (std::size_t channel = 0; channel < 3; ++channel) {
      image.rgb.push_back(pixels[channel * plane + i]);
    }
  }
  return image;
}

Image decode_file(std::span<const std::byte> bytes, const std::string& key, FilePixels& files) {
  return decode_image(bytes, key, [&](std::int64_t width, std::int64_t height) {
    const std::int64_t before = files.so_far;
    if (width * height > files.most - before) {  // of 32 bits each
      refuse(key, fmt::format("has {} x {} pixels after {} of other files, expected at most {} in "
                              "all files of a message",
                              width, height, before, files.most));
    }
    files.so_far += width * height;
  });
}

}  // namespace

void read_image(const Value& value, const std::string& key, ImageRule rule,
                const std::string& camera, FilePixels& files, RobotObservation& into) {
  Observation& observation = into.observation;
  if (const auto* const file = value.as<ValueBytes>()) {
    observation.images[camera] = decode_file(*file, key, files);
    return;
  }
  const auto* const array = value.as<NumpyArray>();
  const bool number =
      array && array->type.kind != NumpyKind::kText && array->type.kind != NumpyKind::kBool;
  if (!number) {
    refuse(key, "is " + describe(value) +
                    ", expected an image: an array of uint8 or of floats, or "
                    "a PNG's or a JPEG's bytes");
  }
  const bool bytes = array->type == NumpyType{NumpyKind::kUint, 1};
  if (bytes && array->shape.size() == 1) {  // np.frombuffer, cv2.imencode
    observation.images[camera] = decode_file(array->data, key, files);
    return;
  }
  ImageView view = sides_of(*array, key);
  const bool floats = array->type.kind == NumpyKind::kFloat;
  if (bytes) {
    view.data = array->data.data();
    observation.views[camera] = view;
  } else if (floats && rule == ImageRule::kLerobot) {
    view.type = PixelType::kFloatUnit;
    if (array->type.bytes == sizeof(float) && !is_swapped(array->type)) {
      view.data = array->data.data();
    } else {
      view.data = into.pixels.emplace_back(to_floats(value, key)).data();
    }
    observation.views[camera] = view;
  } else {
    observation.images[camera] = to_image(view, to_pixels(*array, key));
  }
}

}  // namespace pi0
