#include "device/ttnn/logging/logging_shim.h"

#include <algorithm>

#include "device/ttnn/emulated/emulated_testing.h"

namespace pi0::emulated_testing {
namespace {

struct Log : OperationLog {
  void mark(const Component&, int) override {}
  void record(OperationRecord operation) override { operations.push_back(std::move(operation)); }

  const OperationRecord& last() const { return operations.back(); }
  int count(const std::string& name) const {
    return static_cast<int>(std::count_if(operations.begin(), operations.end(),
                                          [&](const auto& o) { return o.name == name; }));
  }
  std::vector<OperationRecord> operations;
};

template <typename T>
T attribute(const OperationRecord& operation, const std::string& name) {
  for (const auto& [key, value] : operation.attributes) {
    if (key == name) return std::get<T>(value);
  }
  ADD_FAILURE() << operation.name << " has no attribute " << name;
  return {};
}

bool has(const OperationRecord& operation, const std::string& name) {
  return std::any_of(operation.attributes.begin(), operation.attributes.end(),
                     [&](const auto& a) { return a.first == name; });
}

struct Logged {
  Log log;
  std::unique_ptr<Api> api = make_logging_shim(make_card(), log);
};

TEST(LoggingShim, RecordsALinear) {
  Logged r;
  const Tensor a = zeros(*r.api, {1, 1, 37, 50});
  EXPECT_EQ(r.log.last().name, "ttnn.to_device");
  EXPECT_EQ(r.log.last().where, Where::kTransfer);
  EXPECT_EQ(r.log.last().inputs[0].placement, "host");
  const Tensor w = zeros(*r.api, {1, 1, 50, 70}, DataType::kBfloat8B);
  const Tensor b = zeros(*r.api, {1, 1, 1, 70});
  LinearOptions options = linear_options(37, 70, DataType::kBfloat16);
  options.activation = Unary::kGelu;
  options.placement = Placement::kL1;
  const Tensor out = r.api->linear(a, w, &b, options);
  const OperationRecord& o = r.log.last();
  EXPECT_EQ(o.name, "ttnn.linear");
  EXPECT_EQ(o.where, Where::kDevice);
  EXPECT_EQ(o.flops, 2.0 * 37 * 50 * 70 + 2 * 37 * 70);
  // 2 x 2 tiles, 2 x 3 of bfloat8_b, a row of 3, and 2 x 3.
  EXPECT_EQ(o.bytes, 4 * 2048 + 6 * 1088 + 3 * 2048 + 6 * 2048);
  ASSERT_EQ(o.inputs.size(), 3u);
  EXPECT_EQ(o.inputs[1].dtype, "bfloat8_b");
  EXPECT_EQ(o.inputs[0].shape, (Shape{1, 1, 37, 50}));
  EXPECT_EQ(o.inputs[0].padded_shape, (Shape{1, 1, 64, 64}));
  EXPECT_EQ(o.outputs[0].placement, "l1");
  EXPECT_EQ(o.outputs[0].id, out.id());
  EXPECT_EQ(o.core_bytes, 2048);
  EXPECT_GT(o.core_scratch_bytes, 0);
  EXPECT_EQ(o.live_tensors, 4);
  EXPECT_EQ(attribute<std::string>(o, "activation"), "gelu");
  EXPECT_EQ(attribute<std::string>(o, "compute.math_fidelity"), "HiFi4");
  EXPECT_EQ(attribute<std::int64_t>(o, "program_config.per_core_N"), 1);
  EXPECT_EQ(attribute<Shape>(o, "program_config.grid"), (Shape{8, 8}));
  EXPECT_FALSE(has(o, "captured"));
}

TEST(LoggingShim, RecordsAFreeWhenTheLastHandleGoes) {
  Logged r;
  Tensor view;
  std::int64_t buffer = 0;
  {
    const Tensor t = zeros(*r.api, {1, 1, 32, 32});
    buffer = r.log.last().outputs[0].buffer;
    view = r.api->view(t, {1, 1, 20, 32}, {1, 1, 32, 32});
    EXPECT_EQ(r.log.last().name, "ttnn.view");
    EXPECT_EQ(r.log.last().outputs[0].buffer, buffer);
    EXPECT_NE(r.log.last().outputs[0].id, r.log.last().inputs[0].id);
  }
  EXPECT_EQ(r.log.count("deallocate"), 0);
  view = Tensor();
  ASSERT_EQ(r.log.count("deallocate"), 1);
  EXPECT_EQ(r.log.last().inputs[0].buffer, buffer);
  EXPECT_EQ(r.log.last().live_tensors, 0);
}

TEST(LoggingShim, RecordsWhereASumGoes) {
  Logged r;
  const Tensor x = zeros(*r.api, {1, 1, 3, 7}, DataType::kFloat32);
  BinaryOptions options;
  options.dtype = DataType::kFloat32;
  options.output = &x;
  const Tensor sum = r.api->add(x, 0.5f, options);
  const OperationRecord& o = r.log.last();
  EXPECT_EQ(o.flops, 21);
  EXPECT_EQ(attribute<std::int64_t>(o, "output"), x.id());
  EXPECT_EQ(attribute<double>(o, "scalar"), 0.5);
  EXPECT_EQ(o.outputs[0].buffer, o.inputs[0].buffer);
  EXPECT_EQ(r.api->to_host(sum)[0], 0.5f);
  EXPECT_EQ(r.log.last().name, "ttnn.to_host");
}

TEST(LoggingShim, RecordsATraceOnceAndEachReplay) {
  Logged r;
  const Tensor x = zeros(*r.api, {1, 1, 32, 32});
  r.api->add(x, 1.0f, {});
  r.api->begin_trace_capture();
  const Tensor result = r.api->add(x, 1.0f, {});
  EXPECT_EQ(attribute<std::int64_t>(r.log.last(), "captured"), 1);
  const auto trace = r.api->end_trace_capture();
  r.api->execute_trace(*trace);
  r.api->execute_trace(*trace);
  EXPECT_EQ(r.log.count("ttnn.execute_trace"), 2);
  EXPECT_EQ(attribute<std::int64_t>(r.log.last(), "trace"), 1);
  EXPECT_EQ(r.log.count("ttnn.add"), 2);
  EXPECT_EQ(r.api->to_host(result)[0], 1.0f);
}

TEST(LoggingShim, RecordsAttention) {
  Logged r;
  const Tensor x = zeros(*r.api, {2, 1, 40, 4 * 32});
  const Heads heads = r.api->nlp_create_qkv_heads(x, nullptr, 2, 1, Placement::kDram);
  EXPECT_EQ(r.log.last().outputs.size(), 3u);
  EXPECT_EQ(attribute<std::int64_t>(r.log.last(), "num_q_heads"), 2);
  SdpaOptions options;
  options.grid = {8, 8};
  options.scale = 0.25f;
  const Tensor out =
      r.api->scaled_dot_product_attention(heads.q, heads.k, heads.v, nullptr, options);
  EXPECT_EQ(r.log.last().flops, 2.0 * 2 * 40 * 40 * (4 * 32 + 5));
  EXPECT_EQ(attribute<double>(r.log.last(), "scale"), 0.25);
  r.api->nlp_concat_heads(out, Placement::kDram);
  EXPECT_EQ(r.log.operations[r.log.operations.size() - 2].name,
            "ttnn.experimental.nlp_concat_heads");
  EXPECT_EQ(r.log.last().name, "deallocate");
}

}  // namespace
}  // namespace pi0::emulated_testing
