#include "files/npy.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "base/half.h"
#include "base/shape_text.h"
#include "files/file.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kMagic = "\x93NUMPY"sv;
constexpr std::size_t kMaxDimensions = 64;  // NumPy 2's own limit (NPY_MAXDIMS)

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kInvalidInput, where + ": " + what);
}

// How one element lies in the file.
struct ElementType {
  char kind = 0;  // 'f', 'i', 'u' or 'b', as in NumPy's type strings
  std::size_t size = 0;
  bool big_endian = false;
};

struct Header {
  ElementType type;
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

std::optional<ElementType> parse_type(std::string_view descr) {
  if (descr.size() != 3) return std::nullopt;
  const char order = descr[0];
  const char kind = descr[1];
  const int size = descr[2] - '0';
  const bool known =
      ((kind == 'i' || kind == 'u') && (size == 1 || size == 2 || size == 4 || size == 8)) ||
      (kind == 'f' && (size == 2 || size == 4 || size == 8)) || (kind == 'b' && size == 1);
  // One byte has no order: NumPy writes '|' for it, and for nothing longer.
  const bool order_fits = size == 1 ? order == '|' : order == '<' || order == '>';
  if (!known || !order_fits) return std::nullopt;
  return ElementType{kind, static_cast<std::size_t>(size), order == '>'};
}

// The header is a Python dictionary literal with exactly three keys, in any order:
//   {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
// then spaces and a newline. Only that is taken, not Python.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  Header parse() {
    Header header;
    bool have_descr = false, have_order = false, have_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = string();
      expect(':');
      if (key == "descr" && !have_descr) {
        header.type = type();
        have_descr = true;
      } else if (key == "fortran_order" && !have_order) {
        header.fortran_order = boolean();
        have_order = true;
      } else if (key == "shape" && !have_shape) {
        header.shape = shape();
        have_shape = true;
      } else {
        fail(where_,
             "the npy header has an unknown or repeated key, expected descr, "
             "fortran_order and shape once each");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (position_ != text_.size()) broken("nothing more");
    if (!have_descr || !have_order || !have_shape) {
      fail(where_, std::string("the npy header has no ") + (!have_descr   ? "descr"
                                                            : !have_order ? "fortran_order"
                                                                          : "shape"));
    }
    return header;
  }

 private:
  [[noreturn]] void broken(const std::string& expected) const {
    fail(where_,
         fmt::format("the npy header is damaged at its byte {}, expected {}", position_, expected));
  }
  void skip_space() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n')) {
      ++position_;
    }
  }
  bool accept(char wanted) {
    skip_space();
    if (position_ == text_.size() || text_[position_] != wanted) return false;
    ++position_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) broken(std::string("'") + wanted + "'");
  }
  bool accept_word(std::string_view word) {
    skip_space();
    if (text_.substr(position_, word.size()) != word) return false;
    position_ += word.size();
    return true;
  }

  std::string_view string() {
    skip_space();
    const char quote = position_ < text_.size() ? text_[position_] : '\0';
    if (quote != '\'' && quote != '"') broken("a string");
    const std::size_t begin = position_ + 1;
    const std::size_t end = text_.find(quote, begin);
    if (end == std::string_view::npos) broken("a string that ends");
    position_ = end + 1;
    return text_.substr(begin, end - begin);
  }
  bool boolean() {
    if (accept_word("True")) return true;
    if (accept_word("False")) return false;
    broken("True or False");
  }
  ElementType type() {
    skip_space();
    constexpr const char* kExpected = ", expected float16, float32, float64, an integer or bool";
    // A structured type is a list.
    if (position_ < text_.size() && text_[position_] == '[') {
      fail(where_, std::string("the npy array has a structured type") + kExpected);
    }
    const std::string_view descr = string();
    const std::optional<ElementType> type = parse_type(descr);
    if (!type) {
      fail(where_, fmt::format("the npy array has type \"{}\"{}", printable(descr), kExpected));
    }
    return *type;
  }
  std::vector<std::int64_t> shape() {
    std::vector<std::int64_t> sizes;
    expect('(');
    bool comma = true;
    while (!accept(')')) {
      if (!comma) broken("',' or ')'");
      if (sizes.size() == kMaxDimensions) {
        fail(where_, fmt::format("the npy array has more than {} dimensions", kMaxDimensions));
      }
      sizes.push_back(integer());
      comma = accept(',');
    }
    // (3) is a number in Python, (3,) a tuple.
    if (sizes.size() == 1 && !comma) broken("',' in a shape of one dimension");
    return sizes;
  }
  std::int64_t integer() {
    skip_space();
    constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
    std::int64_t value = 0;
    const std::size_t begin = position_;
    for (; position_ < text_.size(); ++position_) {
      const char c = text_[position_];
      if (c < '0' || c > '9') break;
      const int digit = c - '0';
      if (value > (kMax - digit) / 10) fail(where_, "a size in the npy header exceeds 63 bits");
      value = value * 10 + digit;
    }
    if (position_ == begin) broken("a size");
    return value;
  }
  static std::string printable(std::string_view text) {
    std::string shown(text.substr(0, 32));
    for (char& c : shown) {
      if (c < ' ' || c > '~') c = '?';
    }
    return shown;
  }

  std::string_view text_;
  const std::string& where_;
  std::size_t position_ = 0;
};

// The two's complement number in the low `size` bytes.
std::int64_t to_signed(std::uint64_t bits, std::size_t size) {
  switch (size) {
    case 1:
      return static_cast<std::int8_t>(bits);
    case 2:
      return static_cast<std::int16_t>(bits);
    case 4:
      return static_cast<std::int32_t>(bits);
    default:
      return static_cast<std::int64_t>(bits);
  }
}

