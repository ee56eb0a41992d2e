// An open file of the system's, closed again.
#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

namespace pi0 {

class Descriptor {
 public:
  // As open(2) has it; on failure false, and errno says why.
  explicit Descriptor(const std::filesystem::path& path, int flags, mode_t mode = 0) {
    do {
      value_ = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    } while (value_ < 0 && errno == EINTR);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  explicit operator bool() const { return value_ >= 0; }
  int get() const { return value_; }
  // close(), which is where some file systems report that a write failed.
  int close() { return ::close(std::exchange(value_, -1)); }

 private:
  int value_;
};

}  // namespace pi0
