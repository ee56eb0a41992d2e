#include "image/pil_resize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "image/view.h"

namespace pi0 {
namespace {

// Weights are integers in units of 2^-22: of 32 bits, 8 are the pixel's and 2 are to spare.
constexpr int kPrecisionBits = 32 - 8 - 2;

// The input that one output pixel is made of: weights[k] for input first + k.
struct Window {
  int first = 0;
  std::vector<std::int32_t> weights;
};

// Pillow's way of rounding: halves go up, and what is negative, wrongly rounded, is cut to 0 below.
int rounded(double value) {
  return static_cast<int>(value + 0.5);  // NOLINT(bugprone-incorrect-roundings): bit for bit
}

// One window for each of `out` pixels made from `in`. The arithmetic is in Pillow's order: these
// doubles decide the last bit.
std::vector<Window> make_windows(int in, int out) {
  const double scale = static_cast<double>(in) / out;
  const double filter_scale = std::max(scale, 1.0);
  const double support = 1.0 * filter_scale;  // of a triangle, on either side
  const double inverse = 1.0 / filter_scale;

  std::vector<Window> windows(out);
  std::vector<double> exact;
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(rounded(center - support), 0);
    const int end = std::min(rounded(center + support), in);
    exact.clear();
    double sum = 0;
    for (int x = first; x < end; ++x) {
      const double distance = std::abs((x - center + 0.5) * inverse);
      exact.push_back(distance < 1.0 ? 1.0 - distance : 0.0);
      sum += exact.back();
    }
    windows[i].first = first;
    for (double weight : exact) {
      if (sum != 0) weight /= sum;
      windows[i].weights.push_back(rounded(weight * (1 << kPrecisionBits)));
    }
  }
  return windows;
}

// The three channels of one output pixel, from pixels `stride` bytes apart.
void apply(const Window& window, const std::uint8_t* in, std::size_t stride, std::uint8_t* out) {
  std::int32_t sum[3] = {};
  for (std::int32_t& channel : sum) channel = 1 << (kPrecisionBits - 1);
  const std::uint8_t* pixel = in + stride * window.first;
  for (const std::int32_t weight : window.weights) {
    for (int c = 0; c < 3; ++c) sum[c] += pixel[c] * weight;
    pixel += stride;
  }
  for (int c = 0; c < 3; ++c) {
    out[c] = static_cast<std::uint8_t>(std::clamp(sum[c] >> kPrecisionBits, 0, 255));
  }
}

Image blank(int width, int height) {
  return {height, width, std::vector<std::uint8_t>(std::size_t{3} * width * height)};
}

Image resize_rows(const ImageView& image, int width) {
  const std::vector<Window> windows = make_windows(image.width, width);
  Image result = blank(width, image.height);
  const auto* row = static_cast<const std::uint8_t*>(image.data);
  std::uint8_t* out = result.rgb.data();
  for (int y = 0; y < image.height; ++y, row += strides_of(image).row) {
    for (int x = 0; x < width; ++x, out += 3) apply(windows[x], row, 3, out);
  }
  return result;
}

Image resize_columns(const ImageView& image, int height) {
  const std::vector<Window> windows = make_windows(image.height, height);
  Image result = blank(image.width, height);
  const auto* first_row = static_cast<const std::uint8_t*>(image.data);
  const std::size_t stride = strides_of(image).row;
  std::uint8_t* out = result.rgb.data();
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < image.width; ++x, out += 3) {
      apply(windows[y], first_row + std::size_t{3} * x, stride, out);
    }
  }
  return result;
}

}  // namespace

Image resize_bilinear_pil(const ImageView& image, int width, int height) {
  const bool rows = image.width != width;
  const bool columns = image.height != height;
  if (!rows && !columns) return to_8bit(image);
  if (!rows) return resize_columns(image, height);
  if (!columns) return resize_rows(image, width);
  // Pillow begins with the columns where that removes more than twice as many rows as the other
  // pass would remove columns.
  const std::int64_t rows_removed = image.height - height;
  const std::int64_t columns_removed = image.width - width;
  if (rows_removed > 0 && rows_removed > 2 * columns_removed) {
    return resize_rows(view_of(resize_columns(image, height)), width);
  }
  return resize_columns(view_of(resize_rows(image, width)), height);
}

}  // namespace pi0
