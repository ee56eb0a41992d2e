// A chunk of actions as a file that other programs read, and such files read back.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "pi0/policy.h"

namespace pi0 {

// What write_actions() can write; for require_writable().
inline constexpr std::array<std::string_view, 4> kActionExtensions = {".json", ".csv", ".npy",
                                                                      ".safetensors"};

// Writes the chunk, whole or not at all, in the format that the path's extension names:
//   .json         names, horizon, dims, n_action_steps, actions as rows, timing, warnings;
//                 the seam of a chunk that has one
//   .csv          a header "step,<names>", then a line a step
//   .npy          float32, [horizon, dims]
//   .safetensors  the tensor `actions`, F32, [horizon, dims]; names (as JSON) and n_action_steps
//                 in the metadata
// Numbers read back exactly. Throws Error: kInvalidInput for another extension or an action that
// is not finite, kIo when the file cannot be written.
void write_actions(const std::filesystem::path& path, const ActionChunk& chunk);

// Throws Error (kInvalidInput) naming the first step and dimension that is not finite.
void require_finite(const ActionChunk& chunk);

// The fewest digits that read back as `value`, be they read as a float or as a double.
std::string exact_text(float value);

// A motion from a file: predicted before, or recorded.
struct RecordedActions {
  int rows = 0;
  int dims = 0;
  std::vector<float> values;       // [rows, dims]
  std::vector<std::string> names;  // one a dimension, or none when the file has no names
};

// Reads what write_actions() writes, and what others do: JSON that is only a list of rows, CSV
// without a header or without its first column `step`, a .npy array of two dimensions of any
// number type, a tensor `actions` in F32 or F64. Throws Error naming the file and what does not
// fit: nothing in it, rows of different lengths, something that is no finite number.
RecordedActions read_actions(const std::filesystem::path& path);

}  // namespace pi0
