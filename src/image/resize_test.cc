#include "image/resize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "image/pil_resize.h"
#include "image/test_images.h"
#include "image/view.h"

namespace pi0 {
namespace {

// A golden of each shape: "image" in the file, or the PNG beside it.
struct Golden {
  std::string shape;
  SafeTensors file;
  Image image;
};

std::vector<Golden> goldens() {
  std::vector<Golden> result;
  for (const std::string shape : {"100x37", "224x224", "360x640", "480x640", "57x223", "640x480"}) {
    SafeTensors file = SafeTensors::open(preprocess_golden("resize_" + shape + ".safetensors"));
    Image image = file.find("image") ? image_of(file, "image")
                                     : load_image(preprocess_golden("image_" + shape + ".png"));
    result.push_back({shape, std::move(file), std::move(image)});
  }
  return result;
}

TEST(Resize, OpenpiGoldensAreExact) {
  for (const Golden& golden : goldens()) {
    for (const int size : {224, 56}) {
      const std::string name = "openpi_" + std::to_string(size);
      expect_same(resize_with_pad_openpi(view_of(golden.image), "golden", size),
                  image_of(golden.file, name), golden.shape + " " + name);
    }
  }
}

TEST(Resize, LerobotGoldens) {
  int compared = 0;
  for (const Golden& golden : goldens()) {
    const SafeTensor* expected = golden.file.find("lerobot_224");
    if (!expected) continue;
    ++compared;
    const std::vector<float> found =
        to_network_input(view_of(golden.image), "golden", 224, ResizeMethod::kLerobot);
    ASSERT_EQ(found.size() * sizeof(float), expected->bytes.size());
    std::vector<float> rows(found.size());  // [224, 224, 3]
    std::memcpy(rows.data(), expected->bytes.data(), expected->bytes.size());
    float largest = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      largest = std::max(largest, std::abs(found[i] - rows[i]));
    }
    EXPECT_LE(largest, 1e-5f) << golden.shape;
  }
  EXPECT_EQ(compared, 4);
}

TEST(Resize, OpenpiNetworkInputIsThePixelsInMinusOneToOne) {
  // 2 x 1 pixels in 4 x 4: a 4 x 2 picture below one empty row.
  const Image image = {1, 2, {0, 51, 255, 255, 51, 0}};
  const std::vector<float> square =
      to_network_input(view_of(image), "image", 4, ResizeMethod::kOpenpi);
  ASSERT_EQ(square.size(), 3u * 16);
  // Bilinear from 2 to 4: 1, 3/4 and 1/4, 1/4 and 3/4, 1 of 0 and 255; 63.75 rounds to 64.
  const std::vector<float> red = {0, 64, 191, 255};
  const auto at = [&](int y, int x, int c) { return square[(y * 4 + x) * 3 + c]; };
  for (int x = 0; x < 4; ++x) {
    for (int c = 0; c < 3; ++c) {
      EXPECT_EQ(at(0, x, c), -1) << "padding above";
      EXPECT_EQ(at(3, x, c), -1) << "padding below";
    }
    for (const int y : {1, 2}) {
      EXPECT_FLOAT_EQ(at(y, x, 0), red[x] / 255 * 2 - 1);
      EXPECT_FLOAT_EQ(at(y, x, 1), -0.6f) << "green is 51 everywhere";
      EXPECT_FLOAT_EQ(at(y, x, 2), red[3 - x] / 255 * 2 - 1);
    }
  }
}

TEST(Resize, AnOddRemainderOfThePaddingGoesRightAndBelow) {
  const Image tall = {4, 1, std::vector<std::uint8_t>(12, 255)};  // one column of white
  for (const ResizeMethod method : {ResizeMethod::kOpenpi, ResizeMethod::kLerobot}) {
    const std::vector<float> square = to_network_input(view_of(tall), "image", 4, method);
    for (int x = 0; x < 4; ++x) EXPECT_EQ(square[3 * x], x == 1 ? 1 : -1);
  }
}

TEST(Resize, LerobotNormalisesBeforeTheResizeAndClampsAfterIt) {
  const PixelNormalisation normalise = [](int channel, float unit) {
    return channel == 0 ? unit : channel == 1 ? -3 : 0.25f;
  };
  const Image image = {2, 2, std::vector<std::uint8_t>(12, 51)};
  const std::vector<float> resized =
      to_network_input(view_of(image), "image", 3, ResizeMethod::kLerobot, normalise);
  EXPECT_FLOAT_EQ(resized[3 * 4], -0.6f);
  EXPECT_EQ(resized[3 * 4 + 1], -1) << "-3 clamped to 0";
  EXPECT_EQ(resized[3 * 4 + 2], -0.5f);
  const std::vector<float> same =
      to_network_input(view_of(image), "image", 2, ResizeMethod::kLerobot, normalise);
  EXPECT_EQ(same[1], -7) << "nothing to resize, nothing clamped";
}

TEST(Resize, DegenerateSizes) {
  // What Pillow 13 gives for a column and a row of three pixels.
  const Image column = {3, 1, {0, 0, 0, 128, 128, 128, 255, 255, 255}};
  const Image row = {1, 3, column.rgb};
  const std::vector<std::uint8_t> expected = {0, 51, 128, 204, 255};
  const Image tall = resize_bilinear_pil(view_of(column), 1, 5);
  const Image wide = resize_bilinear_pil(view_of(row), 5, 1);
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(tall.rgb[3 * i], expected[i]);
    EXPECT_EQ(wide.rgb[3 * i + 2], expected[i]);
  }
}

