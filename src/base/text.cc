#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <limits>
#include <system_error>

#include "base/utf8.h"

namespace pi0 {
namespace {

constexpr char32_t kReplacement = U'\uFFFD';
constexpr char32_t kEllipsis = U'…';

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

std::string without_minus_zero(std::string text) {
  const std::string_view digits = std::string_view(text).substr(0, text.find('e'));
  if (text[0] == '-' && digits.find_first_not_of("-0.") == digits.npos) text.erase(0, 1);
  return text;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

}  // namespace

std::u32string characters(std::string_view text) {
  std::u32string decoded;
  while (!text.empty()) {  // a byte that begins no character is taken off alone
    const Character character = read_character(text).value_or(Character{kReplacement, 1});
    decoded += is_control(character.code_point) ? U' ' : character.code_point;
    text.remove_prefix(character.length);
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
  return without_minus_zero(fmt::format("{:.{}f}", value, decimals));
}

std::string scientific_text(double value, int decimals) {
  return without_minus_zero(fmt::format("{:.{}e}", value, decimals));
}

std::string short_text(double value, int digits) {
  return without_minus_zero(fmt::format("{:.{}g}", value, digits));
}

std::optional<float> parse_number(std::string_view text) {
  text = trimmed(text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  if (std::isfinite(value) && std::abs(value) > std::numeric_limits<float>::max()) {
    return std::nullopt;
  }
  return static_cast<float>(value);
}

}  // namespace pi0
