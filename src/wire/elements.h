// The elements of numpy's arrays, of whichever numeric type and byte order.
#pragma once

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "base/half.h"
#include "wire/value.h"

namespace pi0 {

// Whether its bytes are in another order than this machine's.
inline bool is_swapped(const NumpyType& type) {
  return type.big_endian == (std::endian::native == std::endian::little);
}

// One element, whose bytes are `from`.
template <typename T>
T read_element(const std::byte* from, bool swap) {
  std::byte bytes[sizeof(T)];
  std::memcpy(bytes, from, sizeof(T));
  if (swap) std::reverse(std::begin(bytes), std::end(bytes));
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

// Calls `use(element)` for each, row-major, with its own C++ type: bool, an integer, float (also of
// float16, which it holds exactly) or double. `array` has numbers, not text.
template <typename Use>
void for_each_element(const NumpyArray& array, Use use) {
  const bool swap = is_swapped(array.type);
  const auto each = [&]<typename Stored>(Stored, auto convert) {
    const std::byte* const begin = array.data.data();
    for (std::size_t at = 0; at < array.data.size(); at += sizeof(Stored)) {
      use(convert(read_element<Stored>(begin + at, swap)));
    }
  };
  const auto same = [](auto value) { return value; };
  const auto of_bytes = [&](auto one, auto two, auto four, auto eight) {
    if (array.type.bytes == 1) return each(one, same);
    if (array.type.bytes == 2) return each(two, same);
    if (array.type.bytes == 4) return each(four, same);
    each(eight, same);
  };
  switch (array.type.kind) {
    case NumpyKind::kBool:
      return each(std::uint8_t{}, [](std::uint8_t value) { return value != 0; });
    case NumpyKind::kInt:
      return of_bytes(std::int8_t{}, std::int16_t{}, std::int32_t{}, std::int64_t{});
    case NumpyKind::kUint:
      return of_bytes(std::uint8_t{}, std::uint16_t{}, std::uint32_t{}, std::uint64_t{});
    case NumpyKind::kFloat:
      if (array.type.bytes == 2) return each(std::uint16_t{}, f16_to_float);
      if (array.type.bytes == 4) return each(float{}, same);
      return each(double{}, same);
    case NumpyKind::kText:
      assert(false);
  }
}

}  // namespace pi0
