// PNG by libpng, to the pixels of PIL's Image.open(file).convert("RGB"): alpha and transparent
// colours are dropped, not blended; gamma and colour profiles are ignored; of 16 bits the high 8
// are taken, but for 16-bit grey.
#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "image/decode.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

class PngReader {
 public:
  PngReader(std::span<const std::byte> bytes, std::string_view name) : name_(name), rest_(bytes) {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    info_ = png_ ? png_create_info_struct(png_) : nullptr;
    if (!info_) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw Error(ErrorCode::kOutOfMemory, name_ + ": no memory for libpng to read it");
    }
    png_set_read_fn(png_, this, on_read);
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  Image read(const SidesCheck& check) {
    guard([&] { png_read_info(png_, info_); });
    const std::int64_t width = png_get_image_width(png_, info_);
    const std::int64_t height = png_get_image_height(png_, info_);
    check(width, height);
    Image image = allocate_image(width, height, name_);
    const int colour_type = png_get_color_type(png_, info_);
    if (colour_type == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png_, info_) == 16) {
      read_grey16(image);
    } else {
      guard([&] {
        if (colour_type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
        if (colour_type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png_);
        png_set_strip_16(png_);
        png_set_strip_alpha(png_);
        png_set_gray_to_rgb(png_);
      });
      read_rows(image.rgb.data(), std::size_t{3} * image.width, image.height);
    }
    return image;
  }

 private:
  // PIL has 16-bit grey (usually depths, not a picture) as integers, and clips them to 8 bits.
  void read_grey16(Image& image) {
    const std::size_t row_bytes = std::size_t{2} * image.width;
    std::vector<std::uint8_t> grey(row_bytes * image.height);  // big-endian pairs
    read_rows(grey.data(), row_bytes, image.height);
    for (std::size_t i = 0; i < grey.size() / 2; ++i) {
      const std::uint8_t value = grey[2 * i] != 0 ? 255 : grey[2 * i + 1];
      std::fill_n(&image.rgb[3 * i], 3, value);
    }
  }

  void read_rows(std::uint8_t* pixels, std::size_t row_bytes, int height) {
    guard([&] {
      png_set_interlace_handling(png_);
      png_read_update_info(png_, info_);
      if (png_get_rowbytes(png_, info_) != row_bytes) png_error(png_, "unexpected row size");
    });
    std::vector<png_bytep> rows(height);
    for (int y = 0; y < height; ++y) rows[y] = pixels + row_bytes * y;
    png_bytep* const first = rows.data();
    guard([&] {
      png_read_image(png_, first);
      png_read_end(png_, nullptr);
    });
  }

  // Calls libpng. An error leaves `call` by longjmp, over frames of C and of `call` alone: it may
  // hold nothing that has a destructor.
  template <typename Call>
  void guard(Call call) {
    if (setjmp(png_jmpbuf(png_)) != 0) {
      throw Error(ErrorCode::kInvalidInput,
                  name_ + ": a damaged or truncated PNG (" + message_ + ")");
    }
    call();
  }

  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto* self = static_cast<PngReader*>(png_get_error_ptr(png));
    std::snprintf(self->message_, sizeof self->message_, "%s", message);
    png_longjmp(png, 1);
  }

  // Nothing that libpng only warns about changes the pixels (a damaged text chunk, a profile).
  static void on_warning(png_structp, png_const_charp) {}

  static void on_read(png_structp png, png_bytep to, std::size_t size) {
    auto* self = static_cast<PngReader*>(png_get_io_ptr(png));
    if (size > self->rest_.size()) png_error(png, "it ends too early");
    std::memcpy(to, self->rest_.data(), size);
    self->rest_ = self->rest_.subspan(size);
  }

  std::string name_;
  std::span<const std::byte> rest_;  // what is not yet read
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  char message_[128] = {};
};

}  // namespace

Image decode_png(std::span<const std::byte> bytes, std::string_view name, const SidesCheck& check) {
  return PngReader(bytes, name).read(check);
}

}  // namespace pi0
