#include "report/picture.h"

#include <gtest/gtest.h>
#include <png.h>

namespace pi0 {
namespace {

std::string base64_of(std::string_view text) {
  return base64(std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

std::string decoded(std::string_view text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    const std::string_view digits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bits = bits << 6 | static_cast<std::uint32_t>(digits.find(c));
    count += 6;
    if (count >= 8) bytes += static_cast<char>(bits >> (count -= 8) & 255);
  }
  return bytes;
}

// RFC 4648, section 10.
TEST(Picture, Base64HasTheTestVectorsOfTheRfc) {
  EXPECT_EQ(base64_of(""), "");
  EXPECT_EQ(base64_of("f"), "Zg==");
  EXPECT_EQ(base64_of("fo"), "Zm8=");
  EXPECT_EQ(base64_of("foo"), "Zm9v");
  EXPECT_EQ(base64_of("foob"), "Zm9vYg==");
  EXPECT_EQ(base64_of("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64_of("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64_of("\xfb\xff\xfe"), "+//+");
}

TEST(Picture, ReducesByMeans) {
  // Two rows of four pixels; channels differ so that a mix of them shows.
  const Image image{
      2, 4, {0, 0, 1, 10, 0, 1, 100, 0, 1, 200, 0, 1, 20, 8, 1, 30, 8, 1, 100, 8, 1, 203, 8, 1}};
  const Image small = reduced(image, 2);
  EXPECT_EQ(small.width, 2);
  EXPECT_EQ(small.height, 1);
  EXPECT_EQ(small.rgb, (std::vector<std::uint8_t>{15, 4, 1, 151, 4, 1}));  // 150.75
}

TEST(Picture, KeepsWhatIsSmallAndSidesOfOne) {
  const Image image{1, 2, {1, 2, 3, 4, 5, 6}};
  EXPECT_EQ(reduced(image, 2).rgb, image.rgb);
  const Image line{1, 1000, std::vector<std::uint8_t>(3000, 7)};
  const Image small = reduced(line, 10);
  EXPECT_EQ(small.width, 10);
  EXPECT_EQ(small.height, 1);
  EXPECT_EQ(small.rgb, std::vector<std::uint8_t>(30, 7));
}

TEST(Picture, ThePngHoldsThePixels) {
  const Image image{2, 3, {0, 1, 2, 3, 4, 5, 6, 7, 8, 250, 251, 252, 253, 254, 255, 9, 9, 9}};
  const std::string uri = png_data_uri(image);
  const std::string prefix = "data:image/png;base64,";
  ASSERT_EQ(uri.substr(0, prefix.size()), prefix);
  const std::string bytes = decoded(std::string_view(uri).substr(prefix.size()));

  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  ASSERT_TRUE(png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()));
  EXPECT_EQ(png.width, 3u);
  EXPECT_EQ(png.height, 2u);
  png.format = PNG_FORMAT_RGB;
  std::vector<std::uint8_t> pixels(PNG_IMAGE_SIZE(png));
  ASSERT_TRUE(png_image_finish_read(&png, nullptr, pixels.data(), 0, nullptr));
  EXPECT_EQ(pixels, image.rgb);
}

}  // namespace
}  // namespace pi0
