// One line on the terminal that says how far something long has come, and goes when it is done.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

#include "pi0/network.h"

namespace pi0 {

// "loading weights  [########------------]   40%", or the stage alone where `total` is 0 or the
// bar does not fit into `width` columns; never wider than that.
std::string progress_text(std::string_view stage, std::size_t done, std::size_t total, int width);

// Writes to a terminal only: silent where stderr is none, or one that cannot go back in its line
// (TERM=dumb). It uses no colour, so that NO_COLOR has nothing to turn off.
class ProgressLine {
 public:
  ProgressLine();  // on stderr, if that is such a terminal
  ProgressLine(std::ostream& out, bool enabled, int width);
  ~ProgressLine() { finish(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // At most ten times a second, but always when the stage changes.
  void update(std::string_view stage, std::size_t done, std::size_t total);
  // For whoever tells how far it has come; the line must outlive it.
  std::function<void(const Progress&)> callback();
  // Clears the line. It may be updated again.
  void finish();

 private:
  void show(const std::string& text);

  std::ostream& out_;
  bool enabled_;
  int width_;
  int shown_width_ = 0;  // columns to overwrite
  std::string stage_;
  std::chrono::steady_clock::time_point last_shown_;
};

}  // namespace pi0
