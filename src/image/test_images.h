// Images that the tests of this room share.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "files/safetensors.h"
#include "pi0/error.h"
#include "pi0/observation.h"

namespace pi0 {

inline std::filesystem::path preprocess_golden(const std::string& file) {
  return std::filesystem::path(PI0_SOURCE_DIR) / "testdata/golden/preprocess" / file;
}

// A tensor of uint8 [height, width, 3].
inline Image image_of(const SafeTensors& file, const std::string& tensor) {
  const SafeTensor* found = file.find(tensor);
  if (!found) throw Error(ErrorCode::kIo, file.where() + " has no " + tensor);
  Image image;
  image.height = static_cast<int>(found->shape.at(0));
  image.width = static_cast<int>(found->shape.at(1));
  for (const std::byte byte : found->bytes) image.rgb.push_back(static_cast<std::uint8_t>(byte));
  return image;
}

inline void expect_same(const Image& found, const Image& expected, const std::string& what) {
  ASSERT_EQ(found.width, expected.width) << what;
  ASSERT_EQ(found.height, expected.height) << what;
  ASSERT_EQ(found.rgb.size(), expected.rgb.size()) << what;
  std::size_t different = 0;
  for (std::size_t i = 0; i < found.rgb.size(); ++i) different += found.rgb[i] != expected.rgb[i];
  EXPECT_EQ(different, 0u) << what;
}

// What `call` throws; a failure of the test when it throws nothing.
template <typename Call>
std::string error_of(ErrorCode code, Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

}  // namespace pi0
