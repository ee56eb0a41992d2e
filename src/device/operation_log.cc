#include "device/operation_log.h"

#include "device/flops.h"
#include "device/unwrapped.h"

namespace pi0 {
namespace {

const char* recorded_name(DType type) {  // as TTNN calls them
  return type == DType::kF32 ? "float32" : type == DType::kF16 ? "float16" : "bfloat16";
}

OperandRecord operand(std::int64_t id, const Shape& shape, const char* dtype, std::int64_t bytes) {
  return {id, id, shape, shape, dtype, "row_major", "host", bytes};
}

OperandRecord operand(const HostTensor& weight) {
  return operand(0, weight.shape, recorded_name(weight.dtype),
                 weight.size() * static_cast<std::int64_t>(size_of(weight.dtype)));
}

// What is recorded of tensors: who is told, and which are alive.
struct Ledger {
  OperationLog& log;
  std::int64_t ids = 0;
  std::int64_t live = 0;
};

struct Logged final : Tensor::Storage {
  Logged(Ledger& all, const Shape& shape, Tensor tensor)
      : ledger(all),
        record(operand(++all.ids, shape, "float32", element_count(shape) * 4)),
        inner(std::move(tensor)) {
    ++ledger.live;
  }
  ~Logged() override {
    --ledger.live;
    OperationRecord freed;
    freed.name = "deallocate";
    freed.where = Where::kHost;
    freed.inputs.push_back(record);
    freed.live_tensors = ledger.live;
    ledger.log.record(std::move(freed));
  }

  Ledger& ledger;
  OperandRecord record;
  Tensor inner;
};

template <typename Weights>
struct LoggedWeights final : Weights {
  std::unique_ptr<Weights> inner;
  std::vector<OperandRecord> operands;
  double values = 0;  // in matrices: two FLOPs each, for each row
  HeadShape heads;    // of a qkv
  std::int64_t out = 0;
};

template <typename Weights>
const LoggedWeights<Weights>& logged(const Weights& weights) {
  return static_cast<const LoggedWeights<Weights>&>(weights);
}

const Logged& logged(const Tensor& tensor) { return tensor.as<Logged>(); }
const Tensor* inner_of(const Tensor* tensor) { return tensor ? &logged(*tensor).inner : nullptr; }

class LoggingDevice final : public Device {
 public:
  LoggingDevice(std::unique_ptr<Device> inner, std::string name, OperationLog& log)
      : inner_(std::move(inner)), name_(std::move(name)), ledger_{log} {}

  std::string name() const override { return name_; }

  Tensor upload(const Shape& shape, std::span<const float> values, Precision precision) override {
    Tensor tensor = make(shape, inner_ ? inner_->upload(shape, values, precision) : Tensor());
    return transferred("upload", std::move(tensor));
  }
  Tensor upload_images(const Shape& shape, std::span<const float> values, int patch_size) override {
    Tensor tensor =
        make(shape, inner_ ? inner_->upload_images(shape, values, patch_size) : Tensor());
    return transferred("upload_images", std::move(tensor));
  }
  void write(Tensor& tensor, std::span<const float> values) override {
    if (inner_) inner_->write(tensor.as<Logged>().inner, values);
    transfer("write", {}, {&tensor});
  }
  std::vector<float> download(const Tensor& tensor) override {
    transfer("download", {&tensor}, {});
    if (inner_) return inner_->download(logged(tensor).inner);
    return std::vector<float>(static_cast<std::size_t>(element_count(tensor.shape())));
  }
  void synchronize() override {
    if (inner_) inner_->synchronize();
  }

