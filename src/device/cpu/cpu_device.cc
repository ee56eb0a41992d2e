#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>

#include "device/cpu/cpu.h"
#include "device/cpu/cpu_tensors.h"
#include "device/cpu/kernel_table.h"

namespace pi0 {
namespace {

using namespace cpu;

// Cosines and sines of RoPE for positions 0, 1, …: [positions, half] each. The angle is position
// times inverse frequency in fp32, as PyTorch computes it.
class RotaryTable {
 public:
  void reach(std::int64_t positions, std::int64_t half) {
    if (half != half_) {
      half_ = half;
      positions_ = 0;
    }
    if (positions <= positions_) return;
    cosines_.resize(static_cast<std::size_t>(positions * half));
    sines_.resize(cosines_.size());
    for (std::int64_t p = positions_; p < positions; ++p) {
      for (std::int64_t i = 0; i < half; ++i) {
        const float exponent = static_cast<float>(2 * i) / static_cast<float>(2 * half);
        const float angle = static_cast<float>(p) * (1.0f / std::pow(10000.0f, exponent));
        cosines_[static_cast<std::size_t>(p * half + i)] = std::cos(angle);
        sines_[static_cast<std::size_t>(p * half + i)] = std::sin(angle);
      }
    }
    positions_ = positions;
  }
  const float* cosines(std::int64_t position) const { return cosines_.data() + position * half_; }
  const float* sines(std::int64_t position) const { return sines_.data() + position * half_; }

 private:
  std::int64_t positions_ = 0, half_ = 0;
  std::vector<float> cosines_, sines_;
};

Function function_of(Activation activation) {
  switch (activation) {
    case Activation::kGelu:
      return Function::kGelu;
    case Activation::kSilu:
      return Function::kSilu;
    case Activation::kNone:
      break;
  }
  return Function::kNone;
}

std::function<float(std::int64_t)> bias_of(const std::vector<float>& values) {
  if (values.empty()) return {};
  return [&values](std::int64_t column) { return values[static_cast<std::size_t>(column)]; };
}

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(const CpuOptions& options)
      : table_(kernel_table(options.type, options.isa)), memory_(options.memory) {
    if (memory_ == nullptr) memory_ = make_prepared_memory();
    shop_.kernels = table_.rows;
    shop_.pool = ThreadPool::of_size(options.threads);
    shop_.scratch.resize(static_cast<std::size_t>(shop_.pool->size()));
    shop_.buffers = options.buffers ? options.buffers : std::make_shared<BufferPool>();
  }

  std::string name() const override { return "cpu"; }

  // ---- Tensors ----

  Tensor upload(const Shape& shape, std::span<const float> values, Precision) override {
    Tensor tensor = make(shape, shape.size() == 2);
    write(tensor, values);
    return tensor;
  }
  void write(Tensor& tensor, std::span<const float> values) override {
    const Values& to = values_of(tensor);
    assert(static_cast<std::int64_t>(values.size()) == to.rows * to.width);
    for (std::int64_t r = 0; r < to.rows; ++r) {
      std::copy_n(values.data() + r * to.width, to.width, to.row(r));
    }
  }
  std::vector<float> download(const Tensor& tensor) override {
    const Values& from = values_of(tensor);
    std::vector<float> values(static_cast<std::size_t>(from.rows * from.width));
    for (std::int64_t r = 0; r < from.rows; ++r) {
      std::copy_n(from.row(r), from.width, values.data() + r * from.width);
    }
    return values;
  }

  // ---- Weights ----

