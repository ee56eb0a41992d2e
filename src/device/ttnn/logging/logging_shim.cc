#include "device/ttnn/logging/logging_shim.h"

#include <utility>

#include "device/ttnn/logging/logging_tensors.h"

namespace pi0 {
namespace {

using shim::Placement;
using shim::Shape4;
using shim::Tensor;
using shim::TensorSpec;
using shim::volume;

using logging::Attributes;
using logging::host_record;
using logging::inner_of;
using logging::LoggedBuffer;
using logging::LoggedMemory;
using logging::LoggedTrace;
using logging::Logger;
using logging::record_of;
using logging::to_shape;

void add_compute(Attributes& to, const shim::ComputeKernelConfig& config) {
  to.emplace_back("compute.math_fidelity", std::string(name_of(config.math_fidelity)));
  to.emplace_back("compute.math_approx_mode", config.math_approx_mode);
  to.emplace_back("compute.fp32_dest_acc_en", config.fp32_dest_acc_en);
  to.emplace_back("compute.packer_l1_acc", config.packer_l1_acc);
}

class LoggingShim final : public shim::Api {
 public:
  LoggingShim(std::unique_ptr<shim::Api> inner, OperationLog& log)
      : logger_(std::make_shared<Logger>(std::move(inner), log)) {}

  const Card& card() const override { return inner().card(); }
  std::string description() const override { return inner().description(); }
  shim::MemoryUse memory() const override { return inner().memory(); }

  // ---- Transfers ----

  Tensor to_device(std::span<const float> values, const Shape4& shape, shim::DataType dtype,
                   shim::Layout layout, Placement placement) override {
    Tensor made = wrap(inner().to_device(values, shape, dtype, layout, placement));
    transfer("ttnn.to_device", {host_record(shape)}, {record_of(made)});
    return made;
  }

  void copy_to_device(std::span<const float> values, const Tensor& tensor, int queue) override {
    inner().copy_to_device(values, inner_of(tensor), queue);
    transfer("ttnn.copy_host_to_device_tensor", {host_record(tensor.shape())}, {record_of(tensor)},
             {{"queue", std::int64_t{queue}}});
  }

  std::vector<float> to_host(const Tensor& tensor) override {
    std::vector<float> values = inner().to_host(inner_of(tensor));
    transfer("ttnn.to_host", {record_of(tensor)}, {host_record(tensor.shape())});
    return values;
  }

  void synchronize() override { inner().synchronize(); }

  // ---- Shape ----

  Tensor view(const Tensor& x, const Shape4& shape, const Shape4& padded) override {
    Tensor made(inner().view(inner_of(x), shape, padded).spec(), x.buffer(), ++logger_->ids);
    OperationRecord operation;
    operation.name = "ttnn.view";
    operation.inputs = {record_of(x)};
    operation.outputs = {record_of(made)};
    operation.attributes = {{"shape", to_shape(shape)}, {"padded_shape", to_shape(padded)}};
    logger_->record(std::move(operation));
    return made;
  }

  Tensor reshape(const Tensor& x, const Shape4& shape, Placement placement) override {
    return computed("ttnn.reshape", {&x}, inner().reshape(inner_of(x), shape, placement),
                    {{"shape", to_shape(shape)}}, 0);
  }

  Tensor to_layout(const Tensor& x, shim::Layout layout, Placement placement) override {
    return computed("ttnn.to_layout", {&x}, inner().to_layout(inner_of(x), layout, placement),
                    {{"layout", std::string(name_of(layout))}}, 0);
  }

  Tensor fold(const Tensor& x, int stride_h, int stride_w) override {
    return computed("ttnn.fold", {&x}, inner().fold(inner_of(x), stride_h, stride_w),
                    {{"stride_h", std::int64_t{stride_h}}, {"stride_w", std::int64_t{stride_w}}},
                    0);
  }

