#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/text.h"
#include "base/unit_text.h"

namespace pi0 {
namespace {

// Columns of a terminal, for text without wide characters: bytes that begin a character.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) >> 6) != 2; }));
}

bool is_right(const std::string& column) { return !column.empty() && column[0] == '>'; }
std::string name_of_column(const std::string& column) {
  return is_right(column) ? column.substr(1) : column;
}

std::string aligned(const std::string& cell, std::size_t width, bool right) {
  const std::string space(width - std::min(width, width_of(cell)), ' ');
  return right ? space + cell : cell + space;
}

std::string text_of(const ReportTable& table) {
  std::vector<std::size_t> widths;
  for (const std::string& column : table.columns) {
    widths.push_back(width_of(name_of_column(column)));
  }
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string text;
  const auto add = [&](const std::vector<std::string>& cells) {
    std::string line = " ";
    for (std::size_t i = 0; i < cells.size(); ++i) {
      line += fmt::format(" {} ", aligned(cells[i], widths[i], is_right(table.columns[i])));
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  std::vector<std::string> names;
  for (const std::string& column : table.columns) names.push_back(name_of_column(column));
  if (std::any_of(names.begin(), names.end(), [](const std::string& n) { return !n.empty(); })) {
    add(names);
  }
  for (const auto& row : table.rows) add(row);
  return text;
}

std::string markdown_cell(const std::string& cell) {
  std::string text;
  for (const char c : cell) text += c == '|' ? std::string("\\|") : std::string(1, c);
  return text;
}

std::string markdown_of(const ReportTable& table) {
  std::string text = "|", rule = "|";
  for (const std::string& column : table.columns) {
    text += fmt::format(" {} |", markdown_cell(name_of_column(column)));
    rule += is_right(column) ? "---:|" : "---|";
  }
  text += fmt::format("\n{}\n", rule);
  for (const auto& row : table.rows) {
    text += "|";
    for (const std::string& cell : row) text += fmt::format(" {} |", markdown_cell(cell));
    text += "\n";
  }
  return text;
}

}  // namespace

std::string to_text(const Report& report) {
  std::string text = report.title + "\n";
  for (const std::string& line : report.lines) text += line + "\n";
  for (const ReportSection& section : report.sections) {
    text += fmt::format("\n{}\n", section.title);
    for (const std::string& line : section.lines) text += fmt::format("  {}\n", line);
    if (!section.table.rows.empty()) text += text_of(section.table);
  }
  return text;
}

std::string to_markdown(const Report& report) {
  std::string text = fmt::format("# {}\n", report.title);
  for (const std::string& line : report.lines) text += fmt::format("\n{}\n", line);
  for (const ReportSection& section : report.sections) {
    text += fmt::format("\n## {}\n", section.title);
    for (const std::string& line : section.lines) text += fmt::format("\n{}\n", line);
    if (!section.table.rows.empty()) text += "\n" + markdown_of(section.table);
  }
  return text;
}

std::string flops_text(double flops) {
  return with_unit(flops, {"FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"});
}

std::string ms_text(double ms) {
  return ms < 1e9 ? fixed_text(ms, ms < 100 ? 2 : 0) : short_text(ms, 3);
}

// 100 % only where it is: 99.996 % is not rounded up to it.
std::string share_text(double share) {
  const double percent = std::floor(share * 1e4) / 100;
  return share >= 1 ? "100 %" : fixed_text(percent, 2) + " %";
}

}  // namespace pi0
