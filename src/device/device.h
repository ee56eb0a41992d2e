// The operations that a device must offer, in the network's own terms: coarse enough that each
// device can fuse them its own way, fine enough that each can be checked against the reference.
//
// Shapes are row-major. An activation is [rows, width]: the tokens of one sequence, or of several
// sequences of equal length one after another (the cameras). Whatever a device pads or tiles is
// its own matter; shapes here are the network's.
//
// A caller gives operands whose shapes fit: the network does, after its weights have been checked.
// So operations assert, and throw Error only for what depends on the machine (memory, a card).
#pragma once

#include <cassert>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "device/host_tensor.h"
#include "device/operations.h"

namespace pi0 {

// A tensor on a device: a handle that owns its memory. It is freed when the handle goes, so an
// operation that is the last to use a tensor takes it by value, and its caller moves it there.
class Tensor {
 public:
  struct Storage {
    virtual ~Storage() = default;
  };

  Tensor() = default;
  Tensor(Shape shape, std::unique_ptr<Storage> storage)
      : shape_(std::move(shape)), storage_(std::move(storage)) {}

  explicit operator bool() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  std::int64_t dim(std::size_t axis) const { return shape_[axis]; }

  // For the device that made it.
  void set_rows(std::int64_t rows) { shape_[0] = rows; }
  template <typename T>
  T& as() const {
    assert(storage_ != nullptr);
    return static_cast<T&>(*storage_);
  }

 private:
  Shape shape_;
  std::unique_ptr<Storage> storage_;
};

// Weights as a device has prepared them (packed, tiled, quantised, padded); of one kind each.
struct LinearWeights {
  virtual ~LinearWeights() = default;
};
struct NormWeights {
  virtual ~NormWeights() = default;
};
struct PatchEmbeddingWeights {
  virtual ~PatchEmbeddingWeights() = default;
};
struct QkvWeights {
  virtual ~QkvWeights() = default;
};
struct GatedMlpWeights {
  virtual ~GatedMlpWeights() = default;
};

enum class Activation { kNone, kGelu /* tanh approximation */, kSilu };

struct HeadShape {
  int num_heads = 0;
  int num_kv_heads = 0;
  int head_dim = 0;
  bool rotary = false;  // queries and keys are rotated
};

// How exactly a device has to keep a tensor: most have one type for activations, and another for
// what is summed over the steps.
enum class Precision { kActivation, kFp32 };

// How exactly weights: as a device keeps those of layers, which may be its narrowest type; wider,
// the few small matrices at the network's ends; or coarser, the prefix's MLPs, which are most of
// the arithmetic and whose errors count least.
enum class WeightPrecision { kLayer, kWide, kCoarse };

// Where the projections of an attention come from: weights [heads * head_dim, width], biases
// [heads * head_dim] or absent. Without `q`, only keys and values are projected.
struct QkvSource {
  HeadShape heads;
  std::optional<HostTensor> q, q_bias;
  HostTensor k, v;
  std::optional<HostTensor> k_bias, v_bias;
};

// [sequences, num_kv_heads, tokens, head_dim] each; keys after RoPE.
struct KeysValues {
  Tensor keys;
  Tensor values;
};

struct Qkv {
  Tensor queries;  // [sequences, num_heads, tokens, head_dim], after RoPE
  KeysValues own;
};

// How the rows of an activation become heads.
struct HeadSplit {
  int sequences = 1;  // into which the rows fall equally
  // Where heads are rotary, each sequence has positions first, first + 1, …, after the tokens of
  // this cache (or from 0, where null). They are contiguous because masked tokens are dropped
  // before they reach a device. Base 10000, halves paired (x1 cos - x2 sin, x2 cos + x1 sin).
  const KeysValues* after = nullptr;