  Tensor concat(std::span<const Tensor> parts, int dim, Placement placement) override {
    std::vector<Tensor> inner_parts;
    std::vector<const Tensor*> inputs;
    for (const Tensor& part : parts) {
      inner_parts.push_back(inner_of(part));
      inputs.push_back(&part);
    }
    return computed("ttnn.concat", inputs, inner().concat(inner_parts, dim, placement),
                    {{"dim", std::int64_t{dim}}}, 0);
  }

  Tensor slice(const Tensor& x, const Shape4& begin, const Shape4& end,
               Placement placement) override {
    Tensor made = inner().slice(inner_of(x), begin, end, placement);
    const std::int64_t bytes = 2 * size_in_bytes(made.spec());  // the rest of x is not read
    return computed("ttnn.slice", {&x}, std::move(made),
                    {{"begin", to_shape(begin)}, {"end", to_shape(end)}}, 0, bytes);
  }

  // ---- Arithmetic ----

  Tensor linear(const Tensor& a, const Tensor& weight, const Tensor* bias,
                const shim::LinearOptions& options) override {
    const Tensor inner_bias = bias == nullptr ? Tensor() : inner_of(*bias);
    Tensor made = inner().linear(inner_of(a), inner_of(weight),
                                 bias == nullptr ? nullptr : &inner_bias, options);
    const double results = static_cast<double>(volume(made.shape()));
    double flops = 2 * results * static_cast<double>(a.shape()[3]);
    if (bias != nullptr) flops += results;
    if (options.activation != shim::Unary::kNone) flops += results;
    const shim::MatmulProgramConfig& config = options.program_config;
    Attributes attributes{
        {"program_config.one_dimension", config.one_dimension},
        {"program_config.grid", to_shape(config.grid)},
        {"program_config.in0_block_w", std::int64_t{config.in0_block_w}},
        {"program_config.out_subblock_h", std::int64_t{config.out_subblock_h}},
        {"program_config.out_subblock_w", std::int64_t{config.out_subblock_w}},
        {"program_config.out_block_h", std::int64_t{config.out_block_h}},
        {"program_config.out_block_w", std::int64_t{config.out_block_w}},
        {"program_config.per_core_M", std::int64_t{config.per_core_M}},
        {"program_config.per_core_N", std::int64_t{config.per_core_N}},
        {"activation", std::string(name_of(options.activation))},
    };
    add_compute(attributes, options.compute);
    return computed("ttnn.linear", {&a, &weight, bias}, std::move(made), std::move(attributes),
                    flops);
  }

  Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                    const shim::NormOptions& options) override {
    Tensor made = inner().layer_norm(inner_of(x), inner_of(weight), inner_of(bias), options);
    return norm("ttnn.layer_norm", {&x, &weight, &bias}, std::move(made), options);
  }

  Tensor rms_norm(const Tensor& x, const Tensor& weight, const Tensor* bias,
                  const shim::NormOptions& options) override {
    const Tensor inner_bias = bias == nullptr ? Tensor() : inner_of(*bias);
    Tensor made = inner().rms_norm(inner_of(x), inner_of(weight),
                                   bias == nullptr ? nullptr : &inner_bias, options);
    return norm("ttnn.rms_norm", {&x, &weight, bias}, std::move(made), options);
  }

  Tensor add(const Tensor& a, const Tensor& b, const shim::BinaryOptions& options) override {
    return binary("ttnn.add", a, &b, 0, options);
  }
  Tensor add(const Tensor& a, float b, const shim::BinaryOptions& options) override {
    return binary("ttnn.add", a, nullptr, b, options);
  }
  Tensor multiply(const Tensor& a, const Tensor& b, const shim::BinaryOptions& options) override {
    return binary("ttnn.multiply", a, &b, 0, options);
  }
  Tensor multiply(const Tensor& a, float b, const shim::BinaryOptions& options) override {
    return binary("ttnn.multiply", a, nullptr, b, options);
  }

  // ---- Transformer ----

