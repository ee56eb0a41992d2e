// Python's way with strings, where a prompt depends on it.
#pragma once

#include <string_view>

namespace pi0 {

// str.strip(): without the characters at both ends for which str.isspace() holds. `text` must be
// well-formed UTF-8.
std::string_view python_strip(std::string_view text);

}  // namespace pi0
