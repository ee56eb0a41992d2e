// The TTNN device's own declarations. Its operations stand in ttnn_tensors.cc, ttnn_weights.cc,
// ttnn_layers.cc and ttnn_attention.cc; ttnn.h is what others include.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "device/device.h"
#include "device/operations.h"
#include "device/ttnn/config/policies.h"
#include "device/ttnn/constants.h"
#include "device/ttnn/pack.h"
#include "device/ttnn/prompt_tables.h"
#include "device/ttnn/shim/shim.h"

namespace pi0::ttnn {

// A tensor of the network on the card. [rows, width] is [batch, 1, rows / batch, width] there,
// [sequences, heads, tokens, head_dim] the same with its padding.
struct Stored final : Tensor::Storage {
  shim::Tensor tensor;
  HeadLayout heads;            // of the last dimension, where it has heads
  std::vector<TokenRun> runs;  // which of the rows are tokens: of keys, values, or a prompt
  std::shared_ptr<PromptTables> prompt;  // whose tokens are among them
  int patch = 0;                         // images: how they are laid out
  // What is stored is the value * scale + offset.
  float scale = 1;
  float offset = 0;
  // An input that the host writes, and a write that the card has not waited for yet.
  bool input = false;
  std::shared_ptr<shim::Event> written;

  // `runs`, the prompt's tokens counted.
  std::vector<TokenRun> counted_runs() const { return prompt ? prompt->counted(runs) : runs; }
};
Tensor stored(const Shape& shape, shim::Tensor tensor);
// The same rows of `x`, of which the same are tokens.
Tensor stored_rows(const Tensor& x, const Shape& shape, shim::Tensor tensor);

struct Linear final : LinearWeights {
  shim::Tensor weight;  // [1, 1, in, out]
  shim::Tensor bias;    // [1, 1, 1, out], or none
  MathRole role = MathRole::kProjection;
};
struct Norm final : NormWeights {
  shim::Tensor weight;
  shim::Tensor bias;  // none for RMSNorm
};
struct PatchEmbedding final : PatchEmbeddingWeights {
  Linear linear;
  shim::Tensor positions;  // [1, 1, patches, width]
  int patch = 0;
};
struct QkvProjection final : QkvWeights {
  HeadShape heads;
  HeadLayout layout;
  bool has_queries = false;
  Linear linear;  // all heads of q, then of k, then of v
};
struct GatedMlp final : GatedMlpWeights {
  struct Part {  // of the hidden layer
    Linear gate, up, down;
  };
  std::vector<Part> parts;
};

// What was captured of a call's work.
struct Captured {
  std::unique_ptr<shim::Trace> trace;
  std::vector<Stored*> inputs;          // that it reads
  std::vector<shim::Tensor> constants;  // that it reads: kept with it
};

// A call's work, captured the second time that it is done: the first compiles its kernels and
// makes its constants, which cannot be done while capturing.
struct TracedWork final : Trace {
  using All = std::set<TracedWork*>;
  explicit TracedWork(std::shared_ptr<All> those) : all(std::move(those)) { all->insert(this); }
  ~TracedWork() override { all->erase(this); }
  TracedWork(const TracedWork&) = delete;
  TracedWork& operator=(const TracedWork&) = delete;

  std::shared_ptr<All> all;
  Captured captured;  // nothing, at first and after forget_traces()
};

class TtnnDevice final : public Device {
 public:
  TtnnDevice(std::unique_ptr<shim::Api> api, const Policies& policies, std::string name,
             OperationLog* log);

  std::string name() const override { return name_; }
  MemoryUse memory() const override {
    const shim::MemoryUse use = api_->memory();
    return {use.dram_bytes, use.peak_dram_bytes};
  }

  Tensor upload(const Shape& shape, std::span<const float> values, Precision precision) override;
  Tensor upload_images(const Shape& shape, std::span<const float> values, int patch_size) override;
  Tensor upload_prompt(const Shape& shape, std::span<const float> values) override;
  std::int64_t prompt_rows(std::int64_t tokens) const override {
    return shim::round_to_tile(tokens);
  }
  void write(Tensor& tensor, std::span<const float> values) override;
  std::vector<float> download(const Tensor& tensor) override;
  void synchronize() override { api_->synchronize(); }

  std::unique_ptr<LinearWeights> prepare_linear(const HostTensor& weight, const HostTensor* bias,
                                                const HeadShape* joined,
                                                WeightPrecision precision) override;
  std::unique_ptr<LinearWeights> prepare_modulation(const HostTensor& weight,
                                                    const HostTensor& bias) override;
  std::unique_ptr<NormWeights> prepare_layer_norm(const HostTensor& weight,
                                                  const HostTensor& bias) override;
  std::unique_ptr<NormWeights> prepare_rms_norm(const HostTensor& weight) override;
  std::unique_ptr<PatchEmbeddingWeights> prepare_patch_embedding(
      const HostTensor& weight, const HostTensor& bias, const HostTensor& positions) override;
  std::unique_ptr<QkvWeights> prepare_qkv(const QkvSource& source) override;
  std::unique_ptr<GatedMlpWeights> prepare_gated_mlp(const HostTensor& gate, const HostTensor& up,
                                                     const HostTensor& down,
                                                     WeightPrecision precision) override;

