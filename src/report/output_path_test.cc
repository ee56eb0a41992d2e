#include "report/output_path.h"

#include <unistd.h>

#include <array>
#include <fstream>

#include "base/test_support.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> kExtensions = {".json", ".csv", ".npy"};

int entries_in(const fs::path& folder) {
  return static_cast<int>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(OutputPath, ExtensionsAreInLowerCase) {
  EXPECT_EQ(extension_of("a/b.c/chunk.JSON"), ".json");
  EXPECT_EQ(extension_of("a.b/chunk"), "");
}

TEST(OutputPath, AcceptsWhatCanBeWrittenAndLeavesNothing) {
  const TemporaryDirectory folder;
  require_writable(folder / "chunk.json", kExtensions);
  EXPECT_EQ(entries_in(folder.path()), 0);
  std::ofstream(folder / "there.CSV") << "before";
  require_writable(folder / "there.CSV", kExtensions);
  EXPECT_EQ(entries_in(folder.path()), 1);
  EXPECT_EQ(fs::file_size(folder / "there.CSV"), 6u);
}

TEST(OutputPath, RefusesOtherExtensionsAndListsThese) {
  const TemporaryDirectory folder;
  expect_error(ErrorCode::kInvalidInput, {"chunk.txt", "\".txt\"", ".json, .csv or .npy"},
               [&] { require_writable(folder / "chunk.txt", kExtensions); });
  expect_error(ErrorCode::kInvalidInput, {".json, .csv or .npy"},
               [&] { require_writable(folder / "chunk", kExtensions); });
}

TEST(OutputPath, RefusesWhereNothingCanBeWritten) {
  const TemporaryDirectory folder;
  expect_error(ErrorCode::kIo, {"absent/chunk.json cannot be written", "no folder"},
               [&] { require_writable(folder / "absent/chunk.json", kExtensions); });
  fs::create_directory(folder / "folder.json");
  expect_error(ErrorCode::kIo, {"folder.json is a directory"},
               [&] { require_writable(folder / "folder.json", kExtensions); });
  // Where even root, as whom tests often run, cannot create a file.
  expect_error(ErrorCode::kIo, {"/proc/chunk.json cannot be written"},
               [&] { require_writable("/proc/chunk.json", kExtensions); });
}

TEST(OutputPath, LooksWhereASymbolicLinkLeads) {
  const TemporaryDirectory folder;
  fs::create_directory(folder / "elsewhere");
  std::ofstream(folder / "elsewhere/target.json") << "{}";
  fs::create_symlink(folder / "elsewhere/target.json", folder / "link.json");
  require_writable(folder / "link.json", kExtensions);
  EXPECT_EQ(entries_in(folder / "elsewhere"), 1);
}

}  // namespace
}  // namespace pi0
