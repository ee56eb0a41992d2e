// What the tests of this room share.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/test_support.h"
#include "files/safetensors.h"
#include "pi0/error.h"

namespace pi0 {

using Ids = std::vector<std::int32_t>;

inline std::filesystem::path testdata(const std::string& file) {
  return std::filesystem::path(PI0_SOURCE_DIR) / "testdata" / file;
}

// The values of a tensor; T must be as wide as its elements.
template <typename T>
std::vector<T> values_of(const SafeTensors& file, const std::string& name) {
  const SafeTensor* tensor = file.find(name);
  if (!tensor) throw Error(ErrorCode::kIo, file.where() + " has no " + name);
  std::vector<T> values(tensor->bytes.size() / sizeof(T));
  std::memcpy(values.data(), tensor->bytes.data(), values.size() * sizeof(T));
  return values;
}

}  // namespace pi0
