#include "cli/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>

namespace pi0 {
namespace {

constexpr char32_t kReplacement = U'\uFFFD';
constexpr char32_t kEllipsis = U'…';

// The first character of `text`, which is not empty; takes it off. A byte that begins no valid
// sequence (RFC 3629: nor overlong, a surrogate, or beyond U+10FFFF) is taken off alone.
char32_t take_character(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  const std::size_t size = first < 0x80   ? 1
                           : first < 0xC2 ? 0
                           : first < 0xE0 ? 2
                           : first < 0xF0 ? 3
                           : first < 0xF5 ? 4
                                          : 0;
  if (size == 0 || text.size() < size) {
    text.remove_prefix(1);
    return kReplacement;
  }
  constexpr std::array<std::uint8_t, 5> kFirstBits = {0, 0x7F, 0x1F, 0x0F, 0x07};
  constexpr std::array<char32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  char32_t character = first & kFirstBits[size];
  bool valid = true;
  for (std::size_t i = 1; i < size; ++i) {
    valid = valid && (byte(i) & 0xC0) == 0x80;
    character = (character << 6) | (byte(i) & 0x3Fu);
  }
  valid = valid && character >= kSmallest[size] && character <= 0x10FFFF &&
          (character < 0xD800 || character > 0xDFFF);
  text.remove_prefix(valid ? size : 1);
  return valid ? character : kReplacement;
}

bool is_control(char32_t character) {
  return character < 0x20 || (character >= 0x7F && character < 0xA0) ||
         // Line and paragraph separators, and marks that turn the direction of what follows.
         (character >= 0x2028 && character <= 0x202E) ||
         (character >= 0x2066 && character <= 0x2069);
}

int total_width(std::u32string_view text) {
  int width = 0;
  for (const char32_t character : text) width += display_width(character);
  return width;
}

// How many characters from the beginning (or, reversed, the end) fit into `width` columns.
std::size_t count_that_fits(std::u32string_view text, int width, bool from_end) {
  std::size_t count = 0;
  while (count < text.size()) {
    width -= display_width(text[from_end ? text.size() - 1 - count : count]);
    if (width < 0) break;
    ++count;
  }
  return count;
}

std::string shorten(std::string_view text, int width, int at_end) {
  const std::u32string whole = characters(text);
  if (total_width(whole) <= width) return to_utf8(whole);
  if (width < 1) return "";
  const std::size_t begin = count_that_fits(whole, width - 1 - at_end, false);
  const std::size_t end = count_that_fits(whole, at_end, true);
  return to_utf8(whole.substr(0, begin) + kEllipsis + whole.substr(whole.size() - end));
}

std::string formatted(double value, std::chars_format format, int decimals) {
  std::array<char, 400> buffer;  // 1e308 has 309 digits
  const auto result =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format, decimals);
  const std::string_view text(buffer.data(), result.ptr - buffer.data());
  const std::string_view digits = text.substr(0, text.find('e'));
  const bool minus_zero = text[0] == '-' && digits.find_first_not_of("-0.") == digits.npos;
  return std::string(text.substr(minus_zero ? 1 : 0));
}

}  // namespace

std::u32string characters(std::string_view text) {
  std::u32string decoded;
  while (!text.empty()) {
    const char32_t character = take_character(text);
    decoded += is_control(character) ? U' ' : character;
  }
  return decoded;
}

std::string printable(std::string_view text) { return to_utf8(characters(text)); }

std::string to_utf8(std::u32string_view characters) {
  std::string text;
  const auto add = [&](char32_t bits) { text += static_cast<char>(bits); };
  for (const char32_t c : characters) {
    if (c < 0x80) {
      add(c);
      continue;
    }
    if (c < 0x800) {
      add(0xC0 | c >> 6);
    } else if (c < 0x10000) {
      add(0xE0 | c >> 12);
      add(0x80 | (c >> 6 & 0x3F));
    } else {
      add(0xF0 | c >> 18);
      add(0x80 | (c >> 12 & 0x3F));
      add(0x80 | (c >> 6 & 0x3F));
    }
    add(0x80 | (c & 0x3F));
  }
  return text;
}

// The blocks that matter of Unicode's EastAsianWidth.txt, whole.
int display_width(char32_t c) {
  const auto within = [c](char32_t first, char32_t last) { return c >= first && c <= last; };
  if (within(0x300, 0x36F) || within(0x200B, 0x200F) || within(0xFE00, 0xFE0F)) return 0;
  const bool wide = within(0x1100, 0x115F) || within(0x2E80, 0xA4CF) || within(0xAC00, 0xD7A3) ||
                    within(0xF900, 0xFAFF) || within(0xFE30, 0xFE6F) || within(0xFF00, 0xFF60) ||
                    within(0xFFE0, 0xFFE6) || within(0x1F300, 0x1FAFF) || within(0x20000, 0x3FFFD);
  return wide ? 2 : 1;
}

int display_width(std::string_view text) { return total_width(characters(text)); }

std::string shorten_end(std::string_view text, int width) { return shorten(text, width, 0); }

std::string shorten_middle(std::string_view text, int width) {
  return shorten(text, width, (width - 1) / 2);
}

std::string fixed_text(double value, int decimals) {
  return formatted(value, std::chars_format::fixed, decimals);
}

std::string scientific_text(double value, int decimals) {
  return formatted(value, std::chars_format::scientific, decimals);
}

}  // namespace pi0
