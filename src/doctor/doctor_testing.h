// What the tests of the checks share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "doctor/checks.h"

namespace pi0 {

// Expects one finding of this severity whose subject and sentence hold all of `words`.
inline void expect_finding(const Findings& findings, Severity severity,
                           const std::vector<std::string>& words) {
  const bool there = std::any_of(findings.begin(), findings.end(), [&](const Finding& finding) {
    const std::string text = finding.subject + ": " + finding.found;
    return finding.severity == severity && !finding.why.empty() && !finding.way_out.empty() &&
           std::all_of(words.begin(), words.end(), [&](const std::string& word) {
             return text.find(word) != std::string::npos;
           });
  });
  EXPECT_TRUE(there) << "no " << name_of(severity) << " of " << words.front() << ", "
                     << words.back() << " in:\n"
                     << to_text(findings);
}

inline void expect_no_findings(const Findings& findings) {
  EXPECT_EQ(count_of(findings, Severity::kOk), findings.size()) << to_text(findings);
  EXPECT_FALSE(findings.empty());
}

}  // namespace pi0
