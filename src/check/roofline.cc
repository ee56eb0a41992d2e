#include "check/roofline.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace pi0 {
namespace {

constexpr std::array kWithoutWork = {"deallocate", "ttnn.view", "ttnn.execute_trace"};

template <std::size_t size>
bool contains(const std::array<const char*, size>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::string stage_of(const std::string& component) {
  constexpr std::array kVision = {"patch_embedding", "siglip_layer", "siglip_tower", "projector"};
  constexpr std::array kPrefix = {"prefix_embeddings", "gemma_layer", "state_embedding",
                                  "state_layer"};
  constexpr std::array kDenoising = {"suffix_embedding", "expert_layer", "velocity",
                                     "denoising_step", "actions"};
  if (contains(kVision, component)) return "vision";
  if (contains(kPrefix, component)) return "prefix";
  if (contains(kDenoising, component)) return "denoising";
  return "other";
}

bool does_work(const OperationRecord& operation) { return !contains(kWithoutWork, operation.name); }

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
    const std::string name = stage_of(operation.component);
    auto stage = std::find_if(result.stages.begin(), result.stages.end(),
                              [&](const RooflineStage& s) { return s.name == name; });
    if (stage == result.stages.end()) {
      stage = result.stages.insert(stage, RooflineStage{name, 0, 0});
    }
    ++stage->operations;
    stage->ms += ms;
  }
  return result;
}

}  // namespace pi0