  std::unique_ptr<LinearWeights> prepare_linear(const HostTensor& weight, const HostTensor* bias,
                                                const HeadShape*, Precision precision) override {
    return linear_weights(weight, bias,
                          precision == Precision::kFp32 ? *table_.exact : *table_.layers);
  }
  std::unique_ptr<LinearWeights> prepare_modulation(const HostTensor& weight,
                                                    const HostTensor& bias) override {
    return linear_weights(weight, &bias, *table_.exact);
  }
  std::unique_ptr<NormWeights> prepare_layer_norm(const HostTensor& weight,
                                                  const HostTensor& bias) override {
    auto norm = std::make_unique<CpuNorm>();
    norm->weight = keep_floats(weight, *memory_);
    norm->bias = keep_floats(bias, *memory_);
    return norm;
  }
  std::unique_ptr<NormWeights> prepare_rms_norm(const HostTensor& weight) override {
    auto norm = std::make_unique<CpuNorm>();
    norm->weight = keep_floats(weight, *memory_);
    return norm;
  }
  std::unique_ptr<PatchEmbeddingWeights> prepare_patch_embedding(
      const HostTensor& weight, const HostTensor& bias, const HostTensor& positions) override {
    auto embedding = std::make_unique<CpuPatchEmbedding>();
    embedding->matrix = pack(*table_.exact, weight, &bias);
    embedding->positions = keep_floats(positions, *memory_);
    embedding->patch = weight.shape[2];
    return embedding;
  }
  std::unique_ptr<QkvWeights> prepare_qkv(const QkvSource& source) override {
    struct Part {
      const HostTensor* weight;
      std::vector<float> bias;
    };
    std::vector<Part> parts;
    bool biased = false;
    const auto add = [&](const HostTensor& weight, const std::optional<HostTensor>& bias) {
      parts.push_back({&weight, std::vector<float>(static_cast<std::size_t>(weight.shape[0]))});
      if (!bias) return;
      biased = true;
      if (bias->data != nullptr) parts.back().bias = bias->to_floats();
    };
    if (source.q) add(*source.q, source.q_bias);
    add(source.k, source.k_bias);
    add(source.v, source.v_bias);

    auto weights = std::make_unique<CpuQkv>();
    weights->heads = source.heads;
    weights->query_heads = source.q ? source.heads.num_heads : 0;
    std::vector<WeightRow> rows;
    std::vector<float> bias;
    for (const Part& part : parts) {
      for (std::int64_t i = 0; i < part.weight->shape[0]; ++i) rows.push_back({part.weight, i});
      if (biased) bias.insert(bias.end(), part.bias.begin(), part.bias.end());
    }
    weights->matrix = pack_weights(
        *table_.layers, static_cast<std::int64_t>(rows.size()), source.k.shape[1],
        [&](std::int64_t column) { return rows[static_cast<std::size_t>(column)]; }, bias_of(bias),
        *memory_, *shop_.pool);
    return weights;
  }
  std::unique_ptr<GatedMlpWeights> prepare_gated_mlp(const HostTensor& gate, const HostTensor& up,
                                                     const HostTensor& down) override {
    auto mlp = std::make_unique<CpuGatedMlp>();
    mlp->hidden = gate.shape[0];
    const std::int64_t half = table_.layers->columns / 2;
    const auto row = [&](std::int64_t column) -> WeightRow {
      const std::int64_t within = column % (2 * half);
      const std::int64_t index = column / (2 * half) * half + within % half;
      if (index >= gate.shape[0]) return {};
      return {within < half ? &gate : &up, index};
    };
    mlp->gate_up = pack_weights(*table_.layers, divide_up(mlp->hidden, half) * 2 * half,
                                gate.shape[1], row, {}, *memory_, *shop_.pool);
    mlp->down = pack(*table_.layers, down, nullptr);
    return mlp;
  }

  // ---- Operations ----

  Tensor patch_embedding(const Tensor& images, const PatchEmbeddingWeights& weights) override {
    const auto& embedding = static_cast<const CpuPatchEmbedding&>(weights);
    const std::int64_t cameras = images.dim(0), size = images.dim(1), patch = embedding.patch;
    const std::int64_t side = size / patch, patches = side * side;
    const std::int64_t width = embedding.matrix.columns;
    const Values pixels(shop_.buffers, {cameras * patches, 3 * patch * patch}, true);
    Tensor result = make({cameras * patches, width});
    const Values& out = values_of(result);
    const float* const image = values_of(images).data();
    shop_.pool->run(cameras * patches, [&](std::int64_t token, int) {
      const std::int64_t camera = token / patches, place = token % patches;
      const std::int64_t top = place / side * patch, left = place % side * patch;
      float* to = pixels.row(token);
      for (std::int64_t channel = 0; channel < 3; ++channel) {
        for (std::int64_t y = 0; y < patch; ++y) {
          const float* from = image + ((camera * size + top + y) * size + left) * 3 + channel;
          for (std::int64_t x = 0; x < patch; ++x) *to++ = from[3 * x];
        }
      }
      std::copy_n(embedding.positions + place * width, width, out.row(token));
    });
    multiply(shop_, pixels.view(), embedding.matrix, adding_to(out, nullptr));
    return result;
  }

