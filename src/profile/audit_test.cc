#include "profile/audit.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "device/registry/registry.h"
#include "model/components.h"
#include "model/random_weights.h"
#include "profile/audit_report.h"
#include "runtime/random_input.h"

namespace pi0 {
namespace {

OperationRecord record(const std::string& name, const Component& component, int index, Where where,
                       double flops, std::int64_t live) {
  OperationRecord operation;
  operation.name = name;
  operation.component = component;
  operation.index = index;
  operation.where = where;
  operation.flops = flops;
  operation.bytes = 10;
  operation.live_tensors = live;
  return operation;
}

TEST(AuditTest, CountsWhatRanWhere) {
  std::vector<OperationRecord> operations{
      record("ttnn.to_device", component::kInputs, 0, Where::kTransfer, 0, 5),
      record("ttnn.linear", component::kPatchEmbedding, 0, Where::kDevice, 300, 6),
      record("softmax", component::kSiglipLayer, 0, Where::kHost, 100, 7),
      record("ttnn.view", component::kSiglipLayer, 0, Where::kDevice, 0, 7),
      record("deallocate", component::kSiglipLayer, 0, Where::kDevice, 0, 6),
      record("ttnn.linear", component::kSiglipLayer, 1, Where::kDevice, 600, 9),
      record("ttnn.linear", component::kVelocity, 0, Where::kDevice, 1000, 7),
      record("ttnn.to_host", component::kActions, 0, Where::kTransfer, 0, 6),
  };
  operations[5].core_bytes = 700;
  operations[5].core_scratch_bytes = 300;
  operations[5].memory_bytes = 40;
  operations[6].core_bytes = 800;
  operations[6].memory_bytes = 50;
  const Audit audit = summarise(operations, 4, *cost_model("n150"));
  ASSERT_EQ(audit.stages.size(), 2u);
  EXPECT_EQ(audit.stages[0].name, "vision");
  EXPECT_EQ(audit.stages[0].operations, 3);
  EXPECT_EQ(audit.stages[0].on_device, 2);
  EXPECT_DOUBLE_EQ(audit.stages[0].flops_share(), 0.9);
  EXPECT_EQ(audit.stages[1].name, "denoising");
  EXPECT_EQ(audit.total.operations, 4);
  EXPECT_DOUBLE_EQ(audit.total.operations_share(), 0.75);
  EXPECT_DOUBLE_EQ(audit.total.flops_share(), 0.95);
  EXPECT_EQ(audit.total.bytes, 40);
  EXPECT_EQ(audit.peak_core_bytes, 1000);  // tensors and buffers of one moment
  EXPECT_EQ(audit.peak_core_scratch_bytes, 300);
  EXPECT_EQ(audit.peak_memory_bytes, 50);
  EXPECT_EQ(audit.live_after, 2);
  const auto layers = std::find_if(audit.live.begin(), audit.live.end(), [](const LiveTensors& l) {
    return l.component == "siglip_layer";
  });
  ASSERT_NE(layers, audit.live.end());
  EXPECT_EQ(layers->count, 2);
  EXPECT_EQ(layers->least, 6);
  EXPECT_EQ(layers->most, 9);
}

CheckpointData shapes(ModelKind kind) {
  CheckpointData checkpoint;
  checkpoint.model = full_size_config(kind);
  checkpoint.weights = make_weight_shapes(checkpoint.model);
  return checkpoint;
}

// The matrices of a full-size call, by hand: two FLOPs for each weight and row, four for each pair
// of tokens and value of a head. (shared/spec/cpu.md has 0.66, 3.33 with a whole last layer, 0.38.)
TEST(AuditTest, AFullSizeCallsWork) {
  const ModelConfig config = full_size_config(ModelKind::kPi0);
  const std::vector<AuditShare> stages = count_flops(config, random_call(config, {}, 0));
  ASSERT_EQ(stages.size(), 3u);
  const double patches = 768, prefix = 816, state = 817, actions = 50;
  const double siglip =
      27 * (2 * patches * (4 * 1152 * 1152 + 2 * 1152 * 4304) + 4 * patches * 256 * 1152) +
      2 * patches * 1152 * (588 + 2048);
  // The last layer stops after keys and values.
  const double gemma =
      17 * (2 * prefix * 2048 * (2560 + 2048 + 3 * 16384) + 4 * prefix * prefix * 2048) +
      2 * prefix * 2048 * 512;
  const double expert_row = 18 * 2 * (1024 * 2560 + 2048 * 1024 + 3 * 1024 * 4096);
  const double expert = 10 * (actions * expert_row + 18 * 4 * actions * (state + actions) * 2048 +
                              2 * actions * 1024 * (32 + 1024 + 1024 + 32));
  const std::pair<const char*, double> expected[] = {
      {"vision", siglip}, {"prefix", gemma}, {"denoising", expert}};
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(stages[i].name, expected[i].first);
    // What is not a matrix is counted too: norms, softmax, rotation, and the state's row.
    EXPECT_GT(stages[i].flops, expected[i].second) << stages[i].name;
    EXPECT_NEAR(stages[i].flops, expected[i].second, 0.01 * expected[i].second) << stages[i].name;
  }
}

TEST(AuditTest, AReferenceCallRunsOnTheHostAndLeavesNothing) {
  const CheckpointData checkpoint = shapes(ModelKind::kPi05);
  DeviceRequest request;
  request.name = "reference";
  request.arithmetic = false;
  const AuditRun run = run_audit(checkpoint, random_call(checkpoint.model, {}, 0), request, {}, {});
  EXPECT_EQ(run.audit.total.on_device, 0);
  EXPECT_GT(run.audit.total.operations, 1000);
  EXPECT_EQ(run.audit.live_after, 0);
  EXPECT_EQ(run.audit.roofline.card, "n150");
  const Json json = audit_json(run);
  EXPECT_EQ(json["flops_on_device_share"], 0.0);
  EXPECT_EQ(json["live_tensors_after"], 0);
}

TEST(AuditTest, TheRooflinesLongestOperationsAreTakenTogether) {
  std::vector<OperationRecord> operations;
  for (int layer = 0; layer < 3; ++layer) {
    operations.push_back(
        record("ttnn.linear", component::kGemmaLayer, layer, Where::kDevice, 1e9, 0));
    operations.push_back(record("ttnn.add", component::kGemmaLayer, layer, Where::kDevice, 1e3, 0));
  }
  operations.push_back(record("ttnn.linear", component::kProjector, 0, Where::kDevice, 2e9, 0));
  const Audit audit = summarise(operations, 0, *cost_model("n150"));
  const std::vector<RooflineGroup> longest = longest_operations(audit, 2);
  ASSERT_EQ(longest.size(), 2u);
  EXPECT_EQ(longest[0].component, "gemma_layer");
  EXPECT_EQ(longest[0].count, 3);
  EXPECT_EQ(longest[1].component, "projector");
  EXPECT_EQ(longest[0].bound, "compute");
}

}  // namespace
}  // namespace pi0
