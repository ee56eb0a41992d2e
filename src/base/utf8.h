// UTF-8 as Python, its tokenizers and RFC 3629 have it: no surrogates, no overlong forms, nothing
// beyond U+10FFFF.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace pi0 {

// The offset of the first byte that is not part of a well-formed character, if there is one.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

struct Character {
  char32_t code_point = 0;
  std::size_t length = 0;  // in bytes
};
// The character that begins `text`, which is not empty; none where it is not well-formed.
std::optional<Character> read_character(std::string_view text);
// The same of well-formed text.
Character first_character(std::string_view text);

}  // namespace pi0
