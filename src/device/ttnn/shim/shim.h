// All that the device uses of TTNN, in its names and with its arguments' meaning, and nothing more.
// Three implementations: real_shim.cc calls TTNN; emulated_shim.cc is an honest card on the CPU;
// logging_shim.cc wraps either and tells an OperationLog of each call.
//
// Every tensor has four dimensions and is interleaved. A call that TTNN would refuse throws Error
// (kUnsupported) with a sentence that names the operation; one that does not fit into the card's
// memory, kOutOfMemory.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/host_tensor.h"
#include "device/ttnn/shim/card.h"

namespace pi0::shim {

// The way out where tensors leave too little of L1: the end of an error's sentence.
inline constexpr const char* kMoreInDram =
    "; place more in DRAM, e.g. --device ttnn,hidden=dram (ttnn-emulated alike)";

inline constexpr std::int64_t kTile = 32;  // rows and columns of a tile
constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
constexpr std::int64_t round_up(std::int64_t n, std::int64_t to) { return divide_up(n, to) * to; }
constexpr std::int64_t round_to_tile(std::int64_t n) { return round_up(n, kTile); }

enum class DataType { kFloat32, kBfloat16, kBfloat8B, kBfloat4B };
// Sixteen values of a row have one exponent: TTNN has these in tiles alone.
constexpr bool is_block_float(DataType type) {
  return type == DataType::kBfloat8B || type == DataType::kBfloat4B;
}
// As stored: 32 x 32 values, of block floats their exponents too.
constexpr std::int64_t tile_bytes(DataType type) {
  constexpr std::int64_t kValues = kTile * kTile;
  switch (type) {
    case DataType::kFloat32:
      return 4 * kValues;
    case DataType::kBfloat16:
      return 2 * kValues;
    case DataType::kBfloat8B:
      return kValues + kValues / 16;
    case DataType::kBfloat4B:
      return kValues / 2 + kValues / 16;
  }
  return 0;
}
enum class Layout { kRowMajor, kTile };
enum class Placement { kDram, kL1 };

const char* name_of(DataType type);        // "float32", "bfloat16", "bfloat8_b", "bfloat4_b"
const char* name_of(Layout layout);        // "row_major", "tile"
const char* name_of(Placement placement);  // "dram", "l1"

using Shape4 = std::array<std::int64_t, 4>;
constexpr std::int64_t volume(const Shape4& shape) {
  return shape[0] * shape[1] * shape[2] * shape[3];
}

struct TensorSpec {
  Shape4 shape{};   // logical
  Shape4 padded{};  // as stored; for tiles the last two are multiples of 32
  DataType dtype = DataType::kBfloat16;
  Layout layout = Layout::kTile;
  Placement placement = Placement::kDram;
  bool operator==(const TensorSpec&) const = default;
};
// With the padding that a layout asks for.
TensorSpec make_spec(const Shape4& shape, DataType dtype, Layout layout, Placement placement);
// As stored, padding included.
std::int64_t size_in_bytes(const TensorSpec& spec);

// A handle; copies and views share the memory, which is freed with the last of them. A view is the
// same buffer() under another spec, so buffer().use_count() tells how many handles there are.
class Tensor {
 public:
  struct Buffer {
    virtual ~Buffer() = default;
  };
  Tensor() = default;
  Tensor(TensorSpec spec, std::shared_ptr<Buffer> buffer, std::int64_t id = 0)
      : spec_(spec), buffer_(std::move(buffer)), id_(id) {}
  explicit operator bool() const { return buffer_ != nullptr; }
  const TensorSpec& spec() const { return spec_; }
  const Shape4& shape() const { return spec_.shape; }
  const std::shared_ptr<Buffer>& buffer() const { return buffer_; }
  std::int64_t id() const { return id_; }  // of a log; else 0

