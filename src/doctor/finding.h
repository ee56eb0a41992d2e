// What a check of `pi0 doctor` has found.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pi0 {

// kRefuse: no robot should move by this checkpoint as it is.
enum class Severity { kOk, kWarning, kRefuse };

struct Finding {
  Severity severity = Severity::kOk;
  std::string subject;       // "statistics of the state", "cameras"
  std::string found;         // what is there
  std::string why = {};      // what it does to the policy
  std::string way_out = {};  // what to do about it
};

using Findings = std::vector<Finding>;

// "ok", "warning", "refuse"
std::string_view name_of(Severity severity);

std::size_t count_of(const Findings& findings, Severity severity);

// The worst last, beside the verdict, which is the last line; for a terminal.
std::string to_text(const Findings& findings);

}  // namespace pi0