  Tensor patch_embedding(const Tensor& images, const PatchEmbeddingWeights& weights) override;
  Tensor layer_norm(const Tensor& x, const NormWeights& weights, float eps) override;
  Tensor rms_norm(const Tensor& x, const NormWeights& weights, float eps) override;
  Tensor rms_norm(const Tensor& x, const Modulation& modulation, float eps) override;
  Tensor linear(const Tensor& x, const LinearWeights& weights, Activation activation,
                const Tensor* row, Precision precision) override;
  Tensor linear_residual(const Tensor& x, const LinearWeights& weights, Tensor residual,
                         const Tensor* gate) override;
  Tensor gated_mlp(const Tensor& x, const GatedMlpWeights& weights, Tensor residual,
                   const Tensor* gate) override;
  Modulation modulation(const Tensor& condition, const LinearWeights& dense) override;
  Qkv qkv(const Tensor& x, const QkvWeights& weights, const HeadSplit& split) override;
  KeysValues keys_values(const Tensor& x, const QkvWeights& weights,
                         const HeadSplit& split) override;
  Tensor attention(Tensor queries, const KeysValues& own, const KeysValues* cache) override;
  Tensor concatenate_rows(std::span<const Tensor* const> parts) override;
  KeysValues concatenate_tokens(KeysValues a, KeysValues b) override;
  Tensor choose_rows(const Tensor& a, const Tensor& rows_of_a, const Tensor& b,
                     const Tensor& rows_of_b) override;
  Tensor guided_velocity(const Tensor& x, const Tensor& v, const Tensor& target,
                         const Tensor& weights, float t, float gain) override;
  Tensor euler_step(const Tensor& x, const Tensor& v, float dt) override;

  int replayed_shapes() const override { return api_->can_trace() ? kReplayedShapes : 1; }
  void run(std::unique_ptr<Trace>& trace, const std::function<void()>& work) override;
  void mark(const Component& component, int index) override {
    if (log_ != nullptr) log_->mark(component, index);
  }

 private:
  static constexpr int kReplayedShapes = 4;  // a robot's tasks, and its cameras with one masked

  // ---- ttnn_tensors.cc ----

  // Before anything is allocated that is to last. A replay writes where its intermediates were,
  // whoever has that memory since: what was captured is captured again, next time, around it.
  void forget_traces();
  void before_new_table();

  // What an operation reads: what was written to it on the other queue must have arrived.
  const shim::Tensor& operand(const Tensor& tensor);
  // A table, which a trace that is being captured keeps.
  const shim::Tensor& constant(const shim::Tensor& tensor);
  void wait_for_write(Stored& stored);
  shim::Placement place(TensorRole role, const shim::Shape4& shape,
                        shim::DataType type = shim::DataType::kBfloat16) const {
    return policies_.place(role, shape, type, api_->card());
  }

  // ---- ttnn_weights.cc ----

  shim::Tensor put(std::span<const float> values, const shim::Shape4& shape, shim::DataType type);
  shim::Tensor put_row(const HostTensor& tensor, shim::DataType type);
  Linear put_linear(PackedMatrix& matrix, PackedMatrix* bias, MathRole role);
  Linear make_linear(const HostTensor& weight, const HostTensor* bias, const IndexMap& in,
                     const IndexMap& out, MathRole role);
  // How many equal parts a hidden layer is cut into, so that each stays within its L1 limit.
  std::int64_t hidden_parts(std::int64_t width) const;

  // ---- ttnn_layers.cc ----

  // x times the weights, with an explicit program configuration.
  shim::Tensor multiply(const shim::Tensor& x, const Linear& linear, const shim::Tensor* bias,
                        shim::Unary activation, TensorRole result,
                        shim::DataType type = shim::DataType::kBfloat16);
  shim::NormOptions norm_options(const shim::Tensor& x, float eps) const;
  // residual + gate * y, in the residual's memory unless somebody else has it too.
  Tensor add_gated(shim::Tensor y, Tensor residual, const Tensor* gate);

  // ---- ttnn_attention.cc ----

  // The projections of x, its rows as so many sequences: [sequences, 1, tokens, q | k | v].
  shim::Tensor project(const Tensor& x, const QkvProjection& projection, int sequences);
  // x [s, heads, tokens, padded head_dim] rotated; all its rows then count as tokens.
  shim::Tensor rotate(const shim::Tensor& x, const RotaryPair& tables, TensorRole result);
  // For so many tokens of each sequence.
  const RotaryPair& rotary_tables_of(const HeadSplit& split, std::int64_t tokens,
                                     const HeadLayout& layout);
  Tensor join_tokens(const Tensor& a, const Tensor& b);

  std::unique_ptr<shim::Api> api_;
  Policies policies_;
  std::string name_;
  OperationLog* log_;
  Constants constants_;
  std::shared_ptr<TracedWork::All> traced_ = std::make_shared<TracedWork::All>();
  Captured* capturing_ = nullptr;
  std::shared_ptr<shim::Event> last_write_;  // after it, all writes before it
};

}  // namespace pi0::ttnn
