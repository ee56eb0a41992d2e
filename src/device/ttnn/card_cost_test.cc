#include "device/ttnn/card_cost.h"

#include <gtest/gtest.h>

namespace pi0 {
namespace {

// Round figures: 1 TB/s, 10 TB/s, 100 TFLOP/s at HiFi4, 1 TFLOP/s of the vector unit, 1 us.
std::unique_ptr<CostModel> round_figures() {
  Card card;
  card.name = "round";
  card.dram_bytes_per_second = 1e12;
  card.l1_bytes_per_second = 1e13;
  card.hifi4_flops = 1e14;
  card.vector_flops = 1e12;
  card.launch_seconds = 1e-6;
  return make_card_cost(card);
}

OperandRecord operand(const char* placement, std::int64_t bytes) {
  OperandRecord record;
  record.placement = placement;
  record.bytes = bytes;
  return record;
}

OperationRecord operation(const char* name, double flops, std::vector<OperandRecord> operands) {
  OperationRecord record;
  record.name = name;
  record.flops = flops;
  record.outputs.push_back(operands.back());
  operands.pop_back();
  record.inputs = std::move(operands);
  return record;
}

TEST(CardCostTest, AnOperationTakesAsLongAsItsLongestPart) {
  const OperationRecord operations[] = {
      // 4e9 / 1e14 = 40 us; 1 MB / 1 TB/s = 1 us.
      operation("ttnn.linear", 4e9, {operand("dram", 500000), operand("dram", 500000)}),
      // 30 MB in DRAM: 30 us; 100 MB in L1: 10 us; 1e6 / 1e12 = 1 us.
      operation("ttnn.add", 1e6,
                {operand("dram", 30000000), operand("l1", 60000000), operand("l1", 40000000)}),
      // 50 MB in L1: 5 us.
      operation("ttnn.concat", 0, {operand("l1", 25000000), operand("l1", 25000000)}),
      // 0.1 us: less than its launch.
      operation("ttnn.multiply", 1e5, {operand("l1", 100)}),
      // What ran on the host counts as if its operands had lain in DRAM.
      operation("layer_norm", 0, {operand("host", 2000000)}),
  };
  const double expected[] = {41e-6, 31e-6, 6e-6, 1.1e-6, 3e-6};
  const char* bounds[] = {"compute", "dram", "l1", "launch", "dram"};
  for (std::size_t i = 0; i < std::size(operations); ++i) {
    const CostModel::Cost cost = round_figures()->cost(operations[i]);
    EXPECT_NEAR(cost.seconds, expected[i], 1e-12) << i;
    EXPECT_EQ(cost.bound, bounds[i]) << i;
  }
}

TEST(CardCostTest, AMatrixIsMultipliedAtTheSpeedOfItsFidelity) {
  const std::pair<const char*, double> fidelities[] = {
      {"HiFi4", 40}, {"HiFi3", 30}, {"HiFi2", 20}, {"LoFi", 10}};
  for (const auto& [fidelity, microseconds] : fidelities) {
    for (const char* name : {"ttnn.linear", "ttnn.transformer.scaled_dot_product_attention"}) {
      OperationRecord record = operation(name, 4e9, {operand("l1", 10)});
      record.attributes.emplace_back("compute.math_fidelity", std::string(fidelity));
      EXPECT_NEAR(round_figures()->cost(record).seconds, (microseconds + 1) * 1e-6, 1e-12)
          << name << fidelity;
    }
  }
}

}  // namespace
}  // namespace pi0
