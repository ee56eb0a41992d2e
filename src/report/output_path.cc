#include "report/output_path.h"

#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "pi0/error.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

std::string joined(std::span<const std::string_view> extensions) {
  std::string text;
  for (std::size_t i = 0; i < extensions.size(); ++i) {
    if (i > 0) text += i + 1 < extensions.size() ? ", " : " or ";
    text += extensions[i];
  }
  return text;
}

[[noreturn]] void fail(const fs::path& path, int error) {
  throw Error(ErrorCode::kIo,
              path.string() + " cannot be written: " + std::generic_category().message(error));
}

}  // namespace

std::string extension_of(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return extension;
}

void require_writable(const fs::path& path, std::span<const std::string_view> extensions) {
  const std::string extension = extension_of(path);
  bool known = false;
  for (const std::string_view candidate : extensions) known = known || candidate == extension;
  if (!known) {
    throw Error(ErrorCode::kInvalidInput, path.string() + " ends in \"" + extension +
                                              "\", expected a file name ending in " +
                                              joined(extensions));
  }

  fs::path target = path;
  std::error_code error;
  if (fs::exists(path, error)) {
    if (fs::is_directory(path)) {
      throw Error(ErrorCode::kIo, path.string() + " is a directory, expected a file to write");
    }
    if (::access(path.c_str(), W_OK) != 0) fail(path, errno);
    target = fs::canonical(path);  // write_file() writes beside what a symbolic link names
  }
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, error)) {
    throw Error(ErrorCode::kIo,
                path.string() + " cannot be written: there is no folder " + folder.string());
  }
  // Creating a file is the only sure answer: access() says yes to root on a read-only file system.
  std::string probe = (folder / ".pi0-XXXXXX").string();
  const int file = ::mkstemp(probe.data());
  if (file < 0) fail(path, errno);
  ::close(file);
  ::unlink(probe.c_str());
}

}  // namespace pi0
