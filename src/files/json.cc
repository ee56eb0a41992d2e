#include "files/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <unordered_set>
#include <utility>

#include "files/file.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

constexpr std::size_t kMaxDepth = 100;

// The parser quotes the text that it could not read: perhaps control characters, or no UTF-8.
std::string ascii_only(std::string text) {
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

// Builds the value from the parser's events. nlohmann's own builder keeps the last of a repeated
// key in silence, looks every new key up among those before it (quadratic: minutes for a
// tokenizer's 257152 pieces), and has no limit of depth.
class Builder {
 public:
  Builder(Json& root, std::string_view text, const std::string& where)
      : root_(root), text_(text), where_(where) {}

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(std::int64_t value) { return add(value); }
  bool number_unsigned(std::uint64_t value) { return add(value); }
  bool number_float(double value, const std::string&) { return add(value); }
  bool string(std::string& value) { return add(std::move(value)); }
  bool binary(Json::binary_t&) { return false; }  // not in text
  bool start_object(std::size_t) { return open(Json::object()); }
  bool start_array(std::size_t) { return open(Json::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    if (!open_.back().keys.insert(name).second) {
      throw Error(ErrorCode::kInvalidCheckpoint,
                  where_ + ": the key " + describe(name) + " is there twice in one object");
    }
    key_ = std::move(name);
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) {
    if (const std::string_view literal = not_finite_at(position); !literal.empty()) {
      throw Error(ErrorCode::kInvalidCheckpoint,
                  fmt::format("{}: {} is {}, expected a finite number (Python writes it; it is no "
                              "JSON)",
                              where_, path(), literal));
    }
    std::string reason = e.what();  // "[json.exception.parse_error.101] parse error at …: reason"
    if (const auto end = reason.find("] "); end != std::string::npos) reason.erase(0, end + 2);
    if (reason.starts_with("parse error")) {
      if (const auto colon = reason.find(": "); colon != std::string::npos) {
        reason.erase(0, colon + 2);
      }
    }
    throw Error(ErrorCode::kInvalidCheckpoint, fmt::format("{}: byte {} makes it no JSON: {}",
                                                           where_, position, ascii_only(reason)));
  }

 private:
  struct Open {
    Json* value;  // stays where it is: while it is open, nothing is added beside it
    std::unordered_set<std::string> keys;
  };

  // NaN, Infinity or -Infinity, as Python's json writes them, where it is what the parser stopped
  // at; else empty.
  std::string_view not_finite_at(std::size_t position) const {
    std::size_t begin = std::min(position, text_.size());
    const auto in_literal = [](char c) {
      return c == '-' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    };
    while (begin > 0 && in_literal(text_[begin - 1])) --begin;
    for (const std::string_view literal : {"NaN", "Infinity", "-Infinity"}) {
      if (text_.substr(begin).starts_with(literal)) return literal;
    }
    return {};
  }
  // Of the value that is next: "norm_stats.state.std[2]".
  std::string path() const {
    std::string path;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      const Json& parent = *open_[i].value;
      const bool last = i + 1 == open_.size();
      if (parent.is_array()) {
        path += fmt::format("[{}]", parent.size() - (last ? 0 : 1));
      } else {
        path += (path.empty() ? "" : ".") +
                (last ? key_ : parent.get_ref<const Json::object_t&>().back().first);
      }
    }
    return path.empty() ? "it" : ascii_only(path);
  }

  bool add(Json value) {
    place(std::move(value));
    return true;
  }
  Json* place(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& parent = *open_.back().value;
    if (parent.is_array()) {
      auto& array = parent.get_ref<Json::array_t&>();
      array.push_back(std::move(value));
      return &array.back();
    }
    auto& object = parent.get_ref<Json::object_t&>();
    object.emplace_back(std::move(key_), std::move(value));
    return &object.back().second;
  }
  bool open(Json value) {
    if (open_.size() == kMaxDepth) {
      throw Error(ErrorCode::kInvalidCheckpoint,
                  fmt::format("{}: nested deeper than {} levels", where_, kMaxDepth));
    }
    open_.push_back({place(std::move(value)), {}});
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  Json& root_;
  std::string_view text_;
  const std::string& where_;
  std::vector<Open> open_;
  std::string key_;
};

[[noreturn]] void fail(const std::string& where, const std::string& key, const std::string& found,
                       const std::string& expected) {
  throw Error(ErrorCode::kInvalidCheckpoint,
              fmt::format("{}: \"{}\" is {}, expected {}", where, key, found, expected));
}

[[noreturn]] void fail_absent(const std::string& where, const std::string& key) {
  throw Error(ErrorCode::kInvalidCheckpoint, fmt::format("{}: \"{}\" is missing", where, key));
}

// What the functions below need to know of a type: is a value of it, and what to call it.
bool is_number(const Json& value) { return value.is_number(); }
bool is_string(const Json& value) { return value.is_string(); }
bool is_bool(const Json& value) { return value.is_boolean(); }

template <typename T>
T get(const Json& object, const std::string& key, const std::string& where,
      const std::optional<T>& fallback, bool (*is_of_type)(const Json&), const char* type) {
  const Json* value = find_key(object, key);
  if (!value && !fallback) fail_absent(where, key);
  if (!value) return *fallback;
  if (!is_of_type(*value)) fail(where, key, describe(*value), type);
  return value->get<T>();
}

template <typename T, typename Convert>
std::optional<std::vector<T>> find_all(const Json& object, const std::string& key,
                                       const std::string& where, Convert convert) {
  const Json* array = find_array(object, key, where);
  if (!array) return std::nullopt;
  std::vector<T> values;
  for (const Json& element : *array) {
    values.push_back(convert(element, fmt::format("{}[{}]", key, values.size())));
  }
  return values;
}

int to_int(const Json& value, const std::string& key, const std::string& where, int min, int max) {
  const bool fits = value.is_number_unsigned()
                        ? value.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX)
                        : value.is_number_integer();
  if (fits) {
    const auto number = value.get<std::int64_t>();
    if (number >= min && number <= max) return static_cast<int>(number);
  }
  fail(where, key, describe(value), fmt::format("an integer from {} to {}", min, max));
}

}  // namespace

