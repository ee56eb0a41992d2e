#pragma once

#include <string>

#include "pi0/error.h"

namespace pi0 {

// `what`: a message's key, a file.
[[noreturn]] inline void refuse(const std::string& what, const std::string& sentence) {
  throw Error(ErrorCode::kInvalidInput, what + ": " + sentence);
}

}  // namespace pi0
