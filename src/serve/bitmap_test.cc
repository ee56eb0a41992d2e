#include "serve/bitmap.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace pi0 {
namespace {

// As https://learn.microsoft.com/windows/win32/api/wingdi/ns-wingdi-bitmapinfoheader has it.
class Bitmap {
 public:
  explicit Bitmap(std::string file) : file_(std::move(file)) {
    EXPECT_EQ(file_.substr(0, 2), "BM");
    EXPECT_EQ(number(2), file_.size());
    EXPECT_EQ(number(14), 40u);
    EXPECT_EQ(number(26), 1u | 24u << 16);  // planes, bits
    EXPECT_EQ(number(30), 0u);
  }
  int width() const { return static_cast<int>(number(18)); }
  int height() const { return static_cast<int>(number(22)); }
  // red, green, blue
  std::array<int, 3> at(int row, int column) const {
    const std::size_t stride = static_cast<std::size_t>((width() * 3 + 3) / 4) * 4;
    const std::size_t begin = number(10) + stride * static_cast<std::size_t>(height() - 1 - row) +
                              3 * static_cast<std::size_t>(column);
    const auto byte = [&](std::size_t i) { return int{static_cast<std::uint8_t>(file_.at(i))}; };
    return {byte(begin + 2), byte(begin + 1), byte(begin)};
  }

 private:
  std::uint32_t number(std::size_t at) const {
    std::uint32_t value;
    std::memcpy(&value, file_.data() + at, sizeof value);
    return value;
  }
  std::string file_;
};

using Rgb = std::array<int, 3>;

TEST(Bitmap, HoldsPixelsOfEitherLayout) {
  const std::vector<std::uint8_t> rows = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  const Bitmap hwc(to_bitmap({.data = rows.data(), .height = 2, .width = 2}));
  EXPECT_EQ(hwc.width(), 2);
  EXPECT_EQ(hwc.at(0, 0), (Rgb{1, 2, 3}));
  EXPECT_EQ(hwc.at(0, 1), (Rgb{4, 5, 6}));
  EXPECT_EQ(hwc.at(1, 0), (Rgb{7, 8, 9}));
  const Bitmap chw(
      to_bitmap({.data = rows.data(), .height = 1, .width = 4, .layout = PixelLayout::kChw}));
  EXPECT_EQ(chw.height(), 1);
  EXPECT_EQ(chw.at(0, 0), (Rgb{1, 5, 9}));
  EXPECT_EQ(chw.at(0, 3), (Rgb{4, 8, 12}));
}

TEST(Bitmap, TakesFloatsOfAnyValue) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> values = {0, 1, 0.5f, nan, -1e9f, 1e9f};
  const Bitmap unit(
      to_bitmap({.data = values.data(), .height = 2, .width = 1, .type = PixelType::kFloatUnit}));
  EXPECT_EQ(unit.at(0, 0), (Rgb{0, 255, 128}));
  EXPECT_EQ(unit.at(1, 0), (Rgb{0, 0, 255}));
  const Bitmap from_minus_one(
      to_bitmap({.data = values.data(), .height = 2, .width = 1, .type = PixelType::kFloatSigned}));
  EXPECT_EQ(from_minus_one.at(0, 0), (Rgb{128, 255, 191}));
}

TEST(Bitmap, IsSmallOfALargeImage) {
  constexpr int kWidth = 641, kHeight = 7;
  std::vector<std::uint8_t> pixels(std::size_t{3} * kWidth * kHeight);
  for (std::size_t i = 0; i < pixels.size(); i += 3)
    pixels[i] = static_cast<std::uint8_t>(i / 3 % kWidth);
  const Bitmap small(to_bitmap({.data = pixels.data(), .height = kHeight, .width = kWidth}));
  EXPECT_EQ(small.width(), 214);  // every third
  EXPECT_EQ(small.height(), 3);
  EXPECT_EQ(small.at(2, 10), (Rgb{30, 0, 0}));
}

}  // namespace
}  // namespace pi0
