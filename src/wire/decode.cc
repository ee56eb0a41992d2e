#include "wire/decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <msgpack.hpp>

#include "base/shape_text.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

[[noreturn]] void refuse(const std::string& sentence) {
  throw Error(ErrorCode::kInvalidInput, "message: " + sentence);
}

// How many bytes an array of that shape has; refuses what cannot be.
std::size_t bytes_of(const NumpyType& type, const std::vector<std::int64_t>& shape) {
  const auto bytes = static_cast<std::size_t>(type.bytes);
  const std::size_t most =
      std::numeric_limits<std::int64_t>::max() / std::max<std::size_t>(1, bytes);
  std::size_t elements = 1;
  for (const std::int64_t extent : shape) {
    const auto times = static_cast<std::size_t>(extent);
    if (extent < 0 || (times != 0 && elements > most / times)) {
      refuse(fmt::format("an array has the shape {}, which none has", shape_text(shape)));
    }
    elements *= times;
  }
  return bytes * elements;
}

std::int64_t extent_of(const Value& value) {
  if (const auto* number = value.as<std::int64_t>()) return *number;
  if (const auto* number = value.as<std::uint64_t>()) {
    if (*number <= std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
      return static_cast<std::int64_t>(*number);
    }
  }
  refuse("an array's shape has " + describe(value) + " in it, expected integers");
}

Value to_array(const ValueMap& map) {
  const Value* const data = find_value(map, "data");
  const Value* const dtype = find_value(map, "dtype");
  const Value* const shape = find_value(map, "shape");
  if (!data || !dtype || !shape) {
    refuse("an array lacks one of data, dtype and shape");
  }
  NumpyArray array;
  array.type = parse_dtype(to_text(*dtype, "an array's dtype"));
  const auto* const extents = shape->as<ValueList>();
  if (!extents) refuse("an array's shape is " + describe(*shape) + ", expected a list");
  for (const Value& extent : *extents) array.shape.push_back(extent_of(extent));
  const auto* const bytes = data->as<ValueBytes>();
  if (!bytes) refuse("an array's data is " + describe(*data) + ", expected bytes");
  const std::size_t expected = bytes_of(array.type, array.shape);
  if (bytes->size() != expected) {
    refuse(fmt::format("an array {} {} has {} bytes, expected {}", dtype_text(array.type),
                       shape_text(array.shape), bytes->size(), expected));
  }
  array.data = *bytes;
  return {array};
}

// A map that stands for an array or a scalar becomes one.
Value numpy_of(ValueMap map) {
  if (find_value(map, "__ndarray__")) return to_array(map);
  if (find_value(map, "__npgeneric__")) {
    const Value* const data = find_value(map, "data");
    if (!data) refuse("a scalar lacks data");
    if (data->as<ValueMap>() || data->as<ValueList>() || data->as<NumpyArray>()) {
      refuse("a scalar's data is " + describe(*data) + ", expected a number or a text");
    }
    return *data;
  }
  return {std::move(map)};
}

// msgpack's visitor: builds the value while it is parsed. It refuses by throwing.
class Builder : public msgpack::null_visitor {
 public:
  Value take() { return std::move(root_); }

  bool visit_nil() { return put({}); }
  bool visit_boolean(bool value) { return put({value}); }
  bool visit_positive_integer(std::uint64_t value) {
    if (value <= std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
      return put({static_cast<std::int64_t>(value)});
    }
    return put({value});
  }
  bool visit_negative_integer(std::int64_t value) { return put({value}); }
  bool visit_float32(float value) { return put({double{value}}); }
  bool visit_float64(double value) { return put({value}); }
  bool visit_str(const char* text, std::uint32_t size) {
    return put({std::string_view(text, size)});
  }
  bool visit_bin(const char* bytes, std::uint32_t size) {
    return put({std::as_bytes(std::span(bytes, size))});
  }
  bool visit_ext(const char*, std::uint32_t) {
    refuse("an extension type, expected numbers, texts, bytes, lists and maps");
  }
  bool start_array(std::uint32_t) {
    open({ValueList()});
    return true;
  }
  bool end_array() { return put(close()); }
  bool start_map(std::uint32_t) {
    open({ValueMap()});
    return true;
  }
  bool start_map_key() {
    levels_.back().in_key = true;
    return true;
  }
  bool end_map_key() {
    levels_.back().in_key = false;
    return true;
  }
  bool end_map() {
    Value map = close();
    return put(numpy_of(std::move(std::get<ValueMap>(map.is))));
  }
  void parse_error(std::size_t, std::size_t at) {
    refuse(fmt::format("no msgpack at byte {}", at));
  }
  void insufficient_bytes(std::size_t, std::size_t at) {
    refuse(fmt::format("it ends at byte {} amid a value", at));
  }

