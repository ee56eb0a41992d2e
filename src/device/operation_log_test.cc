#include "device/operation_log.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "device/reference/reference.h"
#include "device/test_support.h"

namespace pi0 {
namespace {

struct Log final : OperationLog {
  void mark(const Component& component, int index) override {
    marks.emplace_back(component.name, index);
  }
  void record(OperationRecord operation) override { records.push_back(std::move(operation)); }

  // The `which`th of that name.
  const OperationRecord& of(const std::string& name, int which = 0) const {
    for (const OperationRecord& record : records) {
      if (record.name == name && which-- == 0) return record;
    }
    throw std::runtime_error("no record of " + name);
  }

  std::vector<std::pair<std::string, int>> marks;
  std::vector<OperationRecord> records;
};

TEST(OperationLogTest, WhatComesOutIsTheDevicesOwn) {
  Log log;
  const auto device = make_logging_device(make_reference_device(), log);
  EXPECT_EQ(device->name(), "reference");
  EXPECT_EQ(every_operation(*device), every_operation(*make_reference_device()));
}

// Counted by hand from device.h's formulas for the sizes of every_operation().
TEST(OperationLogTest, CountsMultiplicationsAndAdditions) {
  Log log;
  every_operation(*make_logging_device(make_reference_device(), log));
  // 8 patches of 27 values to 6, and a position each.
  EXPECT_EQ(log.of("patch_embedding").flops, 2 * 8 * 27 * 6 + 8 * 6);
  EXPECT_EQ(log.of("layer_norm").flops, 7 * 8 * 6);
  EXPECT_EQ(log.of("rms_norm").flops, 4 * 8 * 6);
  EXPECT_EQ(log.of("rms_norm", 1).flops, 5 * 8 * 6);
  EXPECT_EQ(log.of("modulation").flops, 2 * 6 * 18);
  EXPECT_EQ(log.of("linear").flops, 2 * 8 * 6 * 6 + 8 * 6);  // and a row added
  EXPECT_EQ(log.of("keys_values").flops, 2 * 8 * 6 * 8 + 3 * 8 * 4);
  EXPECT_EQ(log.of("qkv").flops, 2 * 8 * 6 * 16 + 3 * 8 * 12);
  // 2 heads, 8 queries, 16 keys of 4.
  EXPECT_EQ(log.of("attention").flops, 2 * 8 * 16 * (4 * 4 + 4));
  EXPECT_EQ(log.of("linear_residual").flops, 2 * 8 * 8 * 6 + 2 * 8 * 6);
  EXPECT_EQ(log.of("gated_mlp").flops, 3 * 2 * 8 * 6 * 10 + 8 * 10 + 2 * 8 * 6);
  EXPECT_EQ(log.of("gated_mlp", 1).flops, 3 * 2 * 8 * 6 * 10 + 8 * 10 + 8 * 6);  // no gate
  EXPECT_EQ(log.of("concatenate_rows").flops, 0);
  EXPECT_EQ(log.of("choose_rows").flops, 3 * 9 * 6);
  EXPECT_EQ(log.of("guided_velocity").flops, 7 * 9 * 6);
  EXPECT_EQ(log.of("euler_step").flops, 2 * 9 * 6);
}

TEST(OperationLogTest, SaysWhatAnOperationReadsAndWrites) {
  Log log;
  every_operation(*make_logging_device(make_reference_device(), log));
  const OperationRecord& linear = log.of("linear");
  EXPECT_EQ(linear.where, Where::kHost);
  EXPECT_EQ(std::string(linear.component.name), "adaptive");
  EXPECT_EQ(linear.index, 3);
  ASSERT_EQ(linear.inputs.size(), 4u);  // x, row, weight, bias
  EXPECT_EQ(linear.inputs[0].shape, (Shape{8, 6}));
  EXPECT_EQ(linear.inputs[0].id, log.of("rms_norm", 1).outputs[0].id);
  EXPECT_EQ(linear.inputs[2].shape, (Shape{6, 6}));
  ASSERT_EQ(linear.outputs.size(), 1u);
  EXPECT_EQ(linear.outputs[0].placement, "host");
  EXPECT_EQ(linear.bytes, 4 * (8 * 6 + 6 + 6 * 6 + 6 + 8 * 6));
  EXPECT_EQ(log.of("qkv").outputs.size(), 3u);
  EXPECT_EQ(log.of("attention").inputs.size(), 5u);
  for (const char* name : {"upload_images", "write", "upload", "download"}) {
    EXPECT_EQ(log.of(name).where, Where::kTransfer) << name;
  }
}

TEST(OperationLogTest, CountsWhatIsAliveAndTellsWhatIsFreed) {
  Log log;
  const auto device = make_logging_device(make_reference_device(), log);
  {
    const Tensor a = device->upload({2, 3}, test_values({2, 3}, 1));
    EXPECT_EQ(log.records.back().live_tensors, 1);
    Tensor b = device->euler_step(a, a, 0.5f);
    EXPECT_EQ(log.records.back().live_tensors, 2);
    const std::int64_t old = log.records.back().outputs[0].id;
    b = device->euler_step(a, b, 0.5f);  // the first b goes after the second is there
    EXPECT_EQ(log.records[log.records.size() - 2].live_tensors, 3);
    EXPECT_EQ(log.records.back().name, "deallocate");
    EXPECT_EQ(log.records.back().inputs[0].id, old);
    EXPECT_EQ(log.records.back().live_tensors, 2);
  }
  EXPECT_EQ(log.records.back().live_tensors, 0);
  every_operation(*device);
  EXPECT_EQ(log.records.back().live_tensors, 0);
}

// Without a device and without data: the same records.
TEST(OperationLogTest, ADeviceThatIsNotThereIsAskedTheSame) {
  Log with, without;
  every_operation(*make_logging_device(make_reference_device(), with));
  const auto results = every_operation(*make_logging_device("nobody", without));
  EXPECT_EQ(results.at("attention"), std::vector<float>(8 * 8));
  EXPECT_EQ(with.marks, without.marks);
  ASSERT_EQ(with.records.size(), without.records.size());
  for (std::size_t i = 0; i < with.records.size(); ++i) {
    EXPECT_EQ(with.records[i].name, without.records[i].name) << i;
    EXPECT_EQ(with.records[i].flops, without.records[i].flops) << with.records[i].name;
    EXPECT_EQ(with.records[i].bytes, without.records[i].bytes) << with.records[i].name;
    EXPECT_EQ(with.records[i].live_tensors, without.records[i].live_tensors) << i;
  }
}

}  // namespace
}  // namespace pi0
