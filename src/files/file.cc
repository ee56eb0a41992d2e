#include "files/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <random>
#include <system_error>
#include <utility>

#include "files/descriptor.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const std::string& what, int error) {
  throw Error(ErrorCode::kIo, fmt::format("{} {}: {}", path.string(), what,
                                          std::generic_category().message(error)));
}

// Of an open file. Throws when it was not opened, or is no regular file.
OpenedFile::State regular_state(const Descriptor& file, const fs::path& path) {
  struct stat status;
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) fail(path, "cannot be read", errno);
  if (S_ISDIR(status.st_mode)) {
    throw Error(ErrorCode::kIo, path.string() + " is a directory, expected a file");
  }
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kIo, path.string() + " is not a regular file");
  }
  const auto nanoseconds = [](const timespec& time) {
    return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
  };
  return {.size = static_cast<std::int64_t>(status.st_size),
          .modified = nanoseconds(status.st_mtim),
          .changed = nanoseconds(status.st_ctim),
          .inode = static_cast<std::int64_t>(status.st_ino)};
}

// Opening a FIFO that nobody writes to would wait for ever; regular files ignore O_NONBLOCK.
constexpr int kReadFlags = O_RDONLY | O_NONBLOCK;

void write_all(const Descriptor& file, std::string_view contents, const fs::path& path) {
  while (!contents.empty()) {
    const ssize_t written = ::write(file.get(), contents.data(), contents.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path, "cannot be written", errno);
    contents.remove_prefix(static_cast<std::size_t>(written));
  }
}

// A name beside `target` that no other file has, removed again unless renamed.
class TemporaryFile {
 public:
  TemporaryFile(const fs::path& target, mode_t mode) {
    std::random_device random;
    for (int attempt = 0; attempt < 100; ++attempt) {
      path_ = target;
      path_ += fmt::format(".tmp{}", random());
      // O_EXCL and 0666 rather than mkstemp, whose 0600 would not follow the user's umask.
      file_.emplace(path_, O_WRONLY | O_CREAT | O_EXCL, mode);
      if (file_->get() >= 0) return;
      if (errno != EEXIST) fail(target, "cannot be written", errno);
    }
    fail(target, "cannot be written", EEXIST);
  }
  ~TemporaryFile() {
    if (!renamed_) ::unlink(path_.c_str());
  }
  Descriptor& file() { return *file_; }
  void rename_to(const fs::path& target) {
    if (std::rename(path_.c_str(), target.c_str()) != 0) fail(target, "cannot be written", errno);
    renamed_ = true;
  }

 private:
  fs::path path_;
  std::optional<Descriptor> file_;
  bool renamed_ = false;
};

// What cannot be replaced by renaming: a device, a pipe, and what the process already has open
// under /dev or /proc (/dev/stdout, even where it is redirected into a regular file).
bool written_in_place(const fs::path& path, const struct stat& status) {
  const std::string text = path.lexically_normal().string();
  return !S_ISREG(status.st_mode) || text.starts_with("/dev/") || text.starts_with("/proc/");
}

}  // namespace

std::string read_file(const fs::path& path, std::size_t limit) {
  const Descriptor file(path, kReadFlags);
  const auto size = static_cast<std::size_t>(regular_state(file, path).size);
  const auto require_within_limit = [&](std::size_t bytes) {
    if (bytes > limit) {
      throw Error(ErrorCode::kIo,
                  fmt::format("{} has {} bytes, expected at most {}", path.string(), bytes, limit));
    }
  };
  require_within_limit(size);
  std::string contents;
  contents.resize(size + 1);  // one more, so that a file of the size seen ends in one read
  std::size_t filled = 0;
  while (true) {
    const ssize_t count = ::read(file.get(), contents.data() + filled, contents.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path, "cannot be read", errno);
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
    require_within_limit(filled);  // it may have grown since, and files of /proc have size 0
    if (filled == contents.size()) contents.resize(2 * contents.size());
  }
  contents.resize(filled);
  return contents;
}

void refuse_lfs_pointer(std::string_view content, const std::string& where, ErrorCode code) {
  if (!content.starts_with("version https://git-lfs.github.com/spec/")) return;
  throw Error(code, where +
                        ": is a pointer of Git LFS, not the file that it stands for; `git lfs "
                        "pull` in its directory fetches it");
}

OpenedFile::OpenedFile(fs::path path)
    : path_(std::move(path)), file_(path_, kReadFlags), state_(regular_state(file_, path_)) {}

void OpenedFile::require_unchanged() const {
  const State now = regular_state(file_, path_);
  if (now.size == state_.size && now.modified == state_.modified) return;
  throw Error(
      ErrorCode::kIo,
      fmt::format("{} has been written to since it was opened ({} bytes then, {} now): open "
                  "the checkpoint again; a file that is to be replaced while it is in use "
                  "has to be renamed into its place",
                  path_.string(), state_.size, now.size));
}

MappedFile::MappedFile(const fs::path& path) : file_(std::make_shared<const OpenedFile>(path)) {
  const auto size = static_cast<std::size_t>(file_->state().size);
  if (size == 0) return;  // mmap refuses a length of 0
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file_->descriptor().get(), 0);
  if (address == MAP_FAILED) fail(path, "cannot be mapped", errno);
  owner_ = std::shared_ptr<const void>(
      address, [size](const void* mapped) { ::munmap(const_cast<void*>(mapped), size); });
  bytes_ = {static_cast<const std::byte*>(address), size};
}

std::shared_ptr<const void> lend(std::span<const std::byte> part,
                                 std::shared_ptr<const void> owner) {
  // Whole pages only: those at its ends are its neighbours' as well.
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t before = reinterpret_cast<std::uintptr_t>(part.data()) % page;
  const std::size_t skipped = before == 0 ? 0 : page - before;
  const std::size_t whole = skipped < part.size() ? (part.size() - skipped) / page * page : 0;
  auto* const first = const_cast<std::byte*>(part.data()) + skipped;
  return {part.data(), [owner = std::move(owner), first, whole](const void*) {
            if (owner != nullptr && whole != 0) ::madvise(first, whole, MADV_DONTNEED);
          }};
}

void write_file(const fs::path& path, std::string_view contents) {
  fs::path target = path;
  mode_t mode = 0666;
  struct stat status;
  if (::stat(path.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) {
      throw Error(ErrorCode::kIo, path.string() + " is a directory, expected a file to write");
    }
    if (written_in_place(path, status)) {
      const Descriptor file(path, O_WRONLY | O_APPEND);
      if (file.get() < 0) fail(path, "cannot be written", errno);
      write_all(file, contents, path);
      return;
    }
    // Renaming asks nobody whether the file itself may be written.
    if (::access(path.c_str(), W_OK) != 0) fail(path, "cannot be written", errno);
    std::error_code ignored;
    target = fs::canonical(path, ignored);  // a symbolic link stays one
    if (ignored) target = path;
    mode = status.st_mode & 0777;
  }
  TemporaryFile temporary(target, mode);
  write_all(temporary.file(), contents, path);
  if (::fsync(temporary.file().get()) != 0 || temporary.file().close() != 0) {
    fail(path, "cannot be written", errno);
  }
  temporary.rename_to(target);
}

}  // namespace pi0