  shim::Heads nlp_create_qkv_heads(const Tensor& x, const Tensor* kv, int num_q_heads,
                                   int num_kv_heads, Placement placement) override {
    const Tensor inner_kv = kv == nullptr ? Tensor() : inner_of(*kv);
    shim::Heads made = inner().nlp_create_qkv_heads(
        inner_of(x), kv == nullptr ? nullptr : &inner_kv, num_q_heads, num_kv_heads, placement);
    shim::Heads heads{wrap(std::move(made.q)), wrap(std::move(made.k)), wrap(std::move(made.v))};
    record(
        "ttnn.experimental.nlp_create_qkv_heads", {&x, kv}, {&heads.q, &heads.k, &heads.v},
        {{"num_q_heads", std::int64_t{num_q_heads}}, {"num_kv_heads", std::int64_t{num_kv_heads}}},
        0);
    return heads;
  }

  Tensor nlp_concat_heads(const Tensor& x, Placement placement) override {
    return computed("ttnn.experimental.nlp_concat_heads", {&x},
                    inner().nlp_concat_heads(inner_of(x), placement), {}, 0);
  }

  Tensor rotary_embedding(const Tensor& x, const Tensor& cos, const Tensor& sin,
                          Placement placement, const shim::ComputeKernelConfig& compute) override {
    Tensor made =
        inner().rotary_embedding(inner_of(x), inner_of(cos), inner_of(sin), placement, compute);
    Attributes attributes;
    add_compute(attributes, compute);
    return computed("ttnn.experimental.rotary_embedding", {&x, &cos, &sin}, std::move(made),
                    std::move(attributes), 6 * static_cast<double>(volume(x.shape())));
  }

  Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                      const Tensor* mask,
                                      const shim::SdpaOptions& options) override {
    const Tensor inner_mask = mask == nullptr ? Tensor() : inner_of(*mask);
    Tensor made = inner().scaled_dot_product_attention(
        inner_of(q), inner_of(k), inner_of(v), mask == nullptr ? nullptr : &inner_mask, options);
    const Shape4& s = q.shape();
    const double scores = static_cast<double>(s[0] * s[1] * s[2] * k.shape()[2]);
    Attributes attributes{
        {"scale", double{options.scale}},
        {"grid", to_shape(options.grid)},
        {"q_chunk_size", std::int64_t{options.q_chunk_size}},
        {"k_chunk_size", std::int64_t{options.k_chunk_size}},
        {"exp_approx_mode", options.exp_approx_mode},
    };
    add_compute(attributes, options.compute);
    return computed("ttnn.transformer.scaled_dot_product_attention", {&q, &k, &v, mask},
                    std::move(made), std::move(attributes),
                    scores * (4 * static_cast<double>(s[3]) + 5));
  }

  // ---- Traces and queues ----

  bool can_trace() const override { return inner().can_trace(); }

  void begin_trace_capture() override {
    inner().begin_trace_capture();
    logger_->capturing = ++logger_->traces;
  }

  std::unique_ptr<shim::Trace> end_trace_capture() override {
    auto trace = std::make_unique<LoggedTrace>();
    trace->number = std::exchange(logger_->capturing, 0);
    trace->inner = inner().end_trace_capture();
    return trace;
  }

  void execute_trace(const shim::Trace& trace) override {
    const auto& recorded = static_cast<const LoggedTrace&>(trace);
    inner().execute_trace(*recorded.inner);
    OperationRecord operation;
    operation.name = "ttnn.execute_trace";
    operation.attributes = {{"trace", recorded.number}};
    logger_->record(std::move(operation));
  }

  std::unique_ptr<shim::Event> record_event(int queue) override {
    return inner().record_event(queue);
  }
  void wait_for_event(int queue, const shim::Event& event) override {
    inner().wait_for_event(queue, event);
  }

 private:
  shim::Api& inner() const { return *logger_->inner; }

  Tensor wrap(Tensor made) {
    const TensorSpec spec = made.spec();
    auto memory = std::make_shared<LoggedMemory>();
    memory->logger = logger_;
    const std::int64_t id = ++logger_->ids;
    memory->operand = record_of(spec, id, ++logger_->buffers);
    return {spec, std::make_shared<LoggedBuffer>(std::move(memory), std::move(made)), id};
  }

