#include "report/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "base/text.h"
#include "report/terminal.h"

namespace pi0 {
namespace {

constexpr int kBarWidth = 20;
constexpr std::chrono::milliseconds kInterval{100};

}  // namespace

std::string progress_text(std::string_view stage, std::size_t done, std::size_t total, int width) {
  if (total == 0) return shorten_end(stage, width);
  const double share = static_cast<double>(std::min(done, total)) / static_cast<double>(total);
  const int filled = static_cast<int>(share * kBarWidth);
  const std::string bar = fmt::format("  [{:-<{}}] {:>3}%", std::string(filled, '#'), kBarWidth,
                                      static_cast<int>(share * 100));
  const int room = width - static_cast<int>(bar.size());
  if (room < 8) return shorten_end(stage, width);
  return shorten_end(stage, room) + bar;
}

ProgressLine::ProgressLine()
    : ProgressLine(std::cerr, can_rewrite_line(STDERR_FILENO), terminal_width(STDERR_FILENO)) {}

ProgressLine::ProgressLine(std::ostream& out, bool enabled, int width)
    : out_(out), enabled_(enabled), width_(width) {}

void ProgressLine::update(std::string_view stage, std::size_t done, std::size_t total) {
  if (!enabled_) return;
  const auto now = std::chrono::steady_clock::now();
  const bool same_stage = shown_width_ > 0 && stage == stage_;
  if (same_stage && now - last_shown_ < kInterval) return;
  stage_ = stage;
  last_shown_ = now;
  // A character in the last column makes some terminals go to the next line.
  show(progress_text(stage, done, total, width_ - 1));
}

std::function<void(const Progress&)> ProgressLine::callback() {
  return
      [this](const Progress& progress) { update(progress.stage, progress.done, progress.total); };
}

void ProgressLine::finish() {
  if (shown_width_ == 0) return;
  show("");
  out_ << '\r' << std::flush;
}

// Spaces over what was there: no escape sequence that a terminal might not know.
void ProgressLine::show(const std::string& text) {
  const int shown = display_width(text);
  out_ << '\r' << text << std::string(std::max(0, shown_width_ - shown), ' ') << std::flush;
  shown_width_ = shown;
}

}  // namespace pi0
