#include "prompt/find_tokenizer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "base/test_support.h"
#include "prompt/test_support.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

class FindTokenizer : public testing::Test {
 protected:
  void SetUp() override { unsetenv("PI0_TOKENIZER"); }
  void TearDown() override { unsetenv("PI0_TOKENIZER"); }
  fs::path touch(const std::string& name) const {
    const fs::path path = directory_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << "x";
    return path;
  }
  TemporaryDirectory temporary_;
  const fs::path& directory_ = temporary_.path();
};

TEST_F(FindTokenizer, BesideTheCheckpointInOrder) {
  // From the last choice to the first: each, once it is there, is taken.
  for (const std::string name :
       {"tokenizer/tokenizer.json", "tokenizer/tokenizer.model", "tokenizer.json",
        "paligemma_tokenizer.model", "tokenizer.model"}) {
    const fs::path path = touch(name);
    EXPECT_EQ(find_tokenizer(directory_), path);
  }
}

TEST_F(FindTokenizer, TheEnvironmentIsLast) {
  const fs::path elsewhere = touch("elsewhere/any name");
  setenv("PI0_TOKENIZER", elsewhere.c_str(), 1);
  EXPECT_EQ(find_tokenizer(directory_), elsewhere);
  const fs::path beside = touch("tokenizer.json");
  EXPECT_EQ(find_tokenizer(directory_), beside);
}

TEST_F(FindTokenizer, BesideTheBaseOfAdapters) {
  const fs::path of_base = touch("base/tokenizer.model");
  fs::create_directories(directory_ / "adapters");
  EXPECT_EQ(find_tokenizer(directory_ / "adapters", {}, directory_ / "base"), of_base);
  const fs::path own = touch("adapters/tokenizer.json");
  EXPECT_EQ(find_tokenizer(directory_ / "adapters", {}, directory_ / "base"), own);
}

TEST_F(FindTokenizer, WhatIsNamedIsFirst) {
  touch("tokenizer.model");
  const fs::path named = touch("elsewhere/mine");
  EXPECT_EQ(find_tokenizer(directory_, named), named);
}

TEST_F(FindTokenizer, WhatIsNamedMustBeThere) {
  touch("tokenizer.model");
  const std::string absent = (directory_ / "absent").string();
  expect_error(ErrorCode::kIo, {absent}, [&] { find_tokenizer(directory_, absent); });
  expect_error(ErrorCode::kIo, {directory_.string()},
               [&] { find_tokenizer(directory_, directory_); });
  fs::remove(directory_ / "tokenizer.model");
  setenv("PI0_TOKENIZER", absent.c_str(), 1);
  expect_error(ErrorCode::kIo, {"PI0_TOKENIZER", absent}, [&] { find_tokenizer(directory_); });
}

// The environment's is PaliGemma's; what lies beside or is named was meant for this checkpoint.
TEST_F(FindTokenizer, AnotherThanPaligemmasIsNotTakenFromTheEnvironment) {
  const fs::path named = touch("mine");
  setenv("PI0_TOKENIZER", named.c_str(), 1);
  for (const char* wanted : {"", "google/paligemma-3b-pt-224", "/data/PaliGemma"}) {
    EXPECT_EQ(find_tokenizer(directory_, {}, {}, wanted), named);
  }
  expect_error(ErrorCode::kUnsupported, {"org/other", "PaliGemma's", "--tokenizer"},
               [&] { find_tokenizer(directory_, {}, {}, "org/other"); });
  EXPECT_EQ(find_tokenizer(directory_, named, {}, "org/other"), named);
  const fs::path beside = touch("tokenizer.json");
  EXPECT_EQ(find_tokenizer(directory_, {}, {}, "org/other"), beside);
}

TEST_F(FindTokenizer, NoneSaysWhereToGetOneAndHowToGiveIt) {
  expect_error(
      ErrorCode::kIo,
      {directory_.string(), "--tokenizer", "PI0_TOKENIZER", "tokenizer.model",
       "gs://big_vision/paligemma_tokenizer.model", "google/paligemma-3b-pt-224", "licence"},
      [&] { find_tokenizer(directory_); });
}

}  // namespace
}  // namespace pi0
