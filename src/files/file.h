// Reading a whole file, mapping one, and writing one so that it is there whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "files/descriptor.h"
#include "pi0/error.h"

namespace pi0 {

// The whole of a small file. Throws Error (kIo) naming it when it cannot be read, is no regular
// file, or is larger than `limit` bytes.
std::string read_file(const std::filesystem::path& path, std::size_t limit = 256u << 20);

// Throws Error naming `where` when `content` is what a clone without Git LFS has in a large file's
// place: a few lines that say which file.
void refuse_lfs_pointer(std::string_view content, const std::string& where,
                        ErrorCode code = ErrorCode::kInvalidCheckpoint);

// A regular file that stays open, and knows how it was when it was opened. A file that takes its
// name later is another; one that is written to in its place can be told.
class OpenedFile {
 public:
  // What the system says of it: the same where it is the same file, with the same bytes. Times in
  // nanoseconds.
  struct State {
    std::int64_t size = 0, modified = 0, changed = 0, inode = 0;
  };

  // Throws Error (kIo) naming the file.
  explicit OpenedFile(std::filesystem::path path);
  const std::filesystem::path& path() const { return path_; }
  const Descriptor& descriptor() const { return file_; }
  const State& state() const { return state_; }  // when it was opened
  // Throws Error (kIo) naming it when its size or the time of its last change are others now.
  void require_unchanged() const;

 private:
  std::filesystem::path path_;
  Descriptor file_;
  State state_;
};

// A file mapped for reading. Copies share the mapping, which goes with the last of them.
class MappedFile {
 public:
  // Throws Error (kIo) naming the file.
  explicit MappedFile(const std::filesystem::path& path);
  const std::shared_ptr<const OpenedFile>& file() const { return file_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  std::shared_ptr<const void> owner() const { return owner_; }

 private:
  std::shared_ptr<const OpenedFile> file_;
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
};

// A handle to a part of a mapping, which `owner` keeps. When the last copy goes, the part's pages
// leave this process's memory; they are read again from the file when they are next looked at.
std::shared_ptr<const void> lend(std::span<const std::byte> part,
                                 std::shared_ptr<const void> owner);

// Writes `contents` beside `path` and renames it into place. Throws Error (kIo) naming `path`; no
// half-written file is left, and what was there before stays.
void write_file(const std::filesystem::path& path, std::string_view contents);

}  // namespace pi0