  std::unique_ptr<LinearWeights> prepare_linear(const HostTensor& weight, const HostTensor* bias,
                                                const HeadShape* joined,
                                                WeightPrecision precision) override {
    auto weights = record_linear(weight, bias);
    if (inner_) weights->inner = inner_->prepare_linear(weight, bias, joined, precision);
    return weights;
  }
  std::unique_ptr<LinearWeights> prepare_modulation(const HostTensor& weight,
                                                    const HostTensor& bias) override {
    auto weights = record_linear(weight, &bias);
    if (inner_) weights->inner = inner_->prepare_modulation(weight, bias);
    return weights;
  }
  std::unique_ptr<NormWeights> prepare_layer_norm(const HostTensor& weight,
                                                  const HostTensor& bias) override {
    auto weights = record<NormWeights>({&weight, &bias});
    if (inner_) weights->inner = inner_->prepare_layer_norm(weight, bias);
    return weights;
  }
  std::unique_ptr<NormWeights> prepare_rms_norm(const HostTensor& weight) override {
    auto weights = record<NormWeights>({&weight});
    if (inner_) weights->inner = inner_->prepare_rms_norm(weight);
    return weights;
  }
  std::unique_ptr<PatchEmbeddingWeights> prepare_patch_embedding(
      const HostTensor& weight, const HostTensor& bias, const HostTensor& positions) override {
    auto weights = record<PatchEmbeddingWeights>({&weight, &bias, &positions});
    weights->values = static_cast<double>(weight.size());
    weights->out = weight.shape[0];
    if (inner_) weights->inner = inner_->prepare_patch_embedding(weight, bias, positions);
    return weights;
  }
  std::unique_ptr<QkvWeights> prepare_qkv(const QkvSource& source) override {
    const auto given = [](const std::optional<HostTensor>& tensor) {
      return tensor ? &*tensor : nullptr;
    };
    auto weights = record<QkvWeights>({given(source.q), given(source.q_bias), &source.k,
                                       given(source.k_bias), &source.v, given(source.v_bias)});
    weights->values =
        static_cast<double>((source.q ? source.q->size() : 0) + source.k.size() + source.v.size());
    weights->heads = source.heads;
    if (inner_) weights->inner = inner_->prepare_qkv(source);
    return weights;
  }
  std::unique_ptr<GatedMlpWeights> prepare_gated_mlp(const HostTensor& gate, const HostTensor& up,
                                                     const HostTensor& down,
                                                     WeightPrecision precision) override {
    auto weights = record<GatedMlpWeights>({&gate, &up, &down});
    weights->values = static_cast<double>(gate.size() + up.size() + down.size());
    weights->out = gate.shape[0];  // of the hidden layer
    if (inner_) weights->inner = inner_->prepare_gated_mlp(gate, up, down, precision);
    return weights;
  }

  Tensor patch_embedding(const Tensor& images, const PatchEmbeddingWeights& weights) override {
    const auto& embedding = logged(weights);
    const std::int64_t patch = embedding.operands[0].shape[2];
    const std::int64_t side = images.dim(1) / patch;
    Tensor result =
        make({images.dim(0) * side * side, embedding.out},
             inner_ ? inner_->patch_embedding(logged(images).inner, *embedding.inner) : Tensor());
    const double count = flops::matrices(result, embedding.values) + flops::elements(result);
    return done("patch_embedding", {&images}, embedding.operands, std::move(result), count);
  }
  Tensor layer_norm(const Tensor& x, const NormWeights& weights, float eps) override {
    const auto& norm = logged(weights);
    Tensor result =
        make(x.shape(), inner_ ? inner_->layer_norm(logged(x).inner, *norm.inner, eps) : Tensor());
    return done("layer_norm", {&x}, norm.operands, std::move(result), flops::layer_norm(x));
  }
  Tensor rms_norm(const Tensor& x, const NormWeights& weights, float eps) override {
    const auto& norm = logged(weights);
    Tensor result =
        make(x.shape(), inner_ ? inner_->rms_norm(logged(x).inner, *norm.inner, eps) : Tensor());
    return done("rms_norm", {&x}, norm.operands, std::move(result), flops::rms_norm(x, false));
  }
  Tensor rms_norm(const Tensor& x, const Modulation& modulation, float eps) override {
    Tensor inner;
    if (inner_) {
      const UnwrappedModulation<Logged> unwrapped(modulation, &Logged::inner);
      inner = inner_->rms_norm(logged(x).inner, unwrapped.get(), eps);
    }
    Tensor result = make(x.shape(), std::move(inner));
    return done("rms_norm", {&x, &modulation.scale, &modulation.shift}, {}, std::move(result),
                flops::rms_norm(x, true));
  }