  Tensor layer_norm(const Tensor& x, const NormWeights& weights, float eps) override {
    const auto& norm = static_cast<const CpuNorm&>(weights);
    return by_row(x, [&](const float* in, float* out, std::int64_t width) {
      shop_.kernels->layer_norm(in, norm.weight, norm.bias, eps, out, width);
    });
  }
  Tensor rms_norm(const Tensor& x, const NormWeights& weights, float eps) override {
    const auto& norm = static_cast<const CpuNorm&>(weights);
    return by_row(x, [&](const float* in, float* out, std::int64_t width) {
      shop_.kernels->rms_norm(in, norm.weight, nullptr, eps, out, width);
    });
  }
  Tensor rms_norm(const Tensor& x, const Modulation& modulation, float eps) override {
    const float* const scale = values_of(modulation.scale).data();
    const float* const shift = values_of(modulation.shift).data();
    return by_row(x, [&](const float* in, float* out, std::int64_t width) {
      shop_.kernels->rms_norm(in, scale, shift, eps, out, width);
    });
  }

  Tensor linear(const Tensor& x, const LinearWeights& weights, Activation activation,
                const Tensor* row, Precision) override {
    const PackedWeights& matrix = static_cast<const CpuLinear&>(weights).matrix;
    Tensor result = make({x.dim(0), matrix.columns});
    FinishWork finish = writing_to(values_of(result));
    finish.function = function_of(activation);
    finish.row = row == nullptr ? nullptr : values_of(*row).data();
    multiply(shop_, values_of(x).view(), matrix, finish);
    return result;
  }
  Tensor linear_residual(const Tensor& x, const LinearWeights& weights, Tensor residual,
                         const Tensor* gate) override {
    multiply(shop_, values_of(x).view(), static_cast<const CpuLinear&>(weights).matrix,
             adding_to(values_of(residual), gate));
    return residual;
  }
  Tensor gated_mlp(const Tensor& x, const GatedMlpWeights& weights, Tensor residual,
                   const Tensor* gate) override {
    const auto& mlp = static_cast<const CpuGatedMlp&>(weights);
    // In bf16 where the machine multiplies bf16: half as much to write and to read again.
    const Number type = table_.exact->activations;
    const std::int64_t rows = x.dim(0), stride = round_up(mlp.hidden, 32) + 32;
    const Buffer hidden(shop_.buffers, static_cast<std::size_t>(rows * stride * size_of(type)));
    FinishWork finish;
    finish.finish = Finish::kGate;
    finish.out_type = type;
    finish.out = hidden.as<std::byte>();
    finish.stride = stride;
    finish.columns = mlp.hidden;
    multiply(shop_, values_of(x).view(), mlp.gate_up, finish);
    multiply(shop_, {hidden.as<std::byte>(), type, rows, mlp.hidden, stride}, mlp.down,
             adding_to(values_of(residual), gate));
    return residual;
  }
  Modulation modulation(const Tensor& condition, const LinearWeights& dense) override {
    const Tensor thirds = linear(condition, dense, Activation::kNone, nullptr, Precision::kFp32);
    const std::int64_t width = thirds.dim(1) / 3;
    const auto part = [&](std::int64_t index) {
      return upload(
          {1, width},
          std::span(values_of(thirds).data() + index * width, static_cast<std::size_t>(width)),
          Precision::kFp32);
    };
    return {part(0), part(1), part(2)};
  }

  Qkv qkv(const Tensor& x, const QkvWeights& weights, const HeadSplit& split) override {
    assert(static_cast<const CpuQkv&>(weights).query_heads > 0);
    return project(x, weights, split, true);
  }
  KeysValues keys_values(const Tensor& x, const QkvWeights& weights,
                         const HeadSplit& split) override {
    return project(x, weights, split, false).own;
  }