// As lerobot 0.4 did: F.pad(value=-1.0), then x * 2 - 1.
TEST(Resize, Lerobot04PadsWithMinusThree) {
  const Image tall = {4, 1, std::vector<std::uint8_t>(12, 255)};  // one column of white
  const std::vector<float> old =
      to_network_input(view_of(tall), "image", 4, ResizeMethod::kLerobot0_4);
  for (int x = 0; x < 4; ++x) EXPECT_EQ(old[3 * x], x == 1 ? 1 : -3);
  // Between its pixels nothing differs, and nothing where there is nothing to resize.
  const Image image = {2, 2, {0, 51, 255, 255, 51, 0, 1, 2, 3, 4, 5, 6}};
  for (const int size : {2, 4}) {
    EXPECT_EQ(to_network_input(view_of(image), "image", size, ResizeMethod::kLerobot0_4),
              to_network_input(view_of(image), "image", size, ResizeMethod::kLerobot));
  }
  const PixelNormalisation dark = [](int, float) { return -0.5f; };
  EXPECT_EQ(to_network_input(view_of(image), "image", 4, ResizeMethod::kLerobot0_4, dark)[0], -2);
  EXPECT_EQ(to_network_input(view_of(image), "image", 4, ResizeMethod::kLerobot, dark)[0], -1);
}

// lerobot 0.3's resize_with_pad: F.pad(…, (pad_width, 0, pad_height, 0), value=0), then 2x - 1.
TEST(Resize, Lerobot03PadsOnTheLeftAndAboveAndClampsNothing) {
  const auto padded = [](const Image& image) {
    const auto pixels =
        to_network_input(view_of(image), "image", 4, ResizeMethod::kLerobot0_3,
                         [](int, float unit) { return 3 * unit; });  // beyond [0, 1]
    std::string rows;
    for (std::size_t i = 0; i < pixels.size(); i += 3) rows += pixels[i] == -1 ? '.' : '#';
    for (const float value : pixels) EXPECT_TRUE(value == -1 || value == 5) << value;
    return rows;
  };
  EXPECT_EQ(padded({8, 2, std::vector<std::uint8_t>(2 * 8 * 3, 255)}), "...#...#...#...#");
  EXPECT_EQ(padded({4, 8, std::vector<std::uint8_t>(8 * 4 * 3, 255)}), "........########");
}

TEST(Resize, TooNarrowToBeScaledIsRefused) {
  const Image line = {1, 300, std::vector<std::uint8_t>(900)};
  for (const ResizeMethod method : {ResizeMethod::kOpenpi, ResizeMethod::kLerobot}) {
    const std::string what = error_of(
        ErrorCode::kInvalidInput, [&] { to_network_input(view_of(line), "wrist", 224, method); });
    EXPECT_NE(what.find("wrist: an image of 300 x 1 pixels"), std::string::npos) << what;
  }
  // 224 to 1 is the last that leaves a pixel.
  const Image last = {224, 1, std::vector<std::uint8_t>(672, 255)};
  EXPECT_EQ(resize_with_pad_openpi(view_of(last), "image", 224).rgb[3 * 111], 255);
}

}  // namespace
}  // namespace pi0
