// What tests of rooms that read files share: a directory that goes with the test, and the check of
// an error's sentence. For tests only.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "pi0/error.h"

namespace pi0 {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "pi0_test_XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary directory");
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Expects that `call` throws Error with `code`, and that its sentence holds each of `words`.
inline void expect_error(ErrorCode code, const std::vector<std::string>& words,
                         const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    const std::string sentence = error.what();
    EXPECT_EQ(error.code(), code) << sentence;
    for (const std::string& word : words) {
      EXPECT_NE(sentence.find(word), std::string::npos)
          << "expected \"" << word << "\" in: " << sentence;
    }
    return;
  }
  ADD_FAILURE() << "expected an Error with \"" << (words.empty() ? "" : words.front()) << "\"";
}

}  // namespace pi0
