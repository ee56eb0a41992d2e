// What a message of openpi's protocol holds: msgpack, in which a numpy array is a map of its bytes,
// its dtype and its shape. See openpi_client/msgpack_numpy.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace pi0 {

// The numbers of numpy that libpi0 understands.
enum class NumpyKind { kBool, kInt, kUint, kFloat, kText };

// numpy's dtype.str: "<f4", "|u1", ">i2", "<U12".
struct NumpyType {
  NumpyKind kind = NumpyKind::kFloat;
  int bytes = 0;  // of one element
  bool big_endian = false;

  bool operator==(const NumpyType&) const = default;
};

// Its bytes lie in the message that it was decoded from, at any alignment.
struct NumpyArray {
  NumpyType type = {};
  std::vector<std::int64_t> shape = {};  // none of a scalar
  std::span<const std::byte> data = {};

  std::int64_t size() const;  // elements
};

struct Value;
using ValueList = std::vector<Value>;
using ValueMap = std::vector<std::pair<std::string_view, Value>>;  // in the message's order
using ValueBytes = std::span<const std::byte>;

// Texts and bytes lie in the message.
struct Value {
  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string_view,
               ValueBytes, NumpyArray, ValueList, ValueMap>
      is = {};

  template <typename T>
  const T* as() const {
    return std::get_if<T>(&is);
  }
};

// What `value` is, as an error shows it: "a map", "an array <f4 [50, 32]".
std::string describe(const Value& value);
std::string dtype_text(const NumpyType& type);

// The one of that key; nullptr where there is none.
const Value* find_value(const ValueMap& map, std::string_view key);

// The numbers of an array of any numeric type and shape, of a list, or of a number alone,
// row-major. Throws Error (kInvalidInput) naming `name` where it is something else, or a number is
// beyond float's.
std::vector<float> to_floats(const Value& value, std::string_view name);
// A number; an array of one is one too. Throws Error (kInvalidInput).
double to_number(const Value& value, std::string_view name);
// An integer in [min, max].
std::int64_t to_integer(const Value& value, std::string_view name, std::int64_t min,
                        std::int64_t max);
bool to_bool(const Value& value, std::string_view name);
// UTF-8, of a str, of bytes, of numpy's text. Throws Error (kInvalidInput).
std::string to_text(const Value& value, std::string_view name);
// Throws Error (kInvalidInput) unless it is one.
const ValueMap& to_map(const Value& value, std::string_view name);

}  // namespace pi0
