// The reading half of cli/action_files.h.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "actions/action_files.h"
#include "base/text.h"
#include "files/file.h"
#include "files/json.h"
#include "files/npy.h"
#include "files/safetensors.h"
#include "report/csv.h"
#include "report/output_path.h"

namespace pi0 {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kInvalidInput, where + ": " + what);
}

std::string at(std::size_t row, std::size_t column) {
  return fmt::format("row {}, column {}", row, column);
}

// Rows and columns of a file, which must be some and fit an int.
void set_size(RecordedActions& actions, std::uint64_t rows, std::uint64_t dims,
              const std::string& where) {
  constexpr std::uint64_t kMax = std::numeric_limits<int>::max();
  if (rows == 0 || dims == 0 || rows > kMax || dims > kMax) {
    fail(where, fmt::format("the actions are of shape [{}, {}], expected at least one step and one "
                            "dimension",
                            rows, dims));
  }
  actions.rows = static_cast<int>(rows);
  actions.dims = static_cast<int>(dims);
}

void require_same_length(std::size_t row, std::size_t found, std::size_t expected,
                         const std::string& where) {
  if (found != expected) {
    fail(where, fmt::format("row {} has {} values, but row 0 has {}", row, found, expected));
  }
}

// Names when `json` is a list of as many strings as there are dimensions, else none.
std::vector<std::string> names_in(const Json& json, int dims) {
  if (!json.is_array() || json.size() != static_cast<std::size_t>(dims)) return {};
  std::vector<std::string> names;
  for (const Json& name : json) {
    if (!name.is_string()) return {};
    names.push_back(name.get<std::string>());
  }
  return names;
}

RecordedActions from_json(const std::filesystem::path& path) {
  const std::string where = path.string();
  const Json json = read_input_json(path);
  const bool has_key = json.is_object() && json.contains("actions");
  const Json& rows = has_key ? json["actions"] : json;
  if (!rows.is_array() || rows.empty() || !rows[0].is_array()) {
    fail(where, "there is no list of rows, expected [[…], …] or {\"actions\": [[…], …]}");
  }
  RecordedActions actions;
  set_size(actions, rows.size(), rows[0].size(), where);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (!rows[r].is_array()) fail(where, fmt::format("row {} is no list of numbers", r));
    require_same_length(r, rows[r].size(), rows[0].size(), where);
    for (std::size_t c = 0; c < rows[r].size(); ++c) {
      if (!rows[r][c].is_number()) fail(where, at(r, c) + " is no number");
      actions.values.push_back(static_cast<float>(rows[r][c].get<double>()));
    }
  }
  if (has_key && json.contains("names")) actions.names = names_in(json["names"], actions.dims);
  return actions;
}

// A header is a first line that begins with `step`, or that has no number in it.
bool is_header(const CsvRow& row) {
  if (row[0] == "step") return true;
  for (const std::string& field : row) {
    if (parse_number(field)) return false;
  }
  return true;
}

RecordedActions from_csv(const std::filesystem::path& path) {
  const std::string where = path.string();
  std::vector<CsvRow> rows = parse_csv(read_file(path), where);
  RecordedActions actions;
  bool has_step = false;
  if (!rows.empty() && is_header(rows[0])) {
    has_step = rows[0][0] == "step";
    actions.names.assign(rows[0].begin() + (has_step ? 1 : 0), rows[0].end());
    rows.erase(rows.begin());
  }
  const std::size_t first = has_step ? 1 : 0;
  set_size(actions, rows.size(), rows.empty() ? 0 : rows[0].size() - first, where);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    require_same_length(r, rows[r].size(), rows[0].size(), where);
    for (std::size_t c = first; c < rows[r].size(); ++c) {
      const std::optional<float> number = parse_number(rows[r][c]);
      if (!number) fail(where, at(r, c) + " is \"" + rows[r][c] + "\", expected a number");
      actions.values.push_back(*number);
    }
  }
  if (!actions.names.empty() && actions.names.size() != static_cast<std::size_t>(actions.dims)) {
    fail(where, fmt::format("the header names {} dimensions, but the rows have {}",
                            actions.names.size(), actions.dims));
  }
  return actions;
}

RecordedActions from_npy(const std::filesystem::path& path) {
  NpyArray array = read_npy(path);
  if (array.shape.size() != 2) {
    fail(path.string(),
         fmt::format("the array has {} dimensions, expected [steps, dims]", array.shape.size()));
  }
  RecordedActions actions;
  set_size(actions, array.shape[0], array.shape[1], path.string());
  actions.values = std::move(array.values);
  return actions;
}

RecordedActions from_safetensors(const std::filesystem::path& path) {
  const std::string where = path.string();
  const SafeTensors file = SafeTensors::open(path);
  const SafeTensor* tensor = file.find("actions");
  if (tensor == nullptr) fail(where, "there is no tensor \"actions\"");
  if (tensor->dtype != "F32" && tensor->dtype != "F64") {
    fail(where, "the tensor \"actions\" is of type " + tensor->dtype + ", expected F32 or F64");
  }
  if (tensor->shape.size() != 2) {
    fail(where, fmt::format("the tensor \"actions\" has {} dimensions, expected [steps, dims]",
                            tensor->shape.size()));
  }
  RecordedActions actions;
  set_size(actions, tensor->shape[0], tensor->shape[1], where);
  actions.values =
      tensor->dtype == "F32" ? floats_of<float>(tensor->bytes) : floats_of<double>(tensor->bytes);
  const auto names = file.metadata().find("names");
  if (names != file.metadata().end()) {
    actions.names = names_in(Json::parse(names->second, nullptr, false), actions.dims);
  }
  return actions;
}

RecordedActions read_by_extension(const std::filesystem::path& path) {
  const std::string extension = extension_of(path);
  if (extension == ".json") return from_json(path);
  if (extension == ".csv") return from_csv(path);
  if (extension == ".npy") return from_npy(path);
  if (extension == ".safetensors") return from_safetensors(path);
  fail(path.string(), "expected a file of actions that ends in .json, .csv, .npy or .safetensors");
}

}  // namespace

RecordedActions read_actions(const std::filesystem::path& path) try {
  RecordedActions actions = read_by_extension(path);
  for (std::size_t i = 0; i < actions.values.size(); ++i) {
    if (!std::isfinite(actions.values[i])) {
      fail(path.string(), at(i / actions.dims, i % actions.dims) + " is " +
                              exact_text(actions.values[i]) + ", expected a finite number");
    }
  }
  return actions;
} catch (const Error& error) {
  // The readers of files say that a checkpoint is damaged; this is none.
  if (error.code() != ErrorCode::kInvalidCheckpoint) throw;
  throw Error(ErrorCode::kInvalidInput, error.what());
}

}  // namespace pi0
