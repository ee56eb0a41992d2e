#include "device/ttnn/real/loaded_library.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <regex>
#include <vector>

namespace pi0 {
namespace {

namespace fs = std::filesystem;

// A note as an ELF file has it: its sizes and type, its name, its contents, each filled up.
std::vector<std::byte> note(std::uint32_t type, const std::string& name,
                            const std::vector<std::uint8_t>& contents, std::size_t alignment) {
  std::vector<std::byte> bytes;
  const auto word = [&](std::size_t value) {
    for (int i = 0; i < 4; ++i) bytes.push_back(static_cast<std::byte>(value >> (8 * i)));
  };
  const auto fill = [&] {
    while (bytes.size() % alignment != 0) bytes.push_back(std::byte{0xee});
  };
  word(name.size() + 1);
  word(contents.size());
  word(type);
  for (const char letter : name) bytes.push_back(static_cast<std::byte>(letter));
  bytes.push_back(std::byte{0});
  fill();
  for (const std::uint8_t value : contents) bytes.push_back(static_cast<std::byte>(value));
  fill();
  return bytes;
}

std::vector<std::byte> operator+(std::vector<std::byte> a, const std::vector<std::byte>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

constexpr std::uint32_t kAbiTag = 1, kBuildId = 3;

TEST(LoadedLibrary, FindsTheBuildIdAmongNotes) {
  for (const std::size_t alignment : {4, 8}) {
    const auto other = note(kBuildId, "Go", {1, 2, 3}, alignment);
    const auto abi = note(kAbiTag, "GNU", {0, 0, 0, 0, 3, 0, 0, 0}, alignment);
    const auto id = note(kBuildId, "GNU", {0xa8, 0x7d, 0x0c}, alignment);
    EXPECT_EQ(build_id(other + abi + id + abi, alignment), "a87d0c");
    EXPECT_EQ(build_id(id, alignment), "a87d0c");
    EXPECT_EQ(build_id(other + abi, alignment), "");
    EXPECT_EQ(build_id({}, alignment), "");
  }
}

TEST(LoadedLibrary, ReadsNothingBehindNotesThatAreCut) {
  const auto all = note(kAbiTag, "GNU", {1, 2, 3, 4}, 4) + note(kBuildId, "GNU", {5, 6, 7, 8}, 4);
  for (std::size_t size = 0; size < all.size(); ++size) {
    const std::vector<std::byte> cut(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(build_id(cut, 4), "") << size;
  }
  auto endless = all;
  for (int i = 4; i < 8; ++i) endless[static_cast<std::size_t>(i)] = std::byte{0xff};
  EXPECT_EQ(build_id(endless, 4), "");
}

TEST(LoadedLibrary, TellsWhatReadelfTells) {
  const auto loaded = loaded_library("libc.so.6");
  ASSERT_TRUE(loaded.has_value());
  const std::string command = "LC_ALL=C readelf -n " + loaded->path + " 2>&1";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string said;
  std::array<char, 256> part{};
  while (std::fgets(part.data(), part.size(), pipe.get()) != nullptr) said += part.data();
  if (said.find("not found") != std::string::npos) GTEST_SKIP() << "NOT CHECKED: " << said;
  std::smatch match;
  const bool has_one = std::regex_search(said, match, std::regex("Build ID: ([0-9a-f]+)"));
  EXPECT_EQ(loaded->id, has_one ? match[1].str() : "") << said;
  EXPECT_FALSE(loaded_library("libc.so").has_value());
}

class Wheel : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(library_.parent_path());
    std::ofstream(library_) << "a library";
    fs::create_directories(root_ / "torch-2.15.0.dist-info");
  }
  void TearDown() override { fs::remove_all(root_); }

  const fs::path root_ =
      fs::path(testing::TempDir()) / ("loaded_library_" + std::to_string(getpid()));
  const fs::path library_ = root_ / "ttnn/build/lib/_ttnncpp.so";
};

TEST_F(Wheel, SaysItsVersion) {
  EXPECT_EQ(wheel_version(library_), "");
  fs::create_directories(root_ / "ttnn-0.81.1.dist-info");
  EXPECT_EQ(wheel_version(library_), "0.81.1");
  const fs::path link = root_ / "link.so";
  fs::create_symlink(library_, link);
  EXPECT_EQ(wheel_version(link), "0.81.1");
  EXPECT_EQ(wheel_version(root_ / "nowhere/_ttnncpp.so"), "");
}

TEST_F(Wheel, OfAnotherBuildIsRefused) {
  fs::create_directories(root_ / "ttnn-0.81.1.dist-info");
  const std::string built(40, 'a');
  EXPECT_EQ(other_build(built, "0.71.2", LibraryBuild{library_, built}), "");
  const std::string why = other_build(built, "0.71.2", LibraryBuild{library_, "bb01"});
  EXPECT_EQ(why.rfind(library_.string() + " (0.81.1, build bb01) is loaded, but libpi0 was built "
                                          "with another (0.71.2, build aaaaaaaaaaaa); ",
                      0),
            0U)
      << why;
  // The same release, built anew: how is not known.
  EXPECT_NE(other_build(built, "0.81.1", LibraryBuild{library_, "bb01"}), "");
  EXPECT_NE(other_build(built, "", LibraryBuild{"/usr/lib/_ttnncpp.so", ""}), "");
}

TEST(LoadedLibrary, ThatCannotBeToldIsNotRefused) {
  EXPECT_EQ(other_build("", "0.71.2", LibraryBuild{"/usr/lib/_ttnncpp.so", "bb01"}), "");
  EXPECT_EQ(other_build("a1", "0.71.2", std::nullopt), "");  // linked into libpi0 itself
}

}  // namespace
}  // namespace pi0
