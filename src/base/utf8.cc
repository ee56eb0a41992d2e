#include "base/utf8.h"

namespace pi0 {
namespace {

// How long a character is that begins with this byte; 0 where none does.
std::size_t length_of(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;  // c0 and c1 would be overlong ASCII
  if (first >= 0xe0 && first < 0xf0) return 3;
  if (first >= 0xf0 && first < 0xf5) return 4;  // f5 and on would be beyond U+10FFFF
  return 0;
}

char32_t decode(std::string_view character) {
  constexpr unsigned char kFirstBits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
  char32_t code_point = static_cast<unsigned char>(character[0]) & kFirstBits[character.size()];
  for (const char next : character.substr(1)) {
    code_point = code_point << 6 | (static_cast<unsigned char>(next) & 0x3f);
  }
  return code_point;
}

bool is_well_formed(std::string_view character) {
  for (const char next : character.substr(1)) {
    if ((static_cast<unsigned char>(next) & 0xc0) != 0x80) return false;
  }
  const char32_t code_point = decode(character);
  const bool surrogate = code_point >= 0xd800 && code_point < 0xe000;
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  return code_point >= kSmallest[character.size()] && code_point <= 0x10ffff && !surrogate;
}

}  // namespace

std::optional<Character> read_character(std::string_view text) {
  const std::size_t length = length_of(static_cast<unsigned char>(text[0]));
  if (length == 0 || length > text.size() || !is_well_formed(text.substr(0, length))) {
    return std::nullopt;
  }
  return Character{decode(text.substr(0, length)), length};
}

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::optional<Character> character = read_character(text.substr(i));
    if (!character) return i;
    i += character->length;
  }
  return std::nullopt;
}

Character first_character(std::string_view text) {
  const std::size_t length = length_of(static_cast<unsigned char>(text[0]));
  return {decode(text.substr(0, length)), length};
}

}  // namespace pi0