Json parse_json(std::string_view text, const std::string& where) {
  refuse_lfs_pointer(text, where);
  // nlohmann's parser takes a zero byte for the end, and whatever follows would go unread.
  if (const auto zero = text.find('\0'); zero != std::string_view::npos) {
    throw Error(ErrorCode::kInvalidCheckpoint,
                fmt::format("{}: byte {} makes it no JSON: it is zero", where, zero + 1));
  }
  Json root;
  Builder builder(root, text, where);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return root;
}

Json read_json(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

Json read_input_json(const std::filesystem::path& path) {
  try {
    return read_json(path);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidCheckpoint) throw;
    throw Error(ErrorCode::kInvalidInput, error.what());
  }
}

std::string describe(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  constexpr std::size_t kLongest = 200;  // bytes; a tensor's name fits
  // An option's text may be no UTF-8.
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() <= kLongest) return text;
  std::size_t end = kLongest;
  while ((text[end] & 0xc0) == 0x80) --end;  // not within a UTF-8 character
  return text.substr(0, end) + "…\"";
}

void require_object(const Json& value, const std::string& where) {
  if (!value.is_object()) {
    throw Error(ErrorCode::kInvalidCheckpoint,
                fmt::format("{} is {}, expected an object", where, describe(value)));
  }
}

const Json* find_key(const Json& object, const std::string& key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

int get_int(const Json& object, const std::string& key, const std::string& where,
            std::optional<int> fallback, int min, int max) {
  const Json* value = find_key(object, key);
  if (!value && !fallback) fail_absent(where, key);
  return value ? to_int(*value, key, where, min, max) : *fallback;
}

double get_number(const Json& object, const std::string& key, const std::string& where,
                  std::optional<double> fallback) {
  return get(object, key, where, fallback, is_number, "a number");
}

bool get_bool(const Json& object, const std::string& key, const std::string& where,
              std::optional<bool> fallback) {
  return get(object, key, where, fallback, is_bool, "true or false");
}

std::string get_string(const Json& object, const std::string& key, const std::string& where,
                       const std::optional<std::string>& fallback) {
  return get(object, key, where, fallback, is_string, "a string");
}

const Json* find_object(const Json& object, const std::string& key, const std::string& where) {
  const Json* value = find_key(object, key);
  if (value && !value->is_object()) fail(where, key, describe(*value), "an object");
  return value;
}

const Json* find_array(const Json& object, const std::string& key, const std::string& where) {
  const Json* value = find_key(object, key);
  if (value && !value->is_array()) fail(where, key, describe(*value), "an array");
  return value;
}

std::optional<std::vector<int>> find_ints(const Json& object, const std::string& key,
                                          const std::string& where, int min, int max) {
  return find_all<int>(object, key, where, [&](const Json& element, const std::string& name) {
    return to_int(element, name, where, min, max);
  });
}

std::optional<std::vector<double>> find_numbers(const Json& object, const std::string& key,
                                                const std::string& where) {
  return find_all<double>(object, key, where, [&](const Json& element, const std::string& name) {
    if (!element.is_number()) fail(where, name, describe(element), "a number");
    return element.get<double>();
  });
}

std::optional<std::vector<std::string>> find_strings(const Json& object, const std::string& key,
                                                     const std::string& where) {
  return find_all<std::string>(object, key, where,
                               [&](const Json& element, const std::string& name) {
                                 if (!element.is_string())
                                   fail(where, name, describe(element), "a string");
                                 return element.get<std::string>();
                               });
}

}  // namespace pi0
