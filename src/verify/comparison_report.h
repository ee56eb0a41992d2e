// A comparison as tables, and as JSON.
#pragma once

#include "files/json.h"
#include "report/report.h"
#include "verify/comparison.h"

namespace pi0 {

struct ComparisonSubject {
  std::string network;  // "pi0, 3 cameras, 48 tokens, 10 steps"
  LockstepDevices devices;
  double pcc = 0.99;  // below which a part differs
};

Report comparison_report(const ComparisonSubject& subject, const ModelConfig& config,
                         const Comparison& comparison);

// One sentence a line: whether all of it passed, and, where an operation inside a part that passed
// is below `subject.pcc`, which is the worst of them.
std::string comparison_verdict(const ComparisonSubject& subject, const ModelConfig& config,
                               const Comparison& comparison);

// Keys that scripts rely on: worst_pcc, actions_pcc, components (each component, index, pcc,
// largest_difference, worst_operation, worst_operation_pcc).
Json comparison_json(const ComparisonSubject& subject, const Comparison& comparison);

}  // namespace pi0
