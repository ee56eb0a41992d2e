#include "actions/action_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace pi0 {
namespace {

constexpr int kMaxNameWidth = 13;
constexpr std::size_t kMaxColumns = 20;  // more are hard to follow, however wide the terminal
constexpr int kGap = 2;

// A dimension as it will stand in the table.
struct Column {
  std::string name;
  std::vector<std::string> cells;  // one a step
  int width = 0;
};

std::string right_aligned(const std::string& text, int width) {
  return std::string(std::max(0, width - display_width(text)), ' ') + text;
}

// All numbers of a dimension alike, with about five digits of the largest: enough to tell steps
// apart, few enough to read.
std::string number_text(float value, float largest) {
  if (largest == 0) return "0.0000";
  const int magnitude = static_cast<int>(std::floor(std::log10(largest)));
  if (magnitude < -4 || magnitude > 5) return scientific_text(value, 3);
  if (magnitude >= 0) return fixed_text(value, std::max(4 - magnitude, 0));
  return fixed_text(value, magnitude >= -2 ? 4 : 2 - magnitude);
}

// What all names end with after a dot (lerobot's joints: "shoulder_pan.pos", "gripper.pos"), which
// tells none from another and takes room; empty when they do not agree.
std::string_view shared_ending(const std::vector<std::string>& names) {
  const std::string_view first = names[0];
  const std::size_t dot = first.rfind('.');
  if (names.size() < 2 || dot == std::string_view::npos) return {};
  const std::string_view ending = first.substr(dot);
  for (const std::string_view name : names) {
    if (!name.ends_with(ending) || name.size() == ending.size()) return {};
  }
  return ending;
}

Column make_column(const ActionChunk& chunk, int dim) {
  const std::string_view name = chunk.names[dim];
  const std::string_view distinct = name.substr(0, name.size() - shared_ending(chunk.names).size());
  Column column;
  float largest = 0;
  for (int step = 0; step < chunk.horizon; ++step) {
    largest = std::max(largest, std::abs(chunk.row(step)[dim]));
  }
  column.name = shorten_middle(distinct, kMaxNameWidth);
  column.width = display_width(column.name);
  for (int step = 0; step < chunk.horizon; ++step) {
    column.cells.push_back(number_text(chunk.row(step)[dim], largest));
    column.width = std::max(column.width, display_width(column.cells.back()));
  }
  return column;
}

// When a step is; to the millisecond, which tells the steps of any robot apart.
std::string seconds_text(int step, double hz) { return fixed_text(step / hz, 3); }

std::string rule(int executed, double hz, int width) {
  const std::string text =
      fmt::format(" the robot executes {}{}, then looks again ",
                  executed == 1 ? "this step" : fmt::format("these {}", executed),
                  hz > 0 ? fmt::format(" ({} s)", short_text(executed / hz, 3)) : "");
  const int dashes = std::max(4, width - display_width(text));
  std::string line;
  for (int i = 0; i < dashes; ++i) line += (i == 2 ? text : "") + "─";
  return line + "\n";
}

}  // namespace

std::string action_table(const ActionChunk& chunk, int width, double hz) {
  assert(chunk.names.size() == static_cast<std::size_t>(chunk.dims));
  std::vector<Column> columns;
  columns.reserve(chunk.dims);
  for (int dim = 0; dim < chunk.dims; ++dim) columns.push_back(make_column(chunk, dim));
  const int step_width = std::max<int>(4, std::to_string(chunk.horizon - 1).size());
  const int time_width = hz > 0 ? kGap + display_width(seconds_text(chunk.horizon - 1, hz)) : 0;

  std::string table;
  for (std::size_t begin = 0, end = 0; begin < columns.size(); begin = end) {
    int line_width = step_width + time_width;
    while (end < columns.size() && end - begin < kMaxColumns) {
      const int wider = line_width + kGap + columns[end].width;
      if (wider > width && end > begin) break;
      line_width = wider;
      ++end;
    }
    if (begin > 0) table += "\n";
    table += right_aligned("step", step_width);
    if (hz > 0) table += right_aligned("s", time_width);
    for (std::size_t c = begin; c < end; ++c) {
      table += right_aligned(columns[c].name, columns[c].width + kGap);
    }
    table += "\n";
    for (int step = 0; step < chunk.horizon; ++step) {
      table += right_aligned(std::to_string(step), step_width);
      if (hz > 0) table += right_aligned(seconds_text(step, hz), time_width);
      for (std::size_t c = begin; c < end; ++c) {
        table += right_aligned(columns[c].cells[step], columns[c].width + kGap);
      }
      table += "\n";
      const bool last_executed = step + 1 == chunk.n_action_steps;
      if (last_executed && step + 1 < chunk.horizon) table += rule(step + 1, hz, line_width);
    }
  }
  return table;
}

}  // namespace pi0