  Tensor linear(const Tensor& x, const LinearWeights& weights, Activation activation,
                const Tensor* row, Precision precision) override {
    const auto& linear = logged(weights);
    Tensor result =
        make({x.dim(0), linear.out}, inner_ ? inner_->linear(logged(x).inner, *linear.inner,
                                                             activation, inner_of(row), precision)
                                            : Tensor());
    const double count = flops::matrices(x, linear.values) + (row ? flops::elements(result) : 0);
    return done("linear", {&x, row}, linear.operands, std::move(result), count);
  }
  Tensor linear_residual(const Tensor& x, const LinearWeights& weights, Tensor residual,
                         const Tensor* gate) override {
    const auto& linear = logged(weights);
    Tensor result = make(
        residual.shape(),
        inner_ ? inner_->linear_residual(logged(x).inner, *linear.inner,
                                         std::move(residual.as<Logged>().inner), inner_of(gate))
               : Tensor());
    const double count =
        flops::matrices(x, linear.values) + flops::residual(result, gate != nullptr);
    return done("linear_residual", {&x, &residual, gate}, linear.operands, std::move(result),
                count);
  }
  Tensor gated_mlp(const Tensor& x, const GatedMlpWeights& weights, Tensor residual,
                   const Tensor* gate) override {
    const auto& mlp = logged(weights);
    Tensor result =
        make(residual.shape(),
             inner_ ? inner_->gated_mlp(logged(x).inner, *mlp.inner,
                                        std::move(residual.as<Logged>().inner), inner_of(gate))
                    : Tensor());
    const double count = flops::matrices(x, mlp.values) + static_cast<double>(x.dim(0) * mlp.out) +
                         flops::residual(result, gate != nullptr);
    return done("gated_mlp", {&x, &residual, gate}, mlp.operands, std::move(result), count);
  }
  Modulation modulation(const Tensor& condition, const LinearWeights& dense) override {
    const auto& linear = logged(dense);
    Modulation inner;
    if (inner_) inner = inner_->modulation(logged(condition).inner, *linear.inner);
    const Shape shape{1, linear.out / 3};
    Modulation result{make(shape, std::move(inner.scale)), make(shape, std::move(inner.shift)),
                      make(shape, std::move(inner.gate))};
    tell("modulation", {&condition}, linear.operands, {&result.scale, &result.shift, &result.gate},
         flops::matrices(condition, linear.values));
    return result;
  }

