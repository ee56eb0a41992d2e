#include "check/roofline.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace pi0 {
namespace {

constexpr std::array kMatrixOperations = {
    "ttnn.linear", "ttnn.transformer.scaled_dot_product_attention",
    // of device.h, as a recording device has them
    "patch_embedding", "linear", "linear_residual", "gated_mlp", "modulation", "qkv", "keys_values",
    "attention"};
constexpr std::array kWithoutWork = {"deallocate", "ttnn.view", "ttnn.execute_trace"};

template <std::size_t size>
bool contains(const std::array<const char*, size>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// How many times HiFi4's speed.
double fidelity_factor(const OperationRecord& operation) {
  for (const auto& [key, value] : operation.attributes) {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr || !key.ends_with("math_fidelity")) continue;
    if (*text == "LoFi") return 4;
    if (*text == "HiFi2") return 2;
    if (*text == "HiFi3") return 4.0 / 3;
  }
  return 1;
}

std::int64_t bytes_in(const OperationRecord& operation, bool l1) {
  std::int64_t bytes = 0;
  for (const auto* operands : {&operation.inputs, &operation.outputs}) {
    for (const OperandRecord& operand : *operands) {
      if ((operand.placement == "l1") == l1) bytes += operand.bytes;
    }
  }
  return bytes;
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

Roofline roofline(const Card& card, std::span<const OperationRecord> operations) {
  Roofline result;
  result.card = card.name;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const OperationRecord& operation = operations[i];
    if (operation.where == Where::kTransfer || !does_work(operation)) continue;
    const double peak = contains(kMatrixOperations, operation.name)
                            ? card.hifi4_flops * fidelity_factor(operation)
                            : card.vector_flops;
    const double compute = operation.flops / peak;
    const double dram =
        static_cast<double>(bytes_in(operation, false)) / card.dram_bytes_per_second;
    const double l1 = static_cast<double>(bytes_in(operation, true)) / card.l1_bytes_per_second;
    const double longest = std::max({compute, dram, l1});
    const std::string bound = longest <= card.launch_seconds ? "launch"
                              : longest == compute           ? "compute"
                              : longest == dram              ? "dram"
                                                             : "l1";
    const double ms = (longest + card.launch_seconds) * 1e3;
    result.operations.push_back({i, ms, bound});
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
