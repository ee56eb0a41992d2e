#include "wire/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/shape_text.h"
#include "base/text.h"
#include "base/utf8.h"
#include "pi0/error.h"
#include "wire/elements.h"

namespace pi0 {
namespace {

[[noreturn]] void refuse(std::string_view name, const std::string& sentence) {
  throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", name, sentence));
}

// Of an array of one number.
double only_element(const NumpyArray& array) {
  double only = 0;
  for_each_element(array, [&only](auto element) { only = static_cast<double>(element); });
  return only;
}

// NaN and infinities are the policy's to refuse, by the dimension's number.
float to_float(double value, std::string_view name) {
  if (std::isfinite(value) && std::abs(value) > double{std::numeric_limits<float>::max()}) {
    refuse(name, fmt::format("{} is beyond float32", value));
  }
  return static_cast<float>(value);
}

const double* number_of(const Value& value, double& storage) {
  if (const auto* is = value.as<double>()) return is;
  if (const auto* is = value.as<std::int64_t>())
    storage = static_cast<double>(*is);
  else if (const auto* is = value.as<std::uint64_t>())
    storage = static_cast<double>(*is);
  else if (const auto* is = value.as<bool>())
    storage = *is ? 1 : 0;
  else
    return nullptr;
  return &storage;
}

void append_floats(const Value& value, std::string_view name, std::vector<float>& into) {
  if (const auto* array = value.as<NumpyArray>(); array && array->type.kind != NumpyKind::kText) {
    into.reserve(into.size() + static_cast<std::size_t>(array->size()));
    for_each_element(*array, [&](auto element) {
      into.push_back(to_float(static_cast<double>(element), name));
    });
    return;
  }
  if (const auto* list = value.as<ValueList>()) {
    for (const Value& item : *list) append_floats(item, name, into);
    return;
  }
  double storage = 0;
  const double* const number = number_of(value, storage);
  if (!number) refuse(name, "is " + describe(value) + ", expected numbers");
  into.push_back(to_float(*number, name));
}

std::string numpy_text(const NumpyArray& array, std::string_view name) {
  std::u32string text;
  for (std::size_t at = 0; at < array.data.size(); at += 4) {
    const auto character =
        read_element<std::uint32_t>(array.data.data() + at, is_swapped(array.type));
    if (character > 0x10ffff || (character >= 0xd800 && character < 0xe000)) {
      refuse(name, "has a character that Unicode does not");
    }
    text.push_back(character);
  }
  while (!text.empty() && text.back() == 0) text.pop_back();  // numpy pads with it
  return to_utf8(text);
}

}  // namespace

std::int64_t NumpyArray::size() const {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

std::string dtype_text(const NumpyType& type) {
  static constexpr char kLetters[] = {'b', 'i', 'u', 'f', 'U'};
  const bool text = type.kind == NumpyKind::kText;
  const char* const order = type.bytes == 1 ? "|" : type.big_endian ? ">" : "<";
  return fmt::format("{}{}{}", order, kLetters[static_cast<std::size_t>(type.kind)],
                     text ? type.bytes / 4 : type.bytes);
}

std::string describe(const Value& value) {
  struct Describe {
    std::string operator()(std::monostate) const { return "nothing (nil)"; }
    std::string operator()(bool is) const { return is ? "true" : "false"; }
    std::string operator()(std::int64_t is) const { return std::to_string(is); }
    std::string operator()(std::uint64_t is) const { return std::to_string(is); }
    std::string operator()(double is) const { return short_text(is, 9); }
    std::string operator()(std::string_view is) const {
      return "\"" + shorten_end(printable(is.substr(0, 200)), 40) + "\"";
    }
    std::string operator()(const ValueBytes& is) const {
      return fmt::format("{} bytes", is.size());
    }
    std::string operator()(const NumpyArray& is) const {
      return fmt::format("an array {} {}", dtype_text(is.type), shape_text(is.shape));
    }
    std::string operator()(const ValueList& is) const {
      return fmt::format("a list of {}", is.size());
    }
    std::string operator()(const ValueMap&) const { return "a map"; }
  };
  return std::visit(Describe(), value.is);
}

const Value* find_value(const ValueMap& map, std::string_view key) {
  const auto found =
      std::find_if(map.begin(), map.end(), [key](const auto& entry) { return entry.first == key; });
  return found == map.end() ? nullptr : &found->second;
}

std::vector<float> to_floats(const Value& value, std::string_view name) {
  std::vector<float> numbers;
  append_floats(value, name, numbers);
  return numbers;
}

double to_number(const Value& value, std::string_view name) {
  double number = 0;
  if (const auto* array = value.as<NumpyArray>();
      array && array->size() == 1 && array->type.kind != NumpyKind::kText) {
    return only_element(*array);
  }
  const double* const found = number_of(value, number);
  if (!found) refuse(name, "is " + describe(value) + ", expected a number");
  return *found;
}

std::int64_t to_integer(const Value& value, std::string_view name, std::int64_t min,
                        std::int64_t max) {
  const auto* const exact = value.as<std::int64_t>();
  const double number = exact ? static_cast<double>(*exact) : to_number(value, name);
  const bool fits = exact ? *exact >= min && *exact <= max
                          : number == std::floor(number) && number >= static_cast<double>(min) &&
                                number <= static_cast<double>(max) && std::abs(number) < 9e15;
  if (!fits) {
    refuse(name,
           fmt::format("is {}, expected a whole number from {} to {}", describe(value), min, max));
  }
  return exact ? *exact : static_cast<std::int64_t>(number);
}

bool to_bool(const Value& value, std::string_view name) {
  if (const auto* is = value.as<bool>()) return *is;
  if (const auto* array = value.as<NumpyArray>();
      array && array->type.kind == NumpyKind::kBool && array->size() == 1) {
    return only_element(*array) != 0;
  }
  refuse(name, "is " + describe(value) + ", expected true or false");
}

std::string to_text(const Value& value, std::string_view name) {
  std::string text;
  if (const auto* is = value.as<std::string_view>()) {
    text = *is;
  } else if (const auto* bytes = value.as<ValueBytes>()) {
    text.assign(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  } else if (const auto* array = value.as<NumpyArray>();
             array && array->type.kind == NumpyKind::kText && array->size() == 1) {
    return numpy_text(*array, name);
  } else if (const auto* list = value.as<ValueList>(); list && list->size() == 1) {
    return to_text(list->front(), name);  // a batch of one, as lerobot's tasks are
  } else {
    refuse(name, "is " + describe(value) + ", expected a text");
  }
  if (const auto at = find_invalid_utf8(text)) {
    refuse(name, fmt::format("is no UTF-8 at byte {}", *at));
  }
  return text;
}

const ValueMap& to_map(const Value& value, std::string_view name) {
  const auto* const map = value.as<ValueMap>();
  if (!map) refuse(name, "is " + describe(value) + ", expected a map");
  return *map;
}

}  // namespace pi0
