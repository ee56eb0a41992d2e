#include "profile/roofline.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace pi0 {
namespace {

constexpr std::array<std::string_view, 3> kWithoutWork = {"deallocate", "ttnn.view",
                                                          "ttnn.execute_trace"};

}  // namespace

bool does_work(const OperationRecord& operation) {
  return std::find(kWithoutWork.begin(), kWithoutWork.end(), operation.name) == kWithoutWork.end();
}

Roofline roofline(const CostModel& card, std::span<const OperationRecord> operations) {
  Roofline result;
  result.card = card.machine();
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const OperationRecord& operation = operations[i];
    if (operation.where == Where::kTransfer || !does_work(operation)) continue;
    const CostModel::Cost cost = card.cost(operation);
    const double ms = cost.seconds * 1e3;
    result.operations.push_back({i, ms, cost.bound});
    result.total_ms += ms;
    auto stage =
        std::find_if(result.stages.begin(), result.stages.end(),
                     [&](const RooflineStage& s) { return s.name == operation.component.stage; });
    if (stage == result.stages.end()) {
      stage = result.stages.insert(stage, RooflineStage{operation.component.stage, 0, 0});
    }
    ++stage->operations;
    stage->ms += ms;
  }
  return result;
}

}  // namespace pi0
