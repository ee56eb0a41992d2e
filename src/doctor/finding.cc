#include "doctor/finding.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace pi0 {
namespace {

std::string verdict(const Findings& findings) {
  const std::size_t refused = count_of(findings, Severity::kRefuse);
  const std::size_t warnings = count_of(findings, Severity::kWarning);
  std::string text = "doctor: ok";
  if (refused > 0) {
    text = fmt::format("doctor: refuses, for {} reason{}", refused, refused == 1 ? "" : "s");
  }
  if (warnings > 0) text += fmt::format(", with {} warning{}", warnings, warnings == 1 ? "" : "s");
  return text;
}

}  // namespace

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::kOk:
      return "ok";
    case Severity::kWarning:
      return "warning";
    case Severity::kRefuse:
      return "refuse";
  }
  return "";
}

std::size_t count_of(const Findings& findings, Severity severity) {
  return static_cast<std::size_t>(
      std::count_if(findings.begin(), findings.end(),
                    [&](const Finding& finding) { return finding.severity == severity; }));
}

std::string to_text(const Findings& findings) {
  Findings sorted = findings;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Finding& a, const Finding& b) { return a.severity < b.severity; });
  std::string text;
  for (const Finding& finding : sorted) {
    text += fmt::format("{:<8} {}: {}\n", name_of(finding.severity), printable(finding.subject),
                        printable(finding.found));
    if (!finding.why.empty()) text += fmt::format("         why: {}\n", printable(finding.why));
    if (!finding.way_out.empty())
      text += fmt::format("         do: {}\n", printable(finding.way_out));
  }
  return text + verdict(findings) + "\n";
}

}  // namespace pi0
