#include "check/roofline.h"

#include <gtest/gtest.h>

namespace pi0 {
namespace {

// Round figures: 1 TB/s, 10 TB/s, 100 TFLOP/s at HiFi4, 1 TFLOP/s of the vector unit, 1 us.
Card card() {
  Card card;
  card.name = "round";
  card.dram_bytes_per_second = 1e12;
  card.l1_bytes_per_second = 1e13;
  card.hifi4_flops = 1e14;
  card.vector_flops = 1e12;
  card.launch_seconds = 1e-6;
  return card;
}

OperandRecord operand(const char* placement, std::int64_t bytes) {
  OperandRecord record;
  record.placement = placement;
  record.bytes = bytes;
  return record;
}

OperationRecord operation(const char* name, const char* component, double flops,
                          std::vector<OperandRecord> operands) {
  OperationRecord record;
  record.name = name;
  record.component = component;
  record.flops = flops;
  record.outputs.push_back(operands.back());
  operands.pop_back();
  record.inputs = std::move(operands);
  return record;
}

TEST(RooflineTest, AnOperationTakesAsLongAsItsLongestPart) {
  const std::vector<OperationRecord> operations{
      // 4e9 / 1e14 = 40 us; 1 MB / 1 TB/s = 1 us.
      operation("ttnn.linear", "gemma_layer", 4e9,
                {operand("dram", 500000), operand("dram", 500000)}),
      // 30 MB in DRAM: 30 us; 100 MB in L1: 10 us; 1e6 / 1e12 = 1 us.
      operation("ttnn.add", "gemma_layer", 1e6,
                {operand("dram", 30000000), operand("l1", 60000000), operand("l1", 40000000)}),
      // 50 MB in L1: 5 us.
      operation("ttnn.concat", "siglip_layer", 0,
                {operand("l1", 25000000), operand("l1", 25000000)}),
      // 0.1 us: less than its launch.
      operation("ttnn.multiply", "velocity", 1e5, {operand("l1", 100)}),
  };
  const Roofline result = roofline(card(), operations);
  ASSERT_EQ(result.operations.size(), 4u);
  const double expected[] = {41e-3, 31e-3, 6e-3, 1.1e-3};
  const char* bounds[] = {"compute", "dram", "l1", "launch"};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(result.operations[i].record, i);
    EXPECT_NEAR(result.operations[i].ms, expected[i], 1e-9) << i;
    EXPECT_EQ(result.operations[i].bound, bounds[i]) << i;
  }
  EXPECT_NEAR(result.total_ms, 79.1e-3, 1e-9);
  ASSERT_EQ(result.stages.size(), 3u);
  EXPECT_EQ(result.stages[0].name, "prefix");
  EXPECT_NEAR(result.stages[0].ms, 72e-3, 1e-9);
  EXPECT_EQ(result.stages[0].operations, 2u);
  EXPECT_EQ(result.stages[1].name, "vision");
  EXPECT_EQ(result.stages[2].name, "denoising");
}

TEST(RooflineTest, AMatrixIsMultipliedAtTheSpeedOfItsFidelity) {
  const std::pair<const char*, double> fidelities[] = {
      {"HiFi4", 40}, {"HiFi3", 30}, {"HiFi2", 20}, {"LoFi", 10}};
  for (const auto& [fidelity, microseconds] : fidelities) {
    for (const char* name : {"ttnn.linear", "ttnn.transformer.scaled_dot_product_attention"}) {
      OperationRecord record = operation(name, "projector", 4e9, {operand("l1", 10)});
      record.attributes.emplace_back("compute.math_fidelity", std::string(fidelity));
      const Roofline result = roofline(card(), std::span(&record, 1));
      EXPECT_NEAR(result.total_ms, (microseconds + 1) * 1e-3, 1e-9) << name << fidelity;
    }
  }
}

TEST(RooflineTest, WhatRunsNothingOnTheCardIsLeftOut) {
  std::vector<OperationRecord> operations{
      operation("deallocate", "projector", 0, {operand("dram", 1000000)}),
      operation("ttnn.view", "projector", 0, {operand("dram", 1000000)}),
      operation("ttnn.execute_trace", "projector", 0, {operand("dram", 0)}),
      operation("ttnn.to_device", "inputs", 0, {operand("dram", 1000000)})};
  operations.back().where = Where::kTransfer;
  EXPECT_EQ(roofline(card(), operations).total_ms, 0);
  // What ran on the host counts as if its operands had lain in DRAM.
  OperationRecord host = operation("layer_norm", "projector", 0, {operand("host", 2000000)});
  host.where = Where::kHost;
  EXPECT_NEAR(roofline(card(), std::span(&host, 1)).total_ms, 3e-3, 1e-9);
}

}  // namespace
}  // namespace pi0