  Qkv qkv(const Tensor& x, const QkvWeights& weights, const HeadSplit& split) override {
    const auto& projections = logged(weights);
    Qkv inner;
    if (inner_) {
      const UnwrappedCache<Logged> after(split.after, &Logged::inner);
      inner = inner_->qkv(logged(x).inner, *projections.inner, {split.sequences, after.get()});
    }
    const HeadShape& heads = projections.heads;
    Qkv result{make(split_shape(x, heads.num_heads, heads, split), std::move(inner.queries)),
               make_kv(x, heads, split, std::move(inner.own))};
    tell("qkv", {&x}, projections.operands, {&result.queries, &result.own.keys, &result.own.values},
         flops::matrices(x, projections.values) +
             flops::rotary(x, heads.num_heads + heads.num_kv_heads, heads));
    return result;
  }
  KeysValues keys_values(const Tensor& x, const QkvWeights& weights,
                         const HeadSplit& split) override {
    const auto& projections = logged(weights);
    KeysValues inner;
    if (inner_) {
      const UnwrappedCache<Logged> after(split.after, &Logged::inner);
      inner =
          inner_->keys_values(logged(x).inner, *projections.inner, {split.sequences, after.get()});
    }
    const HeadShape& heads = projections.heads;
    KeysValues result = make_kv(x, heads, split, std::move(inner));
    // Of joined weights too, keys and values alone are computed.
    const double outputs = 2.0 * heads.num_kv_heads * heads.head_dim;
    tell("keys_values", {&x}, projections.operands, {&result.keys, &result.values},
         2 * flops::elements(x) * outputs + flops::rotary(x, heads.num_kv_heads, heads));
    return result;
  }
  Tensor attention(Tensor queries, const KeysValues& own, const KeysValues* cache) override {
    const std::int64_t keys = own.keys.dim(2) + (cache ? cache->keys.dim(2) : 0);
    const Shape shape{queries.dim(0) * queries.dim(2), queries.dim(1) * queries.dim(3)};
    const double count = flops::attention(queries, keys);
    Tensor inner;
    if (inner_) {
      const UnwrappedKeysValues<Logged> unwrapped(own, &Logged::inner);
      const UnwrappedCache<Logged> lent_cache(cache, &Logged::inner);
      inner = inner_->attention(std::move(queries.as<Logged>().inner), unwrapped.get(),
                                lent_cache.get());
    }
    return done("attention",
                {&queries, &own.keys, &own.values, cache ? &cache->keys : nullptr,
                 cache ? &cache->values : nullptr},
                {}, make(shape, std::move(inner)), count);
  }

  Tensor concatenate_rows(std::span<const Tensor* const> parts) override {
    Shape shape{0, parts[0]->dim(1)};
    std::vector<const Tensor*> inner;
    for (const Tensor* part : parts) {
      shape[0] += part->dim(0);
      inner.push_back(inner_of(part));
    }
    Tensor result = make(shape, inner_ ? inner_->concatenate_rows(inner) : Tensor());
    return done("concatenate_rows", {parts.begin(), parts.end()}, {}, std::move(result), 0);
  }
  KeysValues concatenate_tokens(KeysValues a, KeysValues b) override {
    Shape shape = a.keys.shape();
    shape[2] += b.keys.dim(2);
    KeysValues inner;
    if (inner_) {
      const auto taken = [](KeysValues& kv) {
        return KeysValues{std::move(kv.keys.as<Logged>().inner),
                          std::move(kv.values.as<Logged>().inner)};
      };
      inner = inner_->concatenate_tokens(taken(a), taken(b));
    }
    KeysValues result{make(shape, std::move(inner.keys)), make(shape, std::move(inner.values))};
    tell("concatenate_tokens", {&a.keys, &a.values, &b.keys, &b.values}, {},
         {&result.keys, &result.values}, 0);
    return result;
  }
  Tensor choose_rows(const Tensor& a, const Tensor& rows_of_a, const Tensor& b,
                     const Tensor& rows_of_b) override {
    Tensor result = make(rows_of_a.shape(),
                         inner_ ? inner_->choose_rows(logged(a).inner, logged(rows_of_a).inner,
                                                      logged(b).inner, logged(rows_of_b).inner)
                                : Tensor());
    const double count = 3 * flops::elements(result);
    return done("choose_rows", {&a, &rows_of_a, &b, &rows_of_b}, {}, std::move(result), count);
  }
  Tensor guided_velocity(const Tensor& x, const Tensor& v, const Tensor& target,
                         const Tensor& weights, float t, float gain) override {
    Tensor result =
        make(x.shape(),
             inner_ ? inner_->guided_velocity(logged(x).inner, logged(v).inner,
                                              logged(target).inner, logged(weights).inner, t, gain)
                    : Tensor());
    return done("guided_velocity", {&x, &v, &target, &weights}, {}, std::move(result),
                7 * flops::elements(x));
  }
  Tensor euler_step(const Tensor& x, const Tensor& v, float dt) override {
    Tensor result = make(
        x.shape(), inner_ ? inner_->euler_step(logged(x).inner, logged(v).inner, dt) : Tensor());
    return done("euler_step", {&x, &v}, {}, std::move(result), 2 * flops::elements(x));
  }

