#include "actions/action_files.h"

#include <fmt/format.h>

#include <bit>
#include <cassert>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <system_error>

#include "files/file.h"
#include "files/json.h"
#include "files/npy.h"
#include "files/safetensors.h"
#include "report/csv.h"
#include "report/output_path.h"

namespace pi0 {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors holds little-endian data");

// A JSON string; what is not UTF-8 in it becomes U+FFFD.
std::string json_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string joined_row(std::span<const float> row, const char* separator) {
  std::string text;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i > 0) text += separator;
    text += exact_text(row[i]);
  }
  return text;
}

// By hand rather than by the JSON library, which prints a float as the double that it is: 0.1 as
// 0.10000000149011612.
std::string as_json(const ActionChunk& chunk) {
  std::string text = fmt::format(
      "{{\n  \"names\": {},\n  \"horizon\": {},\n  \"dims\": {},\n  \"n_action_steps\": {},\n"
      "  \"actions\": [",
      json_text(Json(chunk.names)), chunk.horizon, chunk.dims, chunk.n_action_steps);
  for (int step = 0; step < chunk.horizon; ++step) {
    text += fmt::format("{}\n    [{}]", step > 0 ? "," : "", joined_row(chunk.row(step), ", "));
  }
  Json timing;
  timing["preprocess_ms"] = chunk.timing.preprocess_ms;
  timing["vision_ms"] = chunk.timing.vision_ms;
  timing["prefix_ms"] = chunk.timing.prefix_ms;
  timing["denoise_ms"] = chunk.timing.denoise_ms;
  timing["total_ms"] = chunk.timing.total_ms;
  text += "\n  ],\n";
  if (chunk.seam) {
    text += fmt::format(
        "  \"seam\": {{\"delay\": {}, \"row\": {}, \"jump\": [{}], \"velocity_change\": [{}]}},\n",
        chunk.seam->delay, chunk.seam->row, joined_row(chunk.seam->jump, ", "),
        joined_row(chunk.seam->velocity_change, ", "));
  }
  return text + fmt::format("  \"timing\": {},\n  \"warnings\": {}\n}}\n", json_text(timing),
                            json_text(Json(chunk.warnings)));
}

std::string as_csv(const ActionChunk& chunk) {
  std::string text = "step";
  for (const std::string& name : chunk.names) {
    text += ',';
    text += csv_field(name);
  }
  text += "\n";
  for (int step = 0; step < chunk.horizon; ++step) {
    text += fmt::format("{},{}\n", step, joined_row(chunk.row(step), ","));
  }
  return text;
}

void write_as_safetensors(const std::filesystem::path& path, const ActionChunk& chunk) {
  const std::string_view bytes(reinterpret_cast<const char*>(chunk.actions.data()),
                               chunk.actions.size() * sizeof(float));
  write_safetensors(path, {{"actions", "F32", {chunk.horizon, chunk.dims}, bytes}},
                    {{"names", json_text(Json(chunk.names))},
                     {"n_action_steps", std::to_string(chunk.n_action_steps)}});
}

}  // namespace

std::string exact_text(float value) {
  char buffer[64];
  std::to_chars_result result = std::to_chars(buffer, buffer + sizeof buffer, value);
  // A reader that takes the digits for a double and rounds that to float rounds twice, and some
  // floats' shortest digits do not survive it (7.038531e-26 is the known one).
  double as_double = 0;
  std::from_chars(buffer, result.ptr, as_double);
  if (static_cast<float>(as_double) != value) {
    result = std::to_chars(buffer, buffer + sizeof buffer, static_cast<double>(value));
  }
  return std::string(buffer, result.ptr);
}

void require_finite(const ActionChunk& chunk) {
  for (int step = 0; step < chunk.horizon; ++step) {
    for (int dim = 0; dim < chunk.dims; ++dim) {
      const float value = chunk.row(step)[dim];
      if (!std::isfinite(value)) {
        throw Error(
            ErrorCode::kInvalidInput,
            fmt::format("the action at step {}, dimension {} ({}), is {}, expected a finite number",
                        step, dim, chunk.names[dim], exact_text(value)));
      }
    }
  }
}

void write_actions(const std::filesystem::path& path, const ActionChunk& chunk) {
  assert(chunk.names.size() == static_cast<std::size_t>(chunk.dims));
  assert(chunk.actions.size() == static_cast<std::size_t>(chunk.horizon) * chunk.dims);
  require_writable(path, kActionExtensions);
  require_finite(chunk);
  const std::string extension = extension_of(path);
  if (extension == ".json") {
    write_file(path, as_json(chunk));
  } else if (extension == ".csv") {
    write_file(path, as_csv(chunk));
  } else if (extension == ".npy") {
    write_npy(path, {chunk.horizon, chunk.dims}, chunk.actions);
  } else {
    write_as_safetensors(path, chunk);
  }
}

}  // namespace pi0
