// Bytes of a message into what it holds.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "wire/value.h"

namespace pi0 {

// What one message may hold, so that a small one cannot take much memory.
inline constexpr std::size_t kMostValues = 65536;  // elements of lists and maps, all together
inline constexpr std::size_t kDeepest = 16;        // lists and maps in one another

// Texts, bytes and arrays are of `message`, which has to outlive them. Throws Error (kInvalidInput)
// where it is no msgpack, not all of it is one value, holds more than the above, or an array's
// dtype or size is not what it says. Map keys are texts or bytes; numpy's own arrays and scalars
// are recognised under either.
Value decode(std::span<const std::byte> message);

// numpy's dtype.str. Throws Error (kInvalidInput) for what is not understood.
NumpyType parse_dtype(const std::string& text);

}  // namespace pi0
