// What the sources of this room share: small texts, and the parts of their errors.
#pragma once

#include <string>
#include <vector>

#include "pi0/error.h"

namespace pi0 {

// `where` is the file, and what in it: "dir/config.json", "dir/config.json: architecture.vision".
[[noreturn]] inline void fail(const std::string& where, const std::string& sentence,
                              ErrorCode code = ErrorCode::kInvalidCheckpoint) {
  throw Error(code, where + ": " + sentence);
}

// ASCII letters.
inline std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
  }
  return text;
}

// "a, b, c and 7 more", `most` of them named.
inline std::string list_of(const std::vector<std::string>& items, const char* separator = ", ",
                           std::size_t most = 20) {
  std::string text;
  for (std::size_t i = 0; i < items.size() && i < most; ++i)
    text += (i ? separator : "") + items[i];
  if (items.size() > most) text += " and " + std::to_string(items.size() - most) + " more";
  return text;
}

}  // namespace pi0