  Tensor attention(Tensor queries, const KeysValues& own, const KeysValues* cache) override {
    const std::int64_t heads = queries.dim(1), dim = queries.dim(3);
    std::vector<PackedHeads> packed;
    if (cache != nullptr) packed.push_back(pack(*cache));
    packed.push_back(pack(own));
    std::vector<const PackedHeads*> runs;
    for (const PackedHeads& run : packed) runs.push_back(&run);
    Tensor result = make({queries.dim(0) * queries.dim(2), heads * dim});
    const Values& out = values_of(result);
    attend(shop_, {.kernel = table_.attention,
                   .queries = values_of(queries).data(),
                   .sequences = queries.dim(0),
                   .heads = heads,
                   .tokens = queries.dim(2),
                   .dim = dim,
                   .kv_heads = own.keys.dim(1),
                   .runs = runs,
                   .out = out.data(),
                   .stride = out.stride});
    return result;
  }

  Tensor concatenate_rows(std::span<const Tensor* const> parts) override {
    Shape shape{0, parts[0]->dim(1)};
    for (const Tensor* part : parts) shape[0] += part->dim(0);
    Tensor result = make(shape);
    std::int64_t row = 0;
    for (const Tensor* part : parts) {
      const Values& from = values_of(*part);
      for (std::int64_t r = 0; r < from.rows; ++r, ++row) {
        std::copy_n(from.row(r), from.width, values_of(result).row(row));
      }
    }
    return result;
  }
  KeysValues concatenate_tokens(KeysValues a, KeysValues b) override {
    return {join_tokens(a.keys, b.keys), join_tokens(a.values, b.values)};
  }
  Tensor euler_step(const Tensor& x, const Tensor& v, float dt) override {
    Tensor result = make(x.shape());
    const Values &from = values_of(x), &by = values_of(v), &to = values_of(result);
    for (std::int64_t r = 0; r < to.rows; ++r) {
      for (std::int64_t i = 0; i < to.width; ++i) to.row(r)[i] = from.row(r)[i] + dt * by.row(r)[i];
    }
    return result;
  }

 private:
  Tensor make(const Shape& shape, bool apart = true) const {
    return Tensor(shape, std::make_unique<Values>(shop_.buffers, shape, apart));
  }

  PackedWeights pack(const MultiplyKernel& kernel, const HostTensor& weight,
                     const HostTensor* bias) {
    const std::int64_t columns = weight.shape[0];
    std::vector<float> biases;
    if (bias != nullptr) {
      biases.resize(static_cast<std::size_t>(columns));
      if (bias->data != nullptr) bias->copy_to(0, biases);
    }
    return pack_weights(
        kernel, columns, weight.size() / columns,
        [&](std::int64_t column) {
          return WeightRow{&weight, column};
        },
        bias_of(biases), *memory_, *shop_.pool);
  }
  std::unique_ptr<LinearWeights> linear_weights(const HostTensor& weight, const HostTensor* bias,
                                                const MultiplyKernel& kernel) {
    auto linear = std::make_unique<CpuLinear>();
    linear->matrix = pack(kernel, weight, bias);
    return linear;
  }

  static FinishWork writing_to(const Values& out) {
    FinishWork finish;
    finish.out = out.data();
    finish.stride = out.stride;
    finish.columns = out.width;
    return finish;
  }
  static FinishWork adding_to(const Values& out, const Tensor* gate) {
    FinishWork finish = writing_to(out);
    finish.finish = Finish::kAdd;
    finish.gate = gate == nullptr ? nullptr : values_of(*gate).data();
    return finish;
  }

  // work(in, out, width) for each row, into a tensor of the same shape.
  template <typename Work>
  Tensor by_row(const Tensor& x, const Work& work) {
    constexpr std::int64_t kRows = 8;  // at a time: one is less work than it takes to hand it out
    Tensor result = make(x.shape());
    const Values &in = values_of(x), &out = values_of(result);
    shop_.pool->run(divide_up(in.rows, kRows), [&](std::int64_t item, int) {
      for (std::int64_t r = item * kRows; r < std::min((item + 1) * kRows, in.rows); ++r) {
        work(in.row(r), out.row(r), in.width);
      }
    });
    return result;
  }

