// What a public class that can be moved from does where it was.
#pragma once

#include <memory>
#include <string>

#include "pi0/error.h"

namespace pi0 {

// What `impl` holds. Throws Error (kInvalidInput) where it is empty: a `type` ("Policy") that held
// a `what` ("policy"); `otherwise`: how to come to another one.
template <typename Impl>
Impl& held(const std::unique_ptr<Impl>& impl, const char* type, const char* what,
           const char* otherwise) {
  if (impl != nullptr) return *impl;
  throw Error(ErrorCode::kInvalidInput, std::string("this ") + type +
                                            " was moved from, expected one that holds a " + what +
                                            ": use the one that it was moved to, or " + otherwise);
}

}  // namespace pi0
