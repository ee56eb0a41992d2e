#include "prompt/python_text.h"

#include <cstddef>

#include "base/utf8.h"

namespace pi0 {
namespace {

// Python's Py_UNICODE_ISSPACE: of Unicode's bidirectional types WS, B and S, or category Zs.
bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
         c == 0x205f || c == 0x3000;
}

}  // namespace

std::string_view python_strip(std::string_view text) {
  while (!text.empty()) {
    const Character first = first_character(text);
    if (!is_space(first.code_point)) break;
    text.remove_prefix(first.length);
  }
  while (!text.empty()) {
    std::size_t start = text.size() - 1;  // of the last character
    while ((static_cast<unsigned char>(text[start]) & 0xc0) == 0x80) --start;
    if (!is_space(first_character(text.substr(start)).code_point)) break;
    text.remove_suffix(text.size() - start);
  }
  return text;
}

}  // namespace pi0
