// JSON of other people's files, kept in the file's own order (the cameras' order matters), and
// typed access to it that names the file and the key when something is not as expected.
//
//   const Json config = read_json(directory / "config.json");
//   const int horizon = get_int(config, "chunk_size", "config.json", 50, 1, 4096);
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pi0 {

// Objects keep the order of their keys and are searched linearly: go through a large one with
// items(), do not look its keys up.
using Json = nlohmann::ordered_json;

// Throws Error (kInvalidCheckpoint) naming `where` and the byte at which the text is no JSON
// (UTF-8 included), or a key that one object has twice. Nesting deeper than 100 is refused.
Json parse_json(std::string_view text, const std::string& where);
Json read_json(const std::filesystem::path& path);
// The same of what a user gave: Error (kInvalidInput).
Json read_input_json(const std::filesystem::path& path);

// A value as an error shows it: "gemma_2b" in quotes, 12, an object; cut where it is long.
std::string describe(const Json& value);

// Throws Error (kInvalidCheckpoint) unless `value` is an object.
void require_object(const Json& value, const std::string& where);

// Below, `object` must be an object; `where` names it in errors, its file first. A key that is
// absent or null takes `fallback`, or is an error where there is none. All throw Error
// (kInvalidCheckpoint) when the value is of another type or out of range.

// nullptr where the key is absent or null.
const Json* find_key(const Json& object, const std::string& key);

// An integer in [min, max]; 2.0 is none.
int get_int(const Json& object, const std::string& key, const std::string& where,
            std::optional<int> fallback, int min, int max);
// Finite, as every number of a JSON text that could be parsed.
double get_number(const Json& object, const std::string& key, const std::string& where,
                  std::optional<double> fallback);
bool get_bool(const Json& object, const std::string& key, const std::string& where,
              std::optional<bool> fallback);
std::string get_string(const Json& object, const std::string& key, const std::string& where,
                       const std::optional<std::string>& fallback);

// nullptr where the key is absent or null; an object, an array otherwise.
const Json* find_object(const Json& object, const std::string& key, const std::string& where);
const Json* find_array(const Json& object, const std::string& key, const std::string& where);

// Arrays whose elements are all of the type; std::nullopt where the key is absent or null.
std::optional<std::vector<int>> find_ints(const Json& object, const std::string& key,
                                          const std::string& where, int min, int max);
std::optional<std::vector<double>> find_numbers(const Json& object, const std::string& key,
                                                const std::string& where);
std::optional<std::vector<std::string>> find_strings(const Json& object, const std::string& key,
                                                     const std::string& where);

}  // namespace pi0