  int first_position() const { return after ? static_cast<int>(after->keys.dim(2)) : 0; }
};

// Adaptive normalisation of π0.5, [1, width] each.
struct Modulation {
  Tensor scale;
  Tensor shift;
  Tensor gate;
};

// Bytes that a device has allocated: of its own memory where it has some, else of the host's. What
// stays in a file is not among them.
struct MemoryUse {
  std::int64_t bytes = 0;
  std::int64_t peak_bytes = 0;  // so far
};

// What a device has recorded of a piece of work, to replay it (a trace).
struct Trace {
  virtual ~Trace() = default;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual std::string name() const = 0;
  virtual MemoryUse memory() const { return {}; }

  // ---- Tensors ----

  virtual Tensor upload(const Shape& shape, std::span<const float> values,
                        Precision precision = Precision::kActivation) = 0;
  // What patch_embedding() reads: images [cameras, size, size, 3], which a device may lay out by
  // patch.
  virtual Tensor upload_images(const Shape& shape, std::span<const float> values, int patch_size) {
    (void)patch_size;
    return upload(shape, values);
  }
  // What a prompt's tokens are embedded as, [tokens, width]. write() may give it more or fewer of
  // them, as long as prompt_rows() stays the same: its shape, and the positions and the attention
  // of what is computed of it, are then of those tokens, also where run() replays it.
  virtual Tensor upload_prompt(const Shape& shape, std::span<const float> values) {
    return upload(shape, values);
  }
  // How many rows this device computes for a prompt of so many tokens: more where it pads them.
  virtual std::int64_t prompt_rows(std::int64_t tokens) const { return tokens; }
  // Overwrites a tensor that stays where it is: a call's inputs.
  virtual void write(Tensor& tensor, std::span<const float> values) = 0;
  // Waits for what `tensor` depends on.
  virtual std::vector<float> download(const Tensor& tensor) = 0;
  // Waits for all that was asked of the device.
  virtual void synchronize() {}

  // ---- Weights, prepared once ----
  // A device may keep the HostTensor (its owner keeps the memory) or convert and forget it. One
  // without data has a shape alone: for a device that is only asked what it would do.

  // weight [out, in], bias [out]. `joined`: where the input is attention()'s, the heads that it
  // joined, which a device may have padded; else null.
  virtual std::unique_ptr<LinearWeights> prepare_linear(
      const HostTensor& weight, const HostTensor* bias, const HeadShape* joined = nullptr,
      WeightPrecision precision = WeightPrecision::kLayer) = 0;
  // For modulation(): weight [3 * width, in], bias [3 * width].
  virtual std::unique_ptr<LinearWeights> prepare_modulation(const HostTensor& weight,
                                                            const HostTensor& bias) {
    return prepare_linear(weight, &bias);
  }
  virtual std::unique_ptr<NormWeights> prepare_layer_norm(const HostTensor& weight,
                                                          const HostTensor& bias) = 0;
  // Gemma's: the normalised value is multiplied by (1 + weight).
  virtual std::unique_ptr<NormWeights> prepare_rms_norm(const HostTensor& weight) = 0;
  // weight [width, 3, patch, patch], bias [width], positions [patches, width].
  virtual std::unique_ptr<PatchEmbeddingWeights> prepare_patch_embedding(
      const HostTensor& weight, const HostTensor& bias, const HostTensor& positions) = 0;
  virtual std::unique_ptr<QkvWeights> prepare_qkv(const QkvSource& source) = 0;
  // gate, up [mlp_dim, width], down [width, mlp_dim].
  virtual std::unique_ptr<GatedMlpWeights> prepare_gated_mlp(const HostTensor& gate,
                                                             const HostTensor& up,
                                                             const HostTensor& down,
                                                             WeightPrecision precision) = 0;

  // ---- Operations ----

  // images [cameras, size, size, 3] -> [cameras * patches, width]: a convolution whose stride is
  // its kernel (pixels beyond the last whole patch are left out), plus bias, plus the position of
  // each patch (row by row).
  virtual Tensor patch_embedding(const Tensor& images, const PatchEmbeddingWeights& weights) = 0;

