// JPEG by libjpeg(-turbo), with its defaults, which are PIL's too: the same pixels. The
// orientation of an EXIF block is not applied, as PIL's open() does not.
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

// clang-format off: jpeglib.h needs what <cstddef> and <cstdio> declare
#include <jerror.h>
#include <jpeglib.h>
// clang-format on

#include "image/decode.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

// libjpeg reports an error by a callback that must not return. jpeg_error_mgr comes first, so that
// the callback, given a pointer to it, finds the rest.
struct ErrorState {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr jpeg) {
  auto* state = reinterpret_cast<ErrorState*>(jpeg->err);
  jpeg->err->format_message(jpeg, state->message);
  std::longjmp(state->jump, 1);
}

// libjpeg goes on after damage, with grey or repeated pixels, and calls it a warning (level -1). A
// policy must not act on those. The warnings below leave the pixels whole: the stray bytes that
// many cameras put before a marker, and header fields that a decoder has no use for.
void take_message(j_common_ptr jpeg, int level) {
  if (level >= 0) return;
  switch (jpeg->err->msg_code) {
    case JWRN_ADOBE_XFORM:
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_NOT_SEQUENTIAL:
      return;
    default:
      leave(jpeg);
  }
}

// PIL's convert("RGB") of what it calls CMYK, one colour: what is left of white under black, less
// the ink's share of that. Both are given as the file has them, the brighter the less ink: PIL
// takes every such file for one of Adobe's, which are inverted.
unsigned char under_ink(unsigned char ink, unsigned char black) {
  const int share = (255 - ink) * black + 128;
  return static_cast<unsigned char>(black - (((share >> 8) + share) >> 8));
}

class JpegReader {
 public:
  JpegReader(std::span<const std::byte> bytes, std::string_view name) : name_(name) {
    jpeg_.err = jpeg_std_error(&errors_.manager);
    errors_.manager.error_exit = leave;
    errors_.manager.emit_message = take_message;
    guard([&] {
      jpeg_create_decompress(&jpeg_);
      jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    });
  }
  ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  Image read(const SidesCheck& check) {
    guard([&] { jpeg_read_header(&jpeg_, TRUE); });
    bool inks = false;
    switch (jpeg_.jpeg_color_space) {
      case JCS_GRAYSCALE:
      case JCS_RGB:
      case JCS_YCbCr:
        break;
      case JCS_CMYK:
      case JCS_YCCK:
        inks = true;
        break;
      default:
        throw Error(ErrorCode::kUnsupported,
                    name_ + ": a JPEG of " + std::to_string(jpeg_.num_components) +
                        " colour components, expected RGB, YCbCr, grey, CMYK or YCCK");
    }
    check(jpeg_.image_width, jpeg_.image_height);
    Image image = allocate_image(jpeg_.image_width, jpeg_.image_height, name_);
    unsigned char* rgb = image.rgb.data();
    std::vector<unsigned char> inked(inks ? std::size_t{4} * jpeg_.image_width : 0);
    guard([&] {
      jpeg_.out_color_space = inks ? JCS_CMYK : JCS_RGB;
      jpeg_start_decompress(&jpeg_);
      while (jpeg_.output_scanline < jpeg_.output_height) {
        JSAMPROW row = inks ? inked.data() : rgb;
        jpeg_read_scanlines(&jpeg_, &row, 1);
        for (std::size_t at = 0; at < inked.size(); at += 4) {
          for (int c = 0; c < 3; ++c) rgb[at / 4 * 3 + c] = under_ink(row[at + c], row[at + 3]);
        }
        rgb += std::size_t{3} * jpeg_.output_width;
      }
      jpeg_finish_decompress(&jpeg_);
    });
    return image;
  }

 private:
  // Calls libjpeg. An error leaves `call` by longjmp, over frames of C and of `call` alone: it may
  // hold nothing that has a destructor.
  template <typename Call>
  void guard(Call call) {
    if (setjmp(errors_.jump) != 0) {
      throw Error(ErrorCode::kInvalidInput,
                  name_ + ": a damaged or truncated JPEG (" + errors_.message + ")");
    }
    call();
  }

  std::string name_;
  ErrorState errors_ = {};
  jpeg_decompress_struct jpeg_ = {};
};

}  // namespace

Image decode_jpeg(std::span<const std::byte> bytes, std::string_view name,
                  const SidesCheck& check) {
  return JpegReader(bytes, name).read(check);
}

}  // namespace pi0