  void mark(const Component& component, int index) override {
    component_ = component;
    index_ = index;
    ledger_.log.mark(component, index);
    if (inner_) inner_->mark(component, index);
  }

 private:
  using Operands = std::vector<const Tensor*>;  // null ones are absent

  Tensor make(const Shape& shape, Tensor inner) {
    return Tensor(shape, std::make_unique<Logged>(ledger_, shape, std::move(inner)));
  }
  static Shape split_shape(const Tensor& x, int num_heads, const HeadShape& heads,
                           const HeadSplit& split) {
    return {split.sequences, num_heads, x.dim(0) / split.sequences, heads.head_dim};
  }
  KeysValues make_kv(const Tensor& x, const HeadShape& heads, const HeadSplit& split,
                     KeysValues inner) {
    const Shape shape = split_shape(x, heads.num_kv_heads, heads, split);
    return {make(shape, std::move(inner.keys)), make(shape, std::move(inner.values))};
  }

  template <typename Weights>
  static std::unique_ptr<LoggedWeights<Weights>> record(
      std::initializer_list<const HostTensor*> tensors) {
    auto weights = std::make_unique<LoggedWeights<Weights>>();
    for (const HostTensor* tensor : tensors) {
      if (tensor != nullptr) weights->operands.push_back(operand(*tensor));
    }
    return weights;
  }
  static std::unique_ptr<LoggedWeights<LinearWeights>> record_linear(const HostTensor& weight,
                                                                     const HostTensor* bias) {
    auto weights = record<LinearWeights>({&weight, bias});
    weights->values = static_cast<double>(weight.size());
    weights->out = weight.shape[0];
    return weights;
  }

  void tell(const char* name, const Operands& inputs, const std::vector<OperandRecord>& weights,
            const Operands& outputs, double flops, Where where = Where::kHost) {
    OperationRecord operation;
    operation.name = name;
    operation.where = where;
    operation.component = component_;
    operation.index = index_;
    for (const Tensor* input : inputs) {
      if (input != nullptr) operation.inputs.push_back(logged(*input).record);
    }
    operation.inputs.insert(operation.inputs.end(), weights.begin(), weights.end());
    for (const Tensor* output : outputs) operation.outputs.push_back(logged(*output).record);
    operation.flops = flops;
    for (const OperandRecord& input : operation.inputs) operation.bytes += input.bytes;
    for (const OperandRecord& output : operation.outputs) operation.bytes += output.bytes;
    operation.live_tensors = ledger_.live;
    ledger_.log.record(std::move(operation));
  }
  Tensor done(const char* name, const Operands& inputs, const std::vector<OperandRecord>& weights,
              Tensor result, double flops) {
    tell(name, inputs, weights, {&result}, flops);
    return result;
  }
  void transfer(const char* name, const Operands& inputs, const Operands& outputs) {
    tell(name, inputs, {}, outputs, 0, Where::kTransfer);
  }
  Tensor transferred(const char* name, Tensor tensor) {
    transfer(name, {}, {&tensor});
    return tensor;
  }

  std::unique_ptr<Device> inner_;  // null: nothing is computed
  std::string name_;
  Ledger ledger_;
  Component component_;
  int index_ = 0;
};

}  // namespace

std::unique_ptr<Device> make_logging_device(std::unique_ptr<Device> inner, OperationLog& log) {
  std::string name = inner->name();
  return std::make_unique<LoggingDevice>(std::move(inner), std::move(name), log);
}

std::unique_ptr<Device> make_logging_device(std::string name, OperationLog& log) {
  return std::make_unique<LoggingDevice>(nullptr, std::move(name), log);
}

std::unique_ptr<Device> logged_as_asked(const DeviceRequest& request, const std::string& name,
                                        const std::function<std::unique_ptr<Device>()>& make) {
  if (request.log == nullptr) return make();
  return request.arithmetic ? make_logging_device(make(), *request.log)
                            : make_logging_device(name, *request.log);
}

}  // namespace pi0
