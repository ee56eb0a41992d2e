#include "cli/inputs.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"
#include "files/json.h"
#include "pi0/error.h"
#include "report/output_path.h"

namespace pi0 {
namespace {

[[noreturn]] void fail(const std::string& sentence) {
  throw Error(ErrorCode::kInvalidInput, sentence);
}

void require_finite(const std::vector<float>& values, const std::string& where) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      fail(fmt::format("{}: value {} is {}, expected a finite number", where, i, values[i]));
    }
  }
}

std::vector<float> state_of_list(const std::string& text) {
  std::vector<float> state;
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = text.find(',', begin);
    const std::string_view item = std::string_view(text).substr(
        begin, end == std::string::npos ? std::string::npos : end - begin);
    const std::optional<float> number = parse_number(item);
    if (!number) {
      fail(
          fmt::format("--state: value {} is \"{}\", expected numbers with commas between them "
                      "(0.1,0.2) or a .json or .npy file",
                      state.size(), item));
    }
    state.push_back(*number);
    if (end == std::string::npos) return state;
    begin = end + 1;
  }
}

std::vector<float> state_of_json(const std::string& path) {
  const std::string where = "--state " + path;
  const Json json = read_input_json(path);
  const bool has_key = json.is_object() && json.contains("state");
  const Json& list = has_key ? json["state"] : json;
  if (!list.is_array()) {
    fail(where + " holds no list of numbers, expected [0.1, 0.2] or {\"state\": [0.1, 0.2]}");
  }
  std::vector<float> state;
  for (const Json& value : list) {
    if (!value.is_number()) {
      fail(fmt::format("{}: value {} is {}, expected a number", where, state.size(),
                       value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 40)));
    }
    state.push_back(static_cast<float>(value.get<double>()));
  }
  return state;
}

std::vector<float> state_of_npy(const std::string& path) {
  NpyArray array = read_npy(path);
  const bool vector = array.shape.size() == 1;
  const bool one_row = array.shape.size() == 2 && array.shape[0] == 1;
  if (!vector && !one_row) {
    fail(fmt::format("--state {} has {} dimensions, expected one state: [dims] or [1, dims]", path,
                     array.shape.size()));
  }
  return std::move(array.values);
}

}  // namespace

std::vector<float> parse_state(const std::string& text_or_path) {
  const std::string extension = extension_of(text_or_path);
  const bool is_json = extension == ".json";
  const bool is_npy = extension == ".npy";
  std::vector<float> state = is_json  ? state_of_json(text_or_path)
                             : is_npy ? state_of_npy(text_or_path)
                                      : state_of_list(text_or_path);
  require_finite(state, is_json || is_npy ? "--state " + text_or_path : "--state");
  return state;
}

std::pair<std::string, std::filesystem::path> parse_image_argument(const std::string& argument) {
  const std::size_t equals = argument.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == argument.size()) {
    fail("--image is \"" + argument + "\", expected CAMERA=FILE, such as base_0_rgb=front.png");
  }
  return {argument.substr(0, equals), argument.substr(equals + 1)};
}

NpyArray read_noise(const std::filesystem::path& path) {
  const std::string where = "--noise " + path.string();
  if (extension_of(path) != ".npy") fail(where + " is no .npy file, expected one");
  NpyArray noise = read_npy(path);
  require_finite(noise.values, where);
  return noise;
}

}  // namespace pi0