 private:
  TensorSpec spec_;
  std::shared_ptr<Buffer> buffer_;
  std::int64_t id_ = 0;
};

enum class MathFidelity { kLoFi, kHiFi2, kHiFi3, kHiFi4 };
const char* name_of(MathFidelity fidelity);  // "HiFi2"

// DeviceComputeKernelConfig.
struct ComputeKernelConfig {
  MathFidelity math_fidelity = MathFidelity::kHiFi4;
  bool math_approx_mode = false;
  bool fp32_dest_acc_en = true;
  bool packer_l1_acc = true;
};

struct CoreGrid {
  int x = 0;
  int y = 0;
};

// MatmulMultiCoreReuseMultiCastProgramConfig (rows of blocks over grid.y, columns over grid.x), or
// with `one_dimension` MatmulMultiCoreReuseMultiCast1DProgramConfig with mcast_in0: every core has
// all rows and its share of the columns. fuse_batch: the rows are those of the whole batch. Sizes
// in tiles.
struct MatmulProgramConfig {
  bool one_dimension = false;
  CoreGrid grid;
  int in0_block_w = 1;
  int out_subblock_h = 1;
  int out_subblock_w = 1;
  int out_block_h = 1;
  int out_block_w = 1;
  int per_core_M = 1;
  int per_core_N = 1;
};

enum class Unary { kNone, kGelu, kSilu };
const char* name_of(Unary unary);  // "none", "gelu", "silu"

struct LinearOptions {
  Unary activation = Unary::kNone;  // fused into the matrix multiplication
  DataType dtype = DataType::kBfloat16;
  Placement placement = Placement::kDram;
  MatmulProgramConfig program_config;
  ComputeKernelConfig compute;
};

struct NormOptions {
  float epsilon = 0;
  Placement placement = Placement::kDram;
  ComputeKernelConfig compute;
};

struct SdpaOptions {
  float scale = 1;
  CoreGrid grid;
  int q_chunk_size = 32;  // rows, multiples of 32
  int k_chunk_size = 32;
  bool exp_approx_mode = false;
  Placement placement = Placement::kDram;
  ComputeKernelConfig compute;
};

struct BinaryOptions {
  DataType dtype = DataType::kBfloat16;  // of the result
  Placement placement = Placement::kDram;
  Unary lhs_activation = Unary::kNone;  // applied to the left operand first
  const Tensor* output = nullptr;       // written in place of a new tensor; of the result's spec
};

struct Heads {
  Tensor q, k, v;  // [batch, heads, tokens, head_dim]
};

struct Trace {
  virtual ~Trace() = default;  // releases it
};
struct Event {
  virtual ~Event() = default;
};

struct MemoryUse {
  std::int64_t dram_bytes = 0;
  std::int64_t peak_dram_bytes = 0;
  std::int64_t l1_bytes_per_core = 0;       // tensors
  std::int64_t peak_l1_bytes_per_core = 0;  // tensors and circular buffers
  std::int64_t circular_buffer_bytes = 0;   // per core, of the last operation
  std::int64_t live_tensors = 0;            // buffers
};

class Api {
 public:
  virtual ~Api() = default;  // closes the device

  virtual const Card& card() const = 0;
  virtual std::string description() const = 0;  // "TTNN 0.71.2 on n150 (card 0)"
  virtual MemoryUse memory() const = 0;

  // ---- Between host and device ----

  // `values` in the order of `shape`; padding is zero. Without values (empty), the memory is
  // allocated and what is in it is unspecified: for calls that are only looked at.
  virtual Tensor to_device(std::span<const float> values, const Shape4& shape, DataType dtype,
                           Layout layout, Placement placement) = 0;
  // Into a tensor that stays where it is, on a command queue (0 computes, 1 uploads).
  virtual void copy_to_device(std::span<const float> values, const Tensor& tensor, int queue) = 0;
  // Blocks; logical elements alone.
  virtual std::vector<float> to_host(const Tensor& tensor) = 0;
  virtual void synchronize() = 0;

  // ---- Shape ----