 private:
  struct Level {
    Value value;
    std::string_view key = {};
    bool in_key = false;
  };

  void open(Value value) {
    if (levels_.size() == kDeepest) {
      refuse(fmt::format("lists and maps more than {} deep", kDeepest));
    }
    if (!levels_.empty() && levels_.back().in_key) {
      refuse("a list or a map is a key, expected a text");
    }
    levels_.push_back({std::move(value)});
  }
  Value close() {
    Value value = std::move(levels_.back().value);
    levels_.pop_back();
    return value;
  }
  bool put(Value value) {
    if (++count_ > kMostValues) refuse(fmt::format("more than {} values", kMostValues));
    if (levels_.empty()) {
      root_ = std::move(value);
      return true;
    }
    Level& level = levels_.back();
    if (level.in_key) {
      level.key = key_of(value);
    } else if (auto* list = std::get_if<ValueList>(&level.value.is)) {
      list->push_back(std::move(value));
    } else {
      auto& map = std::get<ValueMap>(level.value.is);
      map.emplace_back(level.key, std::move(value));
    }
    return true;
  }
  static std::string_view key_of(const Value& value) {
    if (const auto* text = value.as<std::string_view>()) return *text;
    if (const auto* bytes = value.as<ValueBytes>()) {
      return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
    }
    refuse(describe(value) + " is a key, expected a text");
  }

  Value root_;
  std::vector<Level> levels_;
  std::size_t count_ = 0;
};

}  // namespace

NumpyType parse_dtype(const std::string& text) {
  const auto unknown = [&text]() {
    refuse(fmt::format(
        "an array's dtype is {}, expected numpy's dtype.str of booleans, integers, floats or texts",
        text));
  };
  NumpyType type;
  std::string_view rest = text;
  if (rest.starts_with('>')) type.big_endian = true;
  if (!rest.empty() && std::string_view("<>|=").find(rest.front()) != std::string_view::npos) {
    rest.remove_prefix(1);
  }
  if (rest.size() < 2) unknown();
  int count = 0;
  const auto [end, error] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), count);
  if (error != std::errc() || end != rest.data() + rest.size()) unknown();
  const auto one_of = [&](NumpyKind kind, std::initializer_list<int> sizes) {
    bool found = false;
    for (const int size : sizes) found = found || size == count;
    if (!found) unknown();
    type.kind = kind;
    type.bytes = count;
  };
  switch (rest.front()) {
    case 'b':
      one_of(NumpyKind::kBool, {1});
      break;
    case 'i':
      one_of(NumpyKind::kInt, {1, 2, 4, 8});
      break;
    case 'u':
      one_of(NumpyKind::kUint, {1, 2, 4, 8});
      break;
    case 'f':
      one_of(NumpyKind::kFloat, {2, 4, 8});
      break;
    case 'U':
      if (count < 0 || count > std::numeric_limits<int>::max() / 4) unknown();
      type.kind = NumpyKind::kText;
      type.bytes = 4 * count;  // UTF-32
      break;
    default:
      unknown();
  }
  return type;
}

Value decode(std::span<const std::byte> message) {
  if (message.empty()) refuse("it is empty");
  Builder builder;
  std::size_t offset = 0;
  msgpack::parse(reinterpret_cast<const char*>(message.data()), message.size(), offset, builder);
  if (offset != message.size()) {
    refuse(fmt::format("{} bytes follow its value", message.size() - offset));
  }
  return builder.take();
}

}  // namespace pi0