  // Over each row: (x - mean) / sqrt(variance + eps) * weight + bias.
  virtual Tensor layer_norm(const Tensor& x, const NormWeights& weights, float eps) = 0;
  // Over each row: x / sqrt(mean(x²) + eps) * (1 + weight).
  virtual Tensor rms_norm(const Tensor& x, const NormWeights& weights, float eps) = 0;
  // Adaptive: x / sqrt(mean(x²) + eps) * (1 + scale) + shift.
  virtual Tensor rms_norm(const Tensor& x, const Modulation& modulation, float eps) = 0;

  // x [rows, in] -> activation(x weightᵀ + bias + row), [rows, out]. `row` is [1, out] or null.
  virtual Tensor linear(const Tensor& x, const LinearWeights& weights,
                        Activation activation = Activation::kNone, const Tensor* row = nullptr,
                        Precision precision = Precision::kActivation) = 0;
  // residual + gate * (x weightᵀ + bias), [rows, out]. `gate` is [1, out], or [rows, out], or null
  // for 1.
  virtual Tensor linear_residual(const Tensor& x, const LinearWeights& weights, Tensor residual,
                                 const Tensor* gate = nullptr) = 0;
  // residual + gate * down(gelu(gate_proj(x)) * up_proj(x)), [rows, width].
  virtual Tensor gated_mlp(const Tensor& x, const GatedMlpWeights& weights, Tensor residual,
                           const Tensor* gate = nullptr) = 0;
  // condition [1, in], dense from prepare_modulation() -> its three thirds.
  virtual Modulation modulation(const Tensor& condition, const LinearWeights& dense) = 0;

  // x [rows, width] -> projected, split into heads, rotated.
  virtual Qkv qkv(const Tensor& x, const QkvWeights& weights, const HeadSplit& split) = 0;
  // The same for keys and values alone.
  virtual KeysValues keys_values(const Tensor& x, const QkvWeights& weights,
                                 const HeadSplit& split) = 0;
  // Every query sees all of `cache` (or none, where null) and all of `own`, of its own sequence;
  // softmax(q kᵀ / sqrt(head_dim)) v in fp32, heads joined -> [rows, num_heads * head_dim].
  // A query head h reads key/value head h * num_kv_heads / num_heads.
  virtual Tensor attention(Tensor queries, const KeysValues& own, const KeysValues* cache) = 0;

  // The rows of each part, one part after another; at least one part, all of one width.
  virtual Tensor concatenate_rows(std::span<const Tensor* const> parts) = 0;
  // The tokens of `a`, then of `b`.
  virtual KeysValues concatenate_tokens(KeysValues a, KeysValues b) = 0;

  // Each row as of `a` or as of `b`: a * rows_of_a + b * rows_of_b, by element, where these, both
  // [rows, width], are ones in the rows of the one and zeros in the others. a and b are
  // [rows, width], or [1, width] in place of equal rows. As precise as rows_of_a is.
  virtual Tensor choose_rows(const Tensor& a, const Tensor& rows_of_a, const Tensor& b,
                             const Tensor& rows_of_b) = 0;
  // v - gain * weights * (target - (x - t * v)), by element in fp32; all [rows, width].
  virtual Tensor guided_velocity(const Tensor& x, const Tensor& v, const Tensor& target,
                                 const Tensor& weights, float t, float gain) = 0;
  // x + dt * v, in fp32.
  virtual Tensor euler_step(const Tensor& x, const Tensor& v, float dt) = 0;

  // ---- Replay ----

  // How many shapes of a call are worth keeping, because run() replays them: each has inputs and
  // results on the device, at full size some 20 MB.
  virtual int replayed_shapes() const { return 1; }

  // Does `work`, or replays what `trace` holds of an earlier time that it was done. Either
  // way the tensors that `work` assigns hold results of the present contents of what it reads; only
  // their shape() may, after a replay, still be that of a prompt of another length.
  // It may return before the device is done. What else `work` uploads must be kept by the device.
  virtual void run(std::unique_ptr<Trace>& trace, const std::function<void()>& work) {
    (void)trace;  // a device without traces does the work each time
    work();
  }

  // What follows belongs to this part of the network, its layer or step `index`: for devices that
  // log or compare.
  virtual void mark(const Component& component, int index) {
    (void)component;
    (void)index;
  }
};

}  // namespace pi0