// A float64 beyond float32's range becomes infinite, which the caller then sees.
float to_float(std::uint64_t bits, const ElementType& type) {
  switch (type.kind) {
    case 'f':
      if (type.size == 2) return f16_to_float(static_cast<std::uint16_t>(bits));
      if (type.size == 4) return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
      return static_cast<float>(std::bit_cast<double>(bits));
    case 'b':
      return bits == 0 ? 0.0f : 1.0f;
    case 'u':
      return static_cast<float>(bits);
    default:
      return static_cast<float>(to_signed(bits, type.size));
  }
}

float element_at(const std::byte* at, const ElementType& type) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < type.size; ++i) {
    const std::size_t from_low = type.big_endian ? type.size - 1 - i : i;
    bits |= std::to_integer<std::uint64_t>(at[i]) << (8 * from_low);
  }
  return to_float(bits, type);
}

// The number of elements, which must fill `available` bytes exactly.
std::size_t checked_count(const Header& header, std::size_t available, const std::string& where) {
  std::size_t count = 1;
  bool fits = true;
  for (const std::int64_t size : header.shape) {
    if (size == 0) {  // whatever the others are
      count = 0;
      fits = true;
      break;
    }
    // `count` stays at most `available`, so that no product overflows, nor eight times it.
    fits = fits && static_cast<std::uint64_t>(size) <= available / count;
    if (fits) count *= static_cast<std::size_t>(size);
  }
  const std::size_t needed = count * header.type.size;
  if (!fits || needed != available) {
    fail(where, fmt::format("the npy array has {} bytes of data, but shape {} of {}-byte elements "
                            "takes {}",
                            available, shape_text(header.shape), header.type.size,
                            fits ? std::to_string(needed) : "more"));
  }
  return count;
}

// Elements in the file's order, first dimension fastest, to row-major.
std::vector<float> from_fortran_order(const std::vector<float>& values,
                                      const std::vector<std::int64_t>& shape) {
  std::vector<std::size_t> stride(shape.size(), 1);
  for (std::size_t d = shape.size(); d-- > 1;) {
    stride[d - 1] = stride[d] * static_cast<std::size_t>(shape[d]);
  }
  std::vector<float> row_major(values.size());
  std::vector<std::int64_t> index(shape.size(), 0);
  std::size_t target = 0;
  for (const float value : values) {
    row_major[target] = value;
    for (std::size_t d = 0; d < shape.size(); ++d) {
      target += stride[d];
      if (++index[d] < shape[d]) break;
      target -= stride[d] * static_cast<std::size_t>(shape[d]);
      index[d] = 0;
    }
  }
  return row_major;
}

}  // namespace

NpyArray parse_npy(std::span<const std::byte> bytes, const std::string& where) {
  if (bytes.size() < 8 || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) {
    fail(where, "this is no npy file, which begins with \\x93NUMPY and a version");
  }
  const int major = std::to_integer<int>(bytes[6]);
  const int minor = std::to_integer<int>(bytes[7]);
  if (major < 1 || major > 3 || minor != 0) {
    fail(where,
         fmt::format("the npy file has version {}.{}, expected 1.0, 2.0 or 3.0", major, minor));
  }
  bytes = bytes.subspan(8);

  const std::size_t length_bytes = major == 1 ? 2 : 4;
  std::size_t header_size = 0;
  for (std::size_t i = 0; i < length_bytes && i < bytes.size(); ++i) {
    header_size |= std::to_integer<std::size_t>(bytes[i]) << (8 * i);
  }
  if (bytes.size() < length_bytes || bytes.size() - length_bytes < header_size) {
    fail(where, "the npy file ends within its header");
  }
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + length_bytes,
                              header_size);
  const Header header = HeaderParser(text, where).parse();
  bytes = bytes.subspan(length_bytes + header_size);

  NpyArray array;
  array.shape = header.shape;
  array.values.resize(checked_count(header, bytes.size(), where));
  for (std::size_t i = 0; i < array.values.size(); ++i) {
    array.values[i] = element_at(bytes.data() + i * header.type.size, header.type);
  }
  if (header.fortran_order) array.values = from_fortran_order(array.values, array.shape);
  return array;
}

NpyArray read_npy(const std::filesystem::path& path) {
  const std::string contents = read_file(path);
  return parse_npy(std::as_bytes(std::span(contents)), path.string());
}

void write_npy(const std::filesystem::path& path, const std::vector<std::int64_t>& shape,
               std::span<const float> values) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  std::uint64_t count = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    header += std::to_string(shape[i]) + (shape.size() == 1      ? ","
                                          : i + 1 < shape.size() ? ", "
                                                                 : "");
    count *= static_cast<std::uint64_t>(shape[i]);
  }
  if (count != values.size()) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: shape {} does not hold {} values", path.string(),
                            shape_text(shape), values.size()));
  }
  header += "), }";
  // Data begins at a multiple of 64 bytes, so that it can be mapped; the newline ends the padding.
  const std::size_t before = kMagic.size() + 2 + 2;
  header.append(63 - (before + header.size()) % 64, ' ');
  header += '\n';

  std::string contents(kMagic);
  contents += "\x01\x00"sv;
  contents += static_cast<char>(header.size() & 255);
  contents += static_cast<char>(header.size() >> 8);
  contents += header;
  contents.reserve(contents.size() + values.size() * sizeof(float));
  for (const float value : values) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) contents += static_cast<char>(bits >> shift & 255);
  }
  write_file(path, contents);
}

}  // namespace pi0
