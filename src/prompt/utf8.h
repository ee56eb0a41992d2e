// UTF-8 as the tokenizers and Python see it: well-formed, no surrogates, no overlong forms.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace pi0 {

// The offset of the first byte that is not part of a well-formed character, if there is one.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

// The character that begins `text`, which must be well-formed and not empty, and its length in
// bytes.
struct Character {
  char32_t code_point = 0;
  std::size_t length = 0;
};
Character first_character(std::string_view text);

}  // namespace pi0
