#include "report/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace pi0 {

int terminal_width(int file_descriptor) {
  constexpr int kDefault = 80;
  winsize size{};
  const bool known = ::ioctl(file_descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : kDefault;
}

bool can_rewrite_line(int file_descriptor) {
  const char* const kind = std::getenv("TERM");
  return ::isatty(file_descriptor) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

}  // namespace pi0
