// What a check has found, as tables: for a terminal, or as Markdown.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pi0 {

struct ReportTable {
  // A name that begins with '>' is a column of numbers: aligned to the right.
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

struct ReportSection {
  std::string title;
  std::vector<std::string> lines;  // a paragraph each
  ReportTable table;               // may be empty
};

struct Report {
  std::string title;
  std::vector<std::string> lines;
  std::vector<ReportSection> sections;
};

std::string to_text(const Report& report);
std::string to_markdown(const Report& report);

// "4.37 TFLOP", "99.9 %", "0.9987": as tables show them.
std::string flops_text(double flops);
std::string share_text(double share);
std::string ms_text(double ms);  // without its unit: "12.34", "746"

}  // namespace pi0
