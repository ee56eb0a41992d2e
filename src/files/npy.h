// NumPy's .npy format, versions 1 to 3:
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace pi0 {

struct NpyArray {
  std::vector<std::int64_t> shape;  // empty for a scalar
  std::vector<float> values;        // row-major
};

// Reads float16, float32, float64 and integer arrays of either byte order, C or Fortran order.
// Throws Error (kIo when it cannot be read, else kInvalidInput) naming the file and what is wrong.
NpyArray read_npy(const std::filesystem::path& path);
NpyArray parse_npy(std::span<const std::byte> bytes, const std::string& where);

// Little-endian float32, version 1, whole or not at all.
void write_npy(const std::filesystem::path& path, const std::vector<std::int64_t>& shape,
               std::span<const float> values);

}  // namespace pi0
