#include "device/ttnn/card_cost.h"

#include <algorithm>
#include <array>

namespace pi0 {
namespace {

constexpr std::array<std::string_view, 10> kMatrixOperations = {
    "ttnn.linear", "ttnn.transformer.scaled_dot_product_attention",
    // of device.h, as a logging device has them
    "patch_embedding", "linear", "linear_residual", "gated_mlp", "modulation", "qkv", "keys_values",
    "attention"};

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

double bytes_in(const OperationRecord& operation, bool l1) {
  std::int64_t bytes = 0;
  for (const auto* operands : {&operation.inputs, &operation.outputs}) {
    for (const OperandRecord& operand : *operands) {
      if ((operand.placement == "l1") == l1) bytes += operand.bytes;
    }
  }
  return static_cast<double>(bytes);
}

class CardCost final : public CostModel {
 public:
  explicit CardCost(const Card& card) : card_(card) {}

  std::string machine() const override { return card_.name; }

  Cost cost(const OperationRecord& operation) const override {
    const bool matrix = std::find(kMatrixOperations.begin(), kMatrixOperations.end(),
                                  operation.name) != kMatrixOperations.end();
    const double peak =
        matrix ? card_.hifi4_flops * fidelity_factor(operation) : card_.vector_flops;
    const double compute = operation.flops / peak;
    const double dram = bytes_in(operation, false) / card_.dram_bytes_per_second;
    const double l1 = bytes_in(operation, true) / card_.l1_bytes_per_second;
    const double longest = std::max({compute, dram, l1});
    return {longest + card_.launch_seconds, longest <= card_.launch_seconds ? "launch"
                                            : longest == compute            ? "compute"
                                            : longest == dram               ? "dram"
                                                                            : "l1"};
  }

 private:
  Card card_;
};

}  // namespace

std::unique_ptr<CostModel> make_card_cost(const Card& card) {
  return std::make_unique<CardCost>(card);
}

}  // namespace pi0
