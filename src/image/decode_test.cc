#include "image/decode.h"

#include <gtest/gtest.h>
#include <png.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

// clang-format off: jpeglib.h needs what <cstdio> declares
#include <jpeglib.h>
// clang-format on

#include "files/file.h"
#include "image/test_images.h"

namespace pi0 {
namespace {

using Bytes = std::vector<std::uint8_t>;

Image decode(const Bytes& bytes) { return decode_image(std::as_bytes(std::span(bytes)), "file"); }

Bytes read_golden(const std::string& file) {
  const std::string text = read_file(preprocess_golden(file));
  return Bytes(text.begin(), text.end());
}

struct PngKind {
  int bits = 8;
  int colour_type = PNG_COLOR_TYPE_RGB;
  std::vector<png_color> palette = {};
  Bytes palette_alpha = {};
  bool transparent_grey_0 = false;
  int interlace = PNG_INTERLACE_NONE;
};

// A PNG of `rows`, whose bytes are as the file form packs them.
Bytes make_png(int width, const std::vector<Bytes>& rows, const PngKind& kind) {
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  Bytes file;
  png_set_write_fn(
      png, &file,
      [](png_structp writer, png_bytep data, std::size_t size) {
        auto* to = static_cast<Bytes*>(png_get_io_ptr(writer));
        to->insert(to->end(), data, data + size);
      },
      nullptr);
  png_set_check_for_invalid_index(png, 0);  // an index beyond the palette is for the reader to find
  png_set_IHDR(png, info, width, rows.size(), kind.bits, kind.colour_type, kind.interlace,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  if (!kind.palette.empty()) png_set_PLTE(png, info, kind.palette.data(), kind.palette.size());
  if (!kind.palette_alpha.empty()) {
    png_set_tRNS(png, info, kind.palette_alpha.data(), kind.palette_alpha.size(), nullptr);
  }
  if (kind.transparent_grey_0) {
    png_color_16 transparent = {};
    png_set_tRNS(png, info, nullptr, 0, &transparent);
  }
  std::vector<png_bytep> pointers;
  for (const Bytes& row : rows) pointers.push_back(const_cast<png_bytep>(row.data()));
  png_set_rows(png, info, pointers.data());
  png_write_png(png, info, PNG_TRANSFORM_IDENTITY, nullptr);
  png_destroy_write_struct(&png, &info);
  return file;
}

// A one-row PNG's red, green and blue, in turn.
Bytes pixels_of_row(int width, const Bytes& row, const PngKind& kind) {
  const Image image = decode(make_png(width, {row}, kind));
  EXPECT_EQ(image.width, width);
  EXPECT_EQ(image.height, 1);
  return image.rgb;
}

Bytes grey(const Bytes& values) {
  Bytes rgb;
  for (const std::uint8_t value : values) rgb.insert(rgb.end(), 3, value);
  return rgb;
}

// The expected pixels are what Pillow 13's convert("RGB") gives for the same files.
TEST(DecodePng, GreyOfEveryDepth) {
  EXPECT_EQ(pixels_of_row(3, {0xa0}, {.bits = 1, .colour_type = PNG_COLOR_TYPE_GRAY}),
            grey({255, 0, 255}));
  EXPECT_EQ(pixels_of_row(4, {0x1b}, {.bits = 2, .colour_type = PNG_COLOR_TYPE_GRAY}),
            grey({0, 85, 170, 255}));
  EXPECT_EQ(pixels_of_row(4, {0x1b, 0xf0}, {.bits = 4, .colour_type = PNG_COLOR_TYPE_GRAY}),
            grey({17, 187, 255, 0}));
  EXPECT_EQ(pixels_of_row(2, {7, 200}, {.colour_type = PNG_COLOR_TYPE_GRAY}), grey({7, 200}));
  EXPECT_EQ(pixels_of_row(4, {0, 0, 0, 200, 1, 0, 255, 255},
                          {.bits = 16, .colour_type = PNG_COLOR_TYPE_GRAY}),
            grey({0, 200, 255, 255}));
}

TEST(DecodePng, AlphaAndTransparentColoursAreDropped) {
  EXPECT_EQ(pixels_of_row(2, {16, 32, 48, 255}, {.colour_type = PNG_COLOR_TYPE_GRAY_ALPHA}),
            grey({16, 48}));
  EXPECT_EQ(pixels_of_row(1, {1, 2, 3, 0}, {.colour_type = PNG_COLOR_TYPE_RGB_ALPHA}),
            Bytes({1, 2, 3}));
  EXPECT_EQ(
      pixels_of_row(3, {0, 1, 2}, {.colour_type = PNG_COLOR_TYPE_GRAY, .transparent_grey_0 = true}),
      grey({0, 1, 2}));
  EXPECT_EQ(
      pixels_of_row(3, {0x40},
                    {.bits = 1, .colour_type = PNG_COLOR_TYPE_GRAY, .transparent_grey_0 = true}),
      grey({0, 255, 0}));
  EXPECT_EQ(pixels_of_row(3, {0, 1, 2},
                          {.colour_type = PNG_COLOR_TYPE_PALETTE,
                           .palette = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}},
                           .palette_alpha = {0, 128}}),
            Bytes({1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(DecodePng, PaletteOfFewBits) {
  const std::vector<png_color> palette = {{1, 2, 3}, {4, 5, 6}};
  EXPECT_EQ(pixels_of_row(3, {0xa0},
                          {.bits = 1, .colour_type = PNG_COLOR_TYPE_PALETTE, .palette = palette}),
            Bytes({4, 5, 6, 1, 2, 3, 4, 5, 6}));
}

TEST(DecodePng, AnIndexBeyondThePaletteIsBlack) {
  Bytes file = make_png(
      4, {{0x1b}},
      {.bits = 2, .colour_type = PNG_COLOR_TYPE_PALETTE, .palette = {{1, 2, 3}, {4, 5, 6}}});
  EXPECT_EQ(decode(file).rgb, Bytes({1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0}));
}

TEST(DecodePng, TheHighByteOf16Bits) {
  EXPECT_EQ(pixels_of_row(2, {0x12, 0x34, 0, 200, 0x12, 0xff, 255, 255, 0, 1, 0, 2},
                          {.bits = 16, .colour_type = PNG_COLOR_TYPE_RGB}),
            Bytes({18, 0, 18, 255, 0, 0}));
  EXPECT_EQ(pixels_of_row(2, {0x12, 0x34, 0, 200, 0x12, 0xf0, 255, 255},
                          {.bits = 16, .colour_type = PNG_COLOR_TYPE_GRAY_ALPHA}),
            grey({18, 18}));
  EXPECT_EQ(pixels_of_row(1, {0x12, 0x34, 0xfe, 0xff, 0x12, 0xff, 255, 255},
                          {.bits = 16, .colour_type = PNG_COLOR_TYPE_RGB_ALPHA}),
            Bytes({18, 254, 18}));
}

TEST(DecodePng, InterlacedIsTheSame) {
  std::vector<Bytes> rows;
  Bytes all;
  for (int y = 0; y < 11; ++y) {
    rows.emplace_back();
    for (int i = 0; i < 13 * 3; ++i) rows.back().push_back(y * 20 + i * 5);
    all.insert(all.end(), rows.back().begin(), rows.back().end());
  }
  const Image image = decode(make_png(13, rows, {.interlace = PNG_INTERLACE_ADAM7}));
  EXPECT_EQ(image.width, 13);
  EXPECT_EQ(image.height, 11);
  EXPECT_EQ(image.rgb, all);
}

TEST(DecodeJpeg, PixelsAreThoseOfPil) {
  const Image image = load_image(preprocess_golden("image_480x640.jpg"));
  ASSERT_EQ(image.height, 480);
  ASSERT_EQ(image.width, 640);
  Image crop = {80, 100, {}};
  for (int y = 100; y < 180; ++y) {
    const auto row = image.rgb.begin() + (y * 640 + 200) * 3;
    crop.rgb.insert(crop.rgb.end(), row, row + 300);
  }
  const SafeTensors golden = SafeTensors::open(preprocess_golden("resize_480x640.safetensors"));
  expect_same(crop, image_of(golden, "jpeg_pixels_crop"), "rows 100-179, columns 200-299");
}

// A JPEG of 16 x 16 pixels, all of `pixel`.
Bytes make_jpeg(J_COLOR_SPACE space, const Bytes& pixel) {
  jpeg_compress_struct jpeg = {};
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &buffer, &size);
  jpeg.image_width = 16;
  jpeg.image_height = 16;
  jpeg.input_components = static_cast<int>(pixel.size());
  jpeg.in_color_space = space;
  jpeg_set_defaults(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  Bytes row;
  for (int x = 0; x < 16; ++x) row.insert(row.end(), pixel.begin(), pixel.end());
  JSAMPROW pointer = row.data();
  while (jpeg.next_scanline < jpeg.image_height) jpeg_write_scanlines(&jpeg, &pointer, 1);
  jpeg_finish_compress(&jpeg);
  Bytes file(buffer, buffer + size);
  jpeg_destroy_compress(&jpeg);
  std::free(buffer);
  return file;
}

TEST(DecodeJpeg, Grey) {
  const Image image = decode(make_jpeg(JCS_GRAYSCALE, {80}));  // a multiple of 8: DC alone, exact
  EXPECT_EQ(image.width, 16);
  EXPECT_EQ(image.height, 16);
  EXPECT_EQ(image.rgb, Bytes(16 * 16 * 3, 80));
}

// tools/make_cmyk_goldens.py: Pillow 13's convert("RGB").
TEST(DecodeJpeg, FourInksInEveryFormAreAsPilHasThem) {
  const std::filesystem::path golden = std::filesystem::path(PI0_SOURCE_DIR) / "testdata/cmyk";
  const SafeTensors pixels = SafeTensors::open(golden / "pixels.safetensors");
  ASSERT_EQ(pixels.tensors().size(), 3u);
  for (const auto& [name, tensor] : pixels.tensors()) {
    expect_same(load_image(golden / (name + ".jpg")), image_of(pixels, name), name);
  }
}

TEST(DecodeJpeg, StrayBytesBeforeAMarkerAreHarmless) {
  Bytes file = make_jpeg(JCS_GRAYSCALE, {80});
  const std::size_t end_of_first_segment = 4 + file[4] * 256 + file[5];
  file.insert(file.begin() + end_of_first_segment, {0, 0, 0});
  EXPECT_EQ(decode(file).rgb, Bytes(16 * 16 * 3, 80));
}

TEST(Decode, EveryTruncationIsRefused) {
  const Bytes png = make_png(5, {Bytes(15, 1), Bytes(15, 2)}, {});
  const Bytes jpeg = make_jpeg(JCS_RGB, {200, 100, 50});
  EXPECT_EQ(decode(png).width, 5);
  EXPECT_EQ(decode(jpeg).width, 16);
  for (const Bytes& file : {png, jpeg}) {
    for (std::size_t size = 0; size < file.size(); ++size) {
      const Bytes part(file.begin(), file.begin() + size);
      const std::string what = error_of(ErrorCode::kInvalidInput, [&] { decode(part); });
      EXPECT_EQ(what.rfind("file: ", 0), 0u) << what;
    }
  }
}

TEST(Decode, ATruncatedPhotographIsRefused) {
  for (const std::string name : {"image_480x640.jpg", "image_480x640.png"}) {
    Bytes file = read_golden(name);
    for (const std::size_t size : {file.size() - 2, file.size() / 2, file.size() / 8}) {
      file.resize(size);
      error_of(ErrorCode::kInvalidInput, [&] { decode(file); });
    }
  }
}

TEST(Decode, NoImage) {
  for (const Bytes& bytes : {Bytes{}, Bytes{0}, Bytes(1000, 'x'), Bytes{'G', 'I', 'F'}}) {
    const std::string what = error_of(ErrorCode::kInvalidInput, [&] { decode(bytes); });
    EXPECT_NE(what.find("begin as neither a PNG nor a JPEG does"), std::string::npos) << what;
  }
}

TEST(Decode, APointerOfGitLfsIsNamed) {
  const std::string_view text = "version https://git-lfs.github.com/spec/v1\noid sha256:00\n";
  const std::string what =
      error_of(ErrorCode::kInvalidInput, [&] { decode(Bytes(text.begin(), text.end())); });
  EXPECT_TRUE(what.starts_with("file: is a pointer of Git LFS")) << what;
}

// The first bytes that Pillow 13 writes of each.
TEST(Decode, AnotherFormatIsNamed) {
  using namespace std::string_view_literals;
  for (const auto& [begins, name] : {std::pair{"RIFF\x38\0\0\0WEBPVP8L"sv, "a WebP file"},
                                     {"BM\x36\3\0\0"sv, "a BMP file"},
                                     {"II*\0\x8\0\0\0"sv, "a TIFF file"},
                                     {"MM\0*\0\0\0\x8"sv, "a TIFF file"},
                                     {"GIF87a"sv, "a GIF file"},
                                     {"P6\n5 3\n255\n"sv, "a PPM file"},
                                     {"\0\0\0 ftypavif\0"sv, "an AVIF file"},
                                     {"\0\0\0\xcjP  \r\n\x87\n"sv, "a JPEG 2000 file"}}) {
    const Bytes bytes(begins.begin(), begins.end());
    const std::string what = error_of(ErrorCode::kUnsupported, [&] { decode(bytes); });
    EXPECT_EQ(what, "file: " + std::string(name) +
                        ", expected a PNG or a JPEG; saved as PNG it keeps every pixel");
  }
}

TEST(Decode, AnAbsentFileIsNamed) {
  const std::string what =
      error_of(ErrorCode::kIo, [] { load_image(preprocess_golden("absent.png")); });
  EXPECT_NE(what.find("absent.png"), std::string::npos) << what;
}

// A PNG's width and height are in its header, which libpng trusts only with its checksum.
Bytes with_size(Bytes png, std::uint32_t width, std::uint32_t height) {
  for (int i = 0; i < 4; ++i) {
    png[16 + i] = static_cast<std::uint8_t>(width >> (24 - 8 * i));
    png[20 + i] = static_cast<std::uint8_t>(height >> (24 - 8 * i));
  }
  std::uint32_t crc = 0xffffffff;
  for (int i = 12; i < 29; ++i) {
    crc ^= png[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0xedb88320 : 0);
  }
  for (int i = 0; i < 4; ++i) png[29 + i] = static_cast<std::uint8_t>(~crc >> (24 - 8 * i));
  return png;
}

TEST(Decode, ZeroSizedAndEnormousImagesAreRefusedFromTheirHeader) {
  const Bytes png = make_png(5, {Bytes(15, 1), Bytes(15, 2)}, {});
  EXPECT_EQ(decode(with_size(png, 5, 2)).height, 2);
  const auto refused = [&](std::uint32_t width, std::uint32_t height) {
    return error_of(ErrorCode::kInvalidInput, [&] { decode(with_size(png, width, height)); });
  };
  refused(0, 2);
  refused(5, 0);
  const std::string what = refused(8001, 8000);
  EXPECT_NE(what.find("8001 x 8000 pixels"), std::string::npos) << what;
  refused(1000000, 1000000);
  refused(0x7fffffff, 0x7fffffff);

  Bytes jpeg = make_jpeg(JCS_GRAYSCALE, {80});
  std::size_t frame = 0;  // the baseline frame header: ff c0, length, precision, height, width
  while (jpeg[frame] != 0xff || jpeg[frame + 1] != 0xc0) ++frame;
  for (const auto& [height, width] : {std::pair{0, 16}, {16, 0}, {65000, 65000}}) {
    jpeg[frame + 5] = height >> 8, jpeg[frame + 6] = height & 255;
    jpeg[frame + 7] = width >> 8, jpeg[frame + 8] = width & 255;
    error_of(ErrorCode::kInvalidInput, [&] { decode(jpeg); });
  }
}

TEST(Decode, DamagedBytesNeverDoMoreThanThrow) {
  const Bytes png = make_png(5, {Bytes(15, 1), Bytes(15, 2)}, {});
  const Bytes jpeg = make_jpeg(JCS_RGB, {200, 100, 50});
  const Bytes inks = make_jpeg(JCS_CMYK, {1, 2, 3, 4});
  for (const Bytes& file : {png, jpeg, inks}) {
    for (std::size_t at = 0; at < file.size(); ++at) {
      for (const int flip : {0x01, 0x80, 0xff}) {
        Bytes damaged = file;
        damaged[at] ^= flip;
        try {
          const Image image = decode(damaged);
          EXPECT_EQ(image.rgb.size(), std::size_t{3} * image.width * image.height);
        } catch (const Error&) {
        }
      }
    }
  }
}

}  // namespace
}  // namespace pi0
