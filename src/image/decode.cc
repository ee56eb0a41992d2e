#include "image/decode.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "files/file.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

constexpr std::array<unsigned char, 8> kPngSignature = {0x89, 'P',  'N',  'G',
                                                        '\r', '\n', 0x1a, '\n'};
// Start of image, and the first byte of the marker that must follow.
constexpr std::array<unsigned char, 3> kJpegSignature = {0xff, 0xd8, 0xff};

// What else people have, by bytes at a place near the file's beginning.
struct OtherFormat {
  const char* name;
  std::size_t offset;
  std::string_view signature;
};
using namespace std::string_view_literals;
constexpr OtherFormat kOthers[] = {
    {"a WebP", 8, "WEBP"},    {"a BMP", 0, "BM"},   {"a TIFF", 0, "II*\0"sv},
    {"a TIFF", 0, "MM\0*"sv}, {"a GIF", 0, "GIF8"}, {"an AVIF", 4, "ftypavif"},
    {"a HEIC", 4, "ftyphei"}, {"a PPM", 0, "P6"},   {"a JPEG 2000", 4, "jP  "}};

// nullptr where it is none of them.
const char* name_of_other(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const OtherFormat& other : kOthers) {
    if (text.size() > other.offset && text.substr(other.offset).starts_with(other.signature)) {
      return other.name;
    }
  }
  return nullptr;
}

template <std::size_t N>
bool starts_with(std::span<const std::byte> bytes, const std::array<unsigned char, N>& signature) {
  return bytes.size() >= N && std::equal(signature.begin(), signature.end(), bytes.begin(),
                                         [](unsigned char expected, std::byte found) {
                                           return expected == std::to_integer<unsigned char>(found);
                                         });
}

}  // namespace

Image allocate_image(std::int64_t width, std::int64_t height, std::string_view name) {
  if (width <= 0 || height <= 0 || width > kMaxPixels / height) {
    throw Error(ErrorCode::kInvalidInput,
                std::string(name) + ": the image is " + std::to_string(width) + " x " +
                    std::to_string(height) + " pixels, expected at least one and at most " +
                    std::to_string(kMaxPixels));
  }
  Image image;
  image.width = static_cast<int>(width);
  image.height = static_cast<int>(height);
  image.rgb.resize(static_cast<std::size_t>(width * height * 3));
  return image;
}

Image decode_image(std::span<const std::byte> bytes, std::string_view name) {
  return decode_image(bytes, name, [](std::int64_t, std::int64_t) {});
}

Image decode_image(std::span<const std::byte> bytes, std::string_view name,
                   const SidesCheck& check) {
  if (starts_with(bytes, kPngSignature)) return decode_png(bytes, name, check);
  if (starts_with(bytes, kJpegSignature)) return decode_jpeg(bytes, name, check);
  refuse_lfs_pointer({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, std::string(name),
                     ErrorCode::kInvalidInput);
  if (const char* const other = name_of_other(bytes)) {
    throw Error(ErrorCode::kUnsupported,
                std::string(name) + ": " + other +
                    " file, expected a PNG or a JPEG; saved as PNG it keeps every pixel");
  }
  throw Error(ErrorCode::kInvalidInput, std::string(name) + ": its " +
                                            std::to_string(bytes.size()) +
                                            " bytes begin as neither a PNG nor a JPEG does");
}

Image load_image(const std::filesystem::path& file) {
  const std::string bytes = read_file(file);
  return decode_image(std::as_bytes(std::span(bytes)), file.string());
}

}  // namespace pi0