  // Null inputs are left out. Bytes are those of all operands, unless said.
  void record(std::string name, const std::vector<const Tensor*>& inputs,
              const std::vector<const Tensor*>& outputs, Attributes attributes, double flops,
              std::int64_t bytes = -1) {
    OperationRecord operation;
    operation.name = std::move(name);
    std::int64_t all = 0;
    for (const Tensor* input : inputs) {
      if (input == nullptr) continue;
      operation.inputs.push_back(record_of(*input));
      all += operation.inputs.back().bytes;
    }
    for (const Tensor* output : outputs) {
      operation.outputs.push_back(record_of(*output));
      all += operation.outputs.back().bytes;
    }
    const OperandRecord& result = operation.outputs.front();
    attributes.emplace_back("dtype", result.dtype);
    attributes.emplace_back("memory_config", result.placement);
    operation.attributes = std::move(attributes);
    operation.flops = flops;
    operation.bytes = bytes < 0 ? all : bytes;
    operation.core_scratch_bytes = inner().memory().circular_buffer_bytes;
    logger_->record(std::move(operation));
  }

  Tensor computed(std::string name, const std::vector<const Tensor*>& inputs, Tensor made,
                  Attributes attributes, double flops, std::int64_t bytes = -1) {
    Tensor result = wrap(std::move(made));
    record(std::move(name), inputs, {&result}, std::move(attributes), flops, bytes);
    return result;
  }

  void transfer(std::string name, std::vector<OperandRecord> inputs,
                std::vector<OperandRecord> outputs, Attributes attributes = {}) {
    OperationRecord operation;
    operation.name = std::move(name);
    operation.where = Where::kTransfer;
    operation.bytes = (outputs[0].placement == "host" ? inputs : outputs)[0].bytes;
    operation.inputs = std::move(inputs);
    operation.outputs = std::move(outputs);
    operation.attributes = std::move(attributes);
    logger_->record(std::move(operation));
  }

  Tensor norm(std::string name, const std::vector<const Tensor*>& inputs, Tensor made,
              const shim::NormOptions& options) {
    Attributes attributes{{"epsilon", double{options.epsilon}}};
    add_compute(attributes, options.compute);
    const double flops = 8 * static_cast<double>(volume(made.shape()));
    return computed(std::move(name), inputs, std::move(made), std::move(attributes), flops);
  }

  Tensor binary(const std::string& name, const Tensor& a, const Tensor* b, float number,
                const shim::BinaryOptions& options) {
    shim::BinaryOptions passed = options;
    const Tensor output = options.output == nullptr ? Tensor() : inner_of(*options.output);
    if (options.output != nullptr) passed.output = &output;
    const bool adds = name == "ttnn.add";
    Tensor made;
    if (b != nullptr) {
      made = adds ? inner().add(inner_of(a), inner_of(*b), passed)
                  : inner().multiply(inner_of(a), inner_of(*b), passed);
    } else {
      made = adds ? inner().add(inner_of(a), number, passed)
                  : inner().multiply(inner_of(a), number, passed);
    }
    double flops = static_cast<double>(volume(made.shape()));
    if (options.lhs_activation != shim::Unary::kNone) flops *= 2;
    Attributes attributes{{"lhs_activation", std::string(name_of(options.lhs_activation))}};
    if (b == nullptr) attributes.emplace_back("scalar", double{number});
    if (options.output == nullptr) {
      return computed(name, {&a, b}, std::move(made), std::move(attributes), flops);
    }
    attributes.emplace_back("output", options.output->id());
    Tensor result(options.output->spec(), options.output->buffer(), ++logger_->ids);
    record(name, {&a, b}, {&result}, std::move(attributes), flops);
    return result;
  }

  std::shared_ptr<Logger> logger_;
};

}  // namespace

std::unique_ptr<shim::Api> make_logging_shim(std::unique_ptr<shim::Api> inner, OperationLog& log) {
  return std::make_unique<LoggingShim>(std::move(inner), log);
}

}  // namespace pi0
