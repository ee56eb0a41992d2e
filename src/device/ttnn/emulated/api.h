// The emulated card as the shim's Api. Each operation checks TTNN's rules, allocates its result,
// and hands the machine a program with what it would compute.
#pragma once

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "device/ttnn/emulated/arithmetic.h"
#include "device/ttnn/emulated/machine.h"
#include "device/ttnn/shim/shim.h"

namespace pi0::emulated {

Matrix read(const Operand& operand);
// What an operation gives, as the packer rounds it.
void write(const Operand& operand, Matrix values);

// What an operation's program depends on beside its operands, as one string.
template <typename... Parts>
std::string program_key(const Parts&... parts) {
  std::ostringstream text;
  ((text << parts << ' '), ...);
  return text.str();
}
std::string program_key(const shim::ComputeKernelConfig& compute);

class EmulatedApi final : public shim::Api {
 public:
  using Tensor = shim::Tensor;
  using Shape4 = shim::Shape4;
  using Placement = shim::Placement;

  EmulatedApi(const Card& card, bool arithmetic)
      : machine_(std::make_shared<Machine>(card, arithmetic)) {}

  const Card& card() const override { return machine_->card(); }
  std::string description() const override { return "emulated " + card().name; }
  shim::MemoryUse memory() const override { return machine_->memory(); }

  Tensor to_device(std::span<const float> values, const Shape4& shape, shim::DataType dtype,
                   shim::Layout layout, Placement placement) override;
  void copy_to_device(std::span<const float> values, const Tensor& tensor, int queue) override;
  std::vector<float> to_host(const Tensor& tensor) override;
  void synchronize() override { machine_->synchronize("ttnn.synchronize_device"); }

  Tensor view(const Tensor& x, const Shape4& shape, const Shape4& padded) override;
  Tensor reshape(const Tensor& x, const Shape4& shape, Placement placement) override;
  Tensor to_layout(const Tensor& x, shim::Layout layout, Placement placement) override;
  Tensor fold(const Tensor& x, int stride_h, int stride_w) override;
  Tensor concat(std::span<const Tensor> parts, int dim, Placement placement) override;
  Tensor slice(const Tensor& x, const Shape4& begin, const Shape4& end,
               Placement placement) override;

  Tensor linear(const Tensor& a, const Tensor& weight, const Tensor* bias,
                const shim::LinearOptions& options) override;
  Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                    const shim::NormOptions& options) override;
  Tensor rms_norm(const Tensor& x, const Tensor& weight, const Tensor* bias,
                  const shim::NormOptions& options) override;
  Tensor add(const Tensor& a, const Tensor& b, const shim::BinaryOptions& options) override;
  Tensor add(const Tensor& a, float b, const shim::BinaryOptions& options) override;
  Tensor multiply(const Tensor& a, const Tensor& b, const shim::BinaryOptions& options) override;
  Tensor multiply(const Tensor& a, float b, const shim::BinaryOptions& options) override;

  shim::Heads nlp_create_qkv_heads(const Tensor& x, const Tensor* kv, int num_q_heads,
                                   int num_kv_heads, Placement placement) override;
  Tensor nlp_concat_heads(const Tensor& x, Placement placement) override;
  Tensor rotary_embedding(const Tensor& x, const Tensor& cos, const Tensor& sin,
                          Placement placement, const shim::ComputeKernelConfig& compute) override;
  Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                      const Tensor* mask,
                                      const shim::SdpaOptions& options) override;

  bool can_trace() const override { return true; }
  void begin_trace_capture() override { machine_->begin_trace_capture(); }
  std::unique_ptr<shim::Trace> end_trace_capture() override {
    return machine_->end_trace_capture();
  }
  void execute_trace(const shim::Trace& trace) override {
    machine_->execute_trace(static_cast<const EmulatedTrace&>(trace));
  }
  std::unique_ptr<shim::Event> record_event(int queue) override {
    return machine_->record_event(queue);
  }
  void wait_for_event(int queue, const shim::Event& event) override {
    machine_->wait_for_event(queue, static_cast<const EmulatedEvent&>(event));
  }

 private:
  // Allocates a result and runs a program that reads `reads` and writes it.
  template <typename Compute>
  Tensor run(const std::string& operation, const std::string& key, std::vector<Operand> reads,
             const shim::TensorSpec& out, std::int64_t circular_buffers, Compute compute) {
    Tensor result = machine_->allocate(out, operation);
    Operand to = machine_->operand(result, operation);
    std::vector<Operand> from = reads;
    machine_->run({operation,
                   key,
                   std::move(reads),
                   {to},
                   circular_buffers,
                   [from = std::move(from), to, compute] { write(to, compute(from)); }});
    return result;
  }
  Tensor norm(const std::string& operation, const Tensor& x, const Tensor& weight,
              const Tensor* bias, const shim::NormOptions& options, bool centred);
  enum class Binary { kAdd, kMultiply };
  Tensor binary(Binary operation, const Tensor& a, const Tensor* b, float number,
                const shim::BinaryOptions& options);

  std::shared_ptr<Machine> machine_;
};

}  // namespace pi0::emulated