  Qkv project(const Tensor& x, const QkvWeights& weights, const HeadSplit& split,
              bool with_queries) {
    const auto& projections = static_cast<const CpuQkv&>(weights);
    const HeadShape& heads = projections.heads;
    const std::int64_t tokens = x.dim(0) / split.sequences, dim = heads.head_dim;
    const Values projected(shop_.buffers, {x.dim(0), projections.matrix.columns}, true);
    multiply(shop_, values_of(x).view(), projections.matrix, writing_to(projected));

    const auto part = [&](int count) -> Tensor {
      const Shape shape{split.sequences, count, tokens, dim};
      return Tensor(shape, std::make_unique<HeadValues>(shop_.buffers, shape));
    };
    Qkv result;
    if (with_queries) result.queries = part(heads.num_heads);
    result.own = {part(heads.num_kv_heads), part(heads.num_kv_heads)};
    const std::int64_t first = split.first_position.value_or(0);
    if (split.first_position) rotary_.reach(first + tokens, dim / 2);
    shop_.pool->run(x.dim(0), [&](std::int64_t row, int) {
      const std::int64_t sequence = row / tokens, token = row % tokens;
      const float* from = projected.row(row);
      const auto take = [&](const Tensor& to, int count, bool rotated) {
        for (int head = 0; head < count; ++head, from += dim) {
          if (!to) continue;
          float* const values =
              values_of(to).data() + ((sequence * count + head) * tokens + token) * dim;
          std::copy_n(from, dim, values);
          if (!rotated || !split.first_position) continue;
          shop_.kernels->rotate(values, rotary_.cosines(first + token),
                                rotary_.sines(first + token), dim / 2);
        }
      };
      take(result.queries, projections.query_heads, true);
      take(result.own.keys, heads.num_kv_heads, true);
      take(result.own.values, heads.num_kv_heads, false);
    });
    return result;
  }

  PackedHeads pack(const KeysValues& heads) {
    const Shape& shape = heads.keys.shape();
    const std::int64_t count = shape[0] * shape[1], tokens = shape[2], dim = shape[3];
    const PackedHeadsSize size(*table_.attention, tokens, dim);
    auto& keys = heads.keys.as<HeadValues>();
    auto& values = heads.values.as<HeadValues>();
    if (keys.packed) {
      return {count, tokens, dim, keys.packed.as<std::byte>(), values.packed.as<std::byte>()};
    }
    keys.packed = Buffer(shop_.buffers, static_cast<std::size_t>(count * size.keys));
    values.packed = Buffer(shop_.buffers, static_cast<std::size_t>(count * size.values));
    return pack_heads(shop_, *table_.attention, keys.data(), values.data(), count, tokens, dim,
                      keys.packed.as<std::byte>(), values.packed.as<std::byte>());
  }

  Tensor join_tokens(const Tensor& a, const Tensor& b) const {
    Shape shape = a.shape();
    shape[2] += b.dim(2);
    Tensor result(shape, std::make_unique<HeadValues>(shop_.buffers, shape));
    float* out = values_of(result).data();
    const std::int64_t a_size = a.dim(2) * a.dim(3), b_size = b.dim(2) * b.dim(3);
    for (std::int64_t i = 0; i < shape[0] * shape[1]; ++i) {
      out = std::copy_n(values_of(a).data() + i * a_size, a_size, out);
      out = std::copy_n(values_of(b).data() + i * b_size, b_size, out);
    }
    return result;
  }

  KernelTable table_;
  std::shared_ptr<PreparedMemory> memory_;
  Workshop shop_;
  RotaryTable rotary_;
};

}  // namespace

const char* name_of(CpuType type) {
  return type == CpuType::kBf16 ? "bf16" : type == CpuType::kInt8 ? "int8" : "fp32";
}

std::unique_ptr<Device> make_cpu_device(const CpuOptions& options) {
  return std::make_unique<CpuDevice>(options);
}

std::string prepared_form(CpuType type, Isa isa) {
  const KernelTable table = kernel_table(type, isa);
  std::ostringstream form;
  for (const MultiplyKernel* kernel : {table.layers, table.exact}) {
    form << static_cast<int>(kernel->weights) << '-' << kernel->columns << '-'
         << kernel->weight_group << '-' << kernel->activation_group << ' ';
  }
  return form.str();
}

}  // namespace pi0
