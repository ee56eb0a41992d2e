// Reading a whole file, mapping one, and writing one so that it is there whole or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "pi0/error.h"

namespace pi0 {

// The whole of a small file. Throws Error (kIo) naming it when it cannot be read, is no regular
// file, or is larger than `limit` bytes.
std::string read_file(const std::filesystem::path& path, std::size_t limit = 256u << 20);

// Throws Error naming `where` when `content` is what a clone without Git LFS has in a large file's
// place: a few lines that say which file.
void refuse_lfs_pointer(std::string_view content, const std::string& where,
                        ErrorCode code = ErrorCode::kInvalidCheckpoint);

// A file mapped for reading. Copies share the mapping, which goes with the last of them.
class MappedFile {
 public:
  // Throws Error (kIo) naming the file.
  explicit MappedFile(const std::filesystem::path& path);
  std::span<const std::byte> bytes() const { return bytes_; }
  std::shared_ptr<const void> owner() const { return owner_; }

 private:
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
