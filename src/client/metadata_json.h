// A server's metadata as JSON, whatever is in it.
#pragma once

#include <string>

#include "wire/value.h"

namespace pi0 {

// Arrays are lists in one another, bytes are null, as are numbers that JSON has not.
std::string metadata_json(const Value& metadata);

}  // namespace pi0
