#include "files/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/test_support.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

std::string contents_of(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(ReadFile, GivesAllBytes) {
  const TemporaryDirectory directory;
  const std::string text = std::string("a\0b\n\xff", 5) + std::string(100'000, 'x');
  std::ofstream(directory / "file", std::ios::binary) << text;
  EXPECT_EQ(read_file(directory / "file"), text);
  std::ofstream(directory / "empty");
  EXPECT_EQ(read_file(directory / "empty"), "");
}

TEST(ReadFile, ReadsFilesThatDoNotSayTheirSize) {
  EXPECT_FALSE(read_file("/proc/self/status").empty());
}

TEST(ReadFile, NamesTheFileThatCannotBeRead) {
  const TemporaryDirectory directory;
  expect_error(ErrorCode::kIo, {"absent", "cannot be read", "No such file"},
               [&] { read_file(directory / "absent"); });
  expect_error(ErrorCode::kIo, {"is a directory"}, [&] { read_file(directory.path()); });
  std::ofstream(directory / "large") << "12345678";
  expect_error(ErrorCode::kIo, {"large", "8 bytes", "at most 7"},
               [&] { read_file(directory / "large", 7); });
}

TEST(ReadFile, DoesNotWaitForAPipe) {
  const TemporaryDirectory directory;
  ASSERT_EQ(mkfifo((directory / "pipe").c_str(), 0600), 0);
  expect_error(ErrorCode::kIo, {"not a regular file"}, [&] { read_file(directory / "pipe"); });
  expect_error(ErrorCode::kIo, {"not a regular file"},
               [&] { MappedFile mapped(directory / "pipe"); });
}

TEST(MappedFile, OutlivesItsNameAndItsFirstHandle) {
  const TemporaryDirectory directory;
  std::ofstream(directory / "file") << "mapped";
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
  {
    const MappedFile mapped(directory / "file");
    bytes = mapped.bytes();
    owner = mapped.owner();
  }
  fs::remove(directory / "file");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), "mapped");
}

TEST(MappedFile, MapsAnEmptyFile) {
  const TemporaryDirectory directory;
  std::ofstream(directory / "empty");
  EXPECT_TRUE(MappedFile(directory / "empty").bytes().empty());
  expect_error(ErrorCode::kIo, {"absent"}, [&] { MappedFile mapped(directory / "absent"); });
}

TEST(WriteFile, WritesAndReplacesLeavingNothingElse) {
  const TemporaryDirectory directory;
  const std::string text("new\0file", 8);
  write_file(directory / "file", text);
  EXPECT_EQ(contents_of(directory / "file"), text);
  write_file(directory / "file", "shorter");
  EXPECT_EQ(contents_of(directory / "file"), "shorter");
  EXPECT_EQ(names_in(directory.path()), std::vector<std::string>{"file"});
}

TEST(WriteFile, FollowsTheUmaskAndKeepsTheModeOfWhatItReplaces) {
  const TemporaryDirectory directory;
  const auto mode_of = [&] { return fs::status(directory / "file").permissions(); };
  const mode_t before = umask(027);
  write_file(directory / "file", "x");
  umask(before);
  EXPECT_EQ(mode_of(), fs::perms{0640});
  fs::permissions(directory / "file", fs::perms{0600});
  write_file(directory / "file", "y");
  EXPECT_EQ(mode_of(), fs::perms{0600});
}

TEST(WriteFile, WritesThroughASymbolicLink) {
  const TemporaryDirectory directory;
  write_file(directory / "file", "old");
  fs::create_symlink("file", directory / "link");
  write_file(directory / "link", "new");
  EXPECT_TRUE(fs::is_symlink(directory / "link"));
  EXPECT_EQ(contents_of(directory / "file"), "new");
}

TEST(WriteFile, WritesIntoADevice) {
  write_file("/dev/null", "gone");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(WriteFile, AppendsToWhatTheProcessHasOpen) {
  const TemporaryDirectory directory;
  std::FILE* file = std::fopen((directory / "redirected").c_str(), "w");
  ASSERT_NE(file, nullptr);
  std::fputs("before\n", file);
  std::fflush(file);
  write_file("/proc/self/fd/" + std::to_string(fileno(file)), "contents\n");
  std::fclose(file);
  EXPECT_EQ(contents_of(directory / "redirected"), "before\ncontents\n");
}

TEST(WriteFile, NamesWhatCannotBeWritten) {
  const TemporaryDirectory directory;
  expect_error(ErrorCode::kIo, {"absent/file", "cannot be written", "No such file"},
               [&] { write_file(directory / "absent/file", "x"); });
  expect_error(ErrorCode::kIo, {"is a directory"}, [&] { write_file(directory.path(), "x"); });
  expect_error(ErrorCode::kIo, {"/dev/full", "No space"}, [] { write_file("/dev/full", "x"); });
}

TEST(WriteFile, LeavesNoHalfWrittenFile) {
  const TemporaryDirectory directory;
  write_file(directory / "file", "old");
  // As on a full disk: writing beyond 4096 bytes fails, after some have been written.
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit limited = before;
  limited.rlim_cur = 4096;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limited), 0);
  const std::string large(10'000, 'x');
  expect_error(ErrorCode::kIo, {"file", "cannot be written", "too large"},
               [&] { write_file(directory / "file", large); });
  expect_error(ErrorCode::kIo, {"new"}, [&] { write_file(directory / "new", large); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(names_in(directory.path()), std::vector<std::string>{"file"});
  EXPECT_EQ(contents_of(directory / "file"), "old");
}

TEST(WriteFile, LeavesAFileThatMayNotBeWritten) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write every file";
  const TemporaryDirectory directory;
  write_file(directory / "file", "old");
  fs::permissions(directory / "file", fs::perms{0400});
  expect_error(ErrorCode::kIo, {"file", "Permission denied"},
               [&] { write_file(directory / "file", "new"); });
  EXPECT_EQ(contents_of(directory / "file"), "old");
}

}  // namespace
}  // namespace pi0
