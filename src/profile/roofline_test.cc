#include "profile/roofline.h"

#include <gtest/gtest.h>

#include "model/components.h"

namespace pi0 {
namespace {

// A FLOP takes a second.
class Slow final : public CostModel {
 public:
  std::string machine() const override { return "slow"; }
  Cost cost(const OperationRecord& operation) const override {
    return {operation.flops, operation.name};
  }
};

OperationRecord operation(const char* name, const Component& component, double flops,
                          Where where = Where::kDevice) {
  OperationRecord record;
  record.name = name;
  record.component = component;
  record.where = where;
  record.flops = flops;
  return record;
}

TEST(RooflineTest, AddsUpStages) {
  const OperationRecord operations[] = {
      operation("linear", component::kGemmaLayer, 3), operation("add", component::kSiglipLayer, 1),
      operation("norm", component::kGemmaLayer, 4), operation("multiply", component::kVelocity, 2),
      operation("softmax", component::kVelocity, 8, Where::kHost)};
  const Roofline result = roofline(Slow(), operations);
  EXPECT_EQ(result.card, "slow");
  ASSERT_EQ(result.operations.size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(result.operations[i].record, i);
    EXPECT_DOUBLE_EQ(result.operations[i].ms, operations[i].flops * 1e3);
    EXPECT_EQ(result.operations[i].bound, operations[i].name);
  }
  EXPECT_DOUBLE_EQ(result.total_ms, 18e3);
  ASSERT_EQ(result.stages.size(), 3u);
  EXPECT_EQ(result.stages[0].name, "prefix");
  EXPECT_DOUBLE_EQ(result.stages[0].ms, 7e3);
  EXPECT_EQ(result.stages[0].operations, 2u);
  EXPECT_EQ(result.stages[1].name, "vision");
  EXPECT_EQ(result.stages[2].name, "denoising");
}

TEST(RooflineTest, WhatRunsNothingIsLeftOut) {
  const OperationRecord operations[] = {
      operation("deallocate", component::kProjector, 1),
      operation("ttnn.view", component::kProjector, 1),
      operation("ttnn.execute_trace", component::kProjector, 1),
      operation("ttnn.to_device", component::kInputs, 1, Where::kTransfer)};
  EXPECT_EQ(roofline(Slow(), operations).total_ms, 0);
}

}  // namespace
}  // namespace pi0