  // The same memory under another logical shape within its padding: nothing moves.
  // Tile layout: the last padded dimension stays, and so does the number of padded rows; a batch
  // may be joined or split where its rows are whole tiles. Row-major: the last dimension stays.
  virtual Tensor view(const Tensor& x, const Shape4& shape, const Shape4& padded) = 0;
  // Moves data where it must. Tile layout, last dimension the same.
  virtual Tensor reshape(const Tensor& x, const Shape4& shape, Placement placement) = 0;
  virtual Tensor to_layout(const Tensor& x, Layout layout, Placement placement) = 0;
  // Row-major in DRAM [n, h, w, c] -> [n, h / stride_h, w / stride_w, stride_h * stride_w * c], in
  // the order (row, column, channel) within a patch.
  virtual Tensor fold(const Tensor& x, int stride_h, int stride_w) = 0;
  // Along `dim`. Where that is tiled and a part is padded along it, TTNN goes by way of row-major.
  virtual Tensor concat(std::span<const Tensor> parts, int dim, Placement placement) = 0;
  // [begin, end), logical. Tile layout: begins of the last two are multiples of 32.
  virtual Tensor slice(const Tensor& x, const Shape4& begin, const Shape4& end,
                       Placement placement) = 0;

  // ---- Arithmetic, in tile layout ----

  // a [b, 1, m, k] x weight [1, 1, k, n] (+ bias [1, 1, 1, n]) -> [b, 1, m, n].
  virtual Tensor linear(const Tensor& a, const Tensor& weight, const Tensor* bias,
                        const LinearOptions& options) = 0;
  // weight, bias [1, 1, 1, width].
  virtual Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                            const NormOptions& options) = 0;
  // x / sqrt(mean(x²) + epsilon) * weight + bias; bias may be null.
  virtual Tensor rms_norm(const Tensor& x, const Tensor& weight, const Tensor* bias,
                          const NormOptions& options) = 0;
  // b broadcast along the batch, and along rows, where it has one.
  virtual Tensor add(const Tensor& a, const Tensor& b, const BinaryOptions& options) = 0;
  virtual Tensor add(const Tensor& a, float b, const BinaryOptions& options) = 0;
  virtual Tensor multiply(const Tensor& a, const Tensor& b, const BinaryOptions& options) = 0;
  virtual Tensor multiply(const Tensor& a, float b, const BinaryOptions& options) = 0;

  // ---- Transformer ----

  // x [b, 1, tokens, (q_heads + 2 kv_heads) head_dim], or q alone with `kv` [b, 1, tokens,
  // 2 kv_heads head_dim]; head_dim a multiple of 32.
  virtual Heads nlp_create_qkv_heads(const Tensor& x, const Tensor* kv, int num_q_heads,
                                     int num_kv_heads, Placement placement) = 0;
  // [b, heads, tokens, head_dim] -> [b, 1, tokens, heads * head_dim].
  virtual Tensor nlp_concat_heads(const Tensor& x, Placement placement) = 0;
  // x [b, heads, tokens, head_dim], cos and sin [1, 1, >= tokens, head_dim]; head_dim 32 or a
  // multiple of 64. The result's logical shape is the padded one: view() puts it right.
  virtual Tensor rotary_embedding(const Tensor& x, const Tensor& cos, const Tensor& sin,
                                  Placement placement, const ComputeKernelConfig& compute) = 0;
  // Not causal. q [b, heads, tokens, head_dim], k, v [b, kv_heads, keys, head_dim]; mask
  // [1, 1, tokens, keys] in DRAM, added after scaling, or null. Keys beyond the logical shape are
  // masked.
  virtual Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                              const Tensor* mask, const SdpaOptions& options) = 0;

  // ---- Traces and queues ----

  virtual bool can_trace() const = 0;
  // What is called between the two is recorded and not run; nothing may go to or from the host.
  virtual void begin_trace_capture() = 0;
  virtual std::unique_ptr<Trace> end_trace_capture() = 0;
  // Does not block.
  virtual void execute_trace(const Trace& trace) = 0;
  virtual std::unique_ptr<Event> record_event(int queue) = 0;
  virtual void wait_for_event(int queue, const Event& event) = 0;
};

}  // namespace pi0::shim
