// An audit as tables, and as JSON.
#pragma once

#include "files/json.h"
#include "profile/audit.h"
#include "report/report.h"

namespace pi0 {

Report audit_report(const AuditRun& run);

// Keys that scripts rely on: flops_on_device_share, operations_on_device_share,
// peak_l1_bytes_per_core, peak_dram_bytes, live_tensors_after, operations (each name, where, shape,
// dtype, layout, placement, flops, bytes), roofline (card, total_ms, operations). Each operation
// also has what tools/replay_on_mock.py needs to call it again.
Json audit_json(const AuditRun& run);

// Operations of the roofline that take most of its time, those alike taken together.
struct RooflineGroup {
  std::string operation, component, bound;
  Shape shape;
  std::int64_t count = 0;
  double ms = 0;
};
std::vector<RooflineGroup> longest_operations(const Audit& audit, std::size_t count);

}  // namespace pi0
