#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "device/cpu/cpu.h"
#include "device/cpu/cpu_tensors.h"
#include "device/cpu/isa/kernel_table.h"

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

class CpuDevice final : public Device {
 public:
  CpuDevice(const CpuOptions& options, const KernelTable& table)
      : table_(table), memory_(options.memory ? options.memory : make_prepared_memory()) {
    context_.kernels = table_.rows;
    context_.pool = pool_of(options);
    context_.scratch.resize(static_cast<std::size_t>(context_.pool->size()));
    context_.buffers = options.buffers ? options.buffers : std::make_shared<BufferPool>();
  }

  std::string name() const override { return "cpu"; }
  MemoryUse memory() const override {
    const auto bytes = static_cast<std::int64_t>(memory_.bytes() + context_.buffers->held_bytes());
    return {bytes, bytes};  // what an activation had is kept for the next
  }

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
    return tensor.as<CpuTensor>().read();
  }

  // ---- Weights ----

  std::unique_ptr<LinearWeights> prepare_linear(const HostTensor& weight, const HostTensor* bias,
                                                const HeadShape*,
                                                WeightPrecision precision) override {
    return linear_weights(weight, bias,
                          precision == WeightPrecision::kWide ? *table_.exact : *table_.layers);
  }
  std::unique_ptr<LinearWeights> prepare_modulation(const HostTensor& weight,
                                                    const HostTensor& bias) override {
    return linear_weights(weight, &bias, *table_.exact);
  }
  std::unique_ptr<NormWeights> prepare_layer_norm(const HostTensor& weight,
                                                  const HostTensor& bias) override {
    auto norm = std::make_unique<CpuNorm>();
    norm->weight = keep_floats(weight, memory_);
    norm->bias = keep_floats(bias, memory_);
    return norm;
  }
  std::unique_ptr<NormWeights> prepare_rms_norm(const HostTensor& weight) override {
    auto norm = std::make_unique<CpuNorm>();
    norm->weight = keep_floats(weight, memory_);
    return norm;
  }
  std::unique_ptr<PatchEmbeddingWeights> prepare_patch_embedding(
      const HostTensor& weight, const HostTensor& bias, const HostTensor& positions) override {
    auto embedding = std::make_unique<CpuPatchEmbedding>();
    embedding->matrix = pack(*table_.exact, weight, &bias);
    embedding->positions = keep_floats(positions, memory_);
    embedding->patch = weight.shape[2];
    return embedding;
  }
  std::unique_ptr<QkvWeights> prepare_qkv(const QkvSource& source) override {
    const auto pack_part = [&](const HostTensor& weight, const std::optional<HostTensor>& bias,
                               bool rotated) {
      const HostTensor* const biases = bias ? &*bias : nullptr;
      return rotated ? pack_rotated(weight, biases, source.heads.head_dim)
                     : pack(*table_.layers, weight, biases);
    };
    auto weights = std::make_unique<CpuQkv>();
    weights->heads = source.heads;
    if (source.q) weights->queries = pack_part(*source.q, source.q_bias, source.heads.rotary);
    weights->keys = pack_part(source.k, source.k_bias, source.heads.rotary);
    weights->values = pack_part(source.v, source.v_bias, false);
    return weights;
  }
  std::unique_ptr<GatedMlpWeights> prepare_gated_mlp(const HostTensor& gate, const HostTensor& up,
                                                     const HostTensor& down,
                                                     WeightPrecision) override {
    auto mlp = std::make_unique<CpuGatedMlp>();
    mlp->hidden = gate.shape[0];
    const MultiplyKernel& kernel = *table_.layers;
    const auto row = [&](std::int64_t column) -> WeightRow {
      const auto [second, index] = side_of(kernel, column);
      if (index >= mlp->hidden) return {};
      return {second ? &up : &gate, index};
    };
    mlp->gate_up = pack_weights(kernel, 2 * round_up(mlp->hidden, kernel.columns / 2),
                                gate.shape[1], row, nullptr, memory_, *context_.pool);
    mlp->down = pack(*table_.layers, down, nullptr);
    return mlp;
  }

  // ---- Operations ----

  Tensor patch_embedding(const Tensor& images, const PatchEmbeddingWeights& weights) override {
    const auto& embedding = static_cast<const CpuPatchEmbedding&>(weights);
    const std::int64_t cameras = images.dim(0), size = images.dim(1), patch = embedding.patch;
    const std::int64_t side = size / patch, patches = side * side;
    const std::int64_t width = embedding.matrix.columns;
    const Values pixels(context_.buffers, {cameras * patches, 3 * patch * patch}, true);
    Tensor result = make({cameras * patches, width});
    const Values& out = values_of(result);
    const float* const image = values_of(images).data();
    context_.pool->run(cameras * patches, [&](std::int64_t token, int) {
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
    multiply(context_, pixels.view(), {{&embedding.matrix, adding_to(out, nullptr)}});
    return result;
  }

  Tensor layer_norm(const Tensor& x, const NormWeights& weights, float eps) override {
    const auto& norm = static_cast<const CpuNorm&>(weights);
    return by_row(x, [&](const float* in, float* out, std::int64_t width) {
      context_.kernels->layer_norm(in, norm.weight, norm.bias, eps, out, width);
    });
  }
  Tensor rms_norm(const Tensor& x, const NormWeights& weights, float eps) override {
    const auto& norm = static_cast<const CpuNorm&>(weights);
    return by_row(x, [&](const float* in, float* out, std::int64_t width) {
      context_.kernels->rms_norm(in, norm.weight, nullptr, eps, out, width);
    });
  }
  Tensor rms_norm(const Tensor& x, const Modulation& modulation, float eps) override {
    const float* const scale = values_of(modulation.scale).data();
    const float* const shift = values_of(modulation.shift).data();
    return by_row(x, [&](const float* in, float* out, std::int64_t width) {
      context_.kernels->rms_norm(in, scale, shift, eps, out, width);
    });
  }

  Tensor linear(const Tensor& x, const LinearWeights& weights, Activation activation,
                const Tensor* row, Precision) override {
    const PackedWeights& matrix = static_cast<const CpuLinear&>(weights).matrix;
    Tensor result = make({x.dim(0), matrix.columns});
    FinishWork finish = writing_to(values_of(result));
    finish.function = function_of(activation);
    finish.row = row == nullptr ? nullptr : values_of(*row).data();
    multiply(context_, values_of(x).view(), {{&matrix, finish}});
    return result;
  }
  Tensor linear_residual(const Tensor& x, const LinearWeights& weights, Tensor residual,
                         const Tensor* gate) override {
    multiply(
        context_, values_of(x).view(),
        {{&static_cast<const CpuLinear&>(weights).matrix, adding_to(values_of(residual), gate)}});
    return residual;
  }
  Tensor gated_mlp(const Tensor& x, const GatedMlpWeights& weights, Tensor residual,
                   const Tensor* gate) override {
    const auto& mlp = static_cast<const CpuGatedMlp&>(weights);
    // In bf16 where the machine multiplies bf16: half as much to write and to read again.
    const Number type = table_.exact->activations;
    const std::int64_t rows = x.dim(0), stride = row_stride(mlp.hidden);
    const Buffer hidden(context_.buffers, static_cast<std::size_t>(rows * stride * size_of(type)));
    FinishWork finish;
    finish.finish = Finish::kGate;
    finish.out_type = type;
    finish.out = hidden.as<std::byte>();
    finish.stride = stride;
    finish.columns = mlp.hidden;
    multiply(context_, values_of(x).view(), {{&mlp.gate_up, finish}});
    multiply(context_, {hidden.as<std::byte>(), type, rows, mlp.hidden, stride},
             {{&mlp.down, adding_to(values_of(residual), gate)}});
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
    const auto& projections = static_cast<const CpuQkv&>(weights);
    assert(projections.queries);
    const HeadShape& heads = projections.heads;
    Qkv result{heads_for(x, split, heads.num_heads, heads.head_dim),
               keys_values_for(x, projections, split)};
    multiply(context_, values_of(x).view(),
             {{&*projections.queries, into_heads(result.queries, split, heads.rotary)},
              {&projections.keys, into_heads(result.own.keys, split, heads.rotary)},
              {&projections.values, into_heads(result.own.values, split, false)}});
    return result;
  }
  KeysValues keys_values(const Tensor& x, const QkvWeights& weights,
                         const HeadSplit& split) override {
    const auto& projections = static_cast<const CpuQkv&>(weights);
    KeysValues result = keys_values_for(x, projections, split);
    multiply(context_, values_of(x).view(),
             {{&projections.keys, into_heads(result.keys, split, projections.heads.rotary)},
              {&projections.values, into_heads(result.values, split, false)}});
    return result;
  }

  Tensor attention(Tensor queries, const KeysValues& own, const KeysValues* cache) override {
    std::vector<PackedHeads> runs;
    if (cache != nullptr) runs.push_back(pack(*cache));
    runs.push_back(pack(own));
    const HeadRows& from = heads_of(queries).rows;
    Tensor result = make({from.sequences * from.tokens, from.heads * from.dim});
    const Values& out = values_of(result);
    HeadRows to = from;
    to.data = out.data();
    to.type = Number::kF32;
    to.stride = out.stride;
    attend(context_, {.kernel = table_.attention,
                      .queries = from,
                      .kv_heads = own.keys.dim(1),
                      .runs = runs,
                      .out = to});
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
  Tensor choose_rows(const Tensor& a, const Tensor& rows_of_a, const Tensor& b,
                     const Tensor& rows_of_b) override {
    Tensor result = make(rows_of_a.shape());
    const Values& to = values_of(result);
    for (std::int64_t r = 0; r < to.rows; ++r) {
      const float* const of_a = values_of(a).data() + r * row_step(a);
      const float* const of_b = values_of(b).data() + r * row_step(b);
      const float *by_a = values_of(rows_of_a).row(r), *by_b = values_of(rows_of_b).row(r);
      for (std::int64_t i = 0; i < to.width; ++i) {
        to.row(r)[i] = of_a[i] * by_a[i] + of_b[i] * by_b[i];
      }
    }
    return result;
  }
  Tensor guided_velocity(const Tensor& x, const Tensor& v, const Tensor& target,
                         const Tensor& weights, float t, float gain) override {
    Tensor result = make(x.shape());
    const Values& to = values_of(result);
    for (std::int64_t r = 0; r < to.rows; ++r) {
      const float *from = values_of(x).row(r), *by = values_of(v).row(r);
      const float *aim = values_of(target).row(r), *weight = values_of(weights).row(r);
      for (std::int64_t i = 0; i < to.width; ++i) {
        to.row(r)[i] = by[i] - gain * (weight[i] * (aim[i] - (from[i] - t * by[i])));
      }
    }
    return result;
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
    return Tensor(shape, std::make_unique<Values>(context_.buffers, shape, apart));
  }

  PackedWeights pack(const MultiplyKernel& kernel, const HostTensor& weight,
                     const HostTensor* bias) {
    const auto row = [&](std::int64_t column) { return WeightRow{&weight, column}; };
    return pack_weights(kernel, weight.shape[0], weight.size() / weight.shape[0], row, bias,
                        memory_, *context_.pool);
  }
  // As finishing rotates them: panels whose first half of the columns is of a head's first half,
  // and the second of its second.
  PackedWeights pack_rotated(const HostTensor& weight, const HostTensor* bias, std::int64_t dim) {
    const MultiplyKernel& kernel = *table_.layers;
    const std::int64_t half = dim / 2, filled = round_up(half, kernel.columns / 2);
    const auto row = [&](std::int64_t column) -> WeightRow {
      const auto [second, pair] = side_of(kernel, column);
      const std::int64_t head = pair / filled, within = pair % filled;
      if (within >= half) return {};
      return {&weight, head * dim + (second ? half : 0) + within};
    };
    return pack_weights(kernel, weight.shape[0] / dim * 2 * filled, weight.shape[1], row, bias,
                        memory_, *context_.pool);
  }
  // Of panels whose halves come of two sides: whether a column is of the second, and its place in
  // that side.
  static std::pair<bool, std::int64_t> side_of(const MultiplyKernel& kernel, std::int64_t column) {
    const std::int64_t half = kernel.columns / 2, within = column % kernel.columns;
    return {within >= half, column / kernel.columns * half + within % half};
  }
  std::unique_ptr<LinearWeights> linear_weights(const HostTensor& weight, const HostTensor* bias,
                                                const MultiplyKernel& kernel) {
    auto linear = std::make_unique<CpuLinear>();
    linear->matrix = pack(kernel, weight, bias);
    return linear;
  }

  // From a row of [rows, width] to the next; none where [1, width] stands for all rows.
  static std::int64_t row_step(const Tensor& tensor) {
    return tensor.dim(0) == 1 ? 0 : values_of(tensor).stride;
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
    if (gate == nullptr) return finish;
    finish.gate = values_of(*gate).data();
    finish.gate_stride = row_step(*gate);
    return finish;
  }

  // work(in, out, width) for each row, into a tensor of the same shape.
  template <typename Work>
  Tensor by_row(const Tensor& x, const Work& work) {
    constexpr std::int64_t kRows = 8;  // at a time: one is less work than it takes to hand it out
    Tensor result = make(x.shape());
    const Values &in = values_of(x), &out = values_of(result);
    context_.pool->run(divide_up(in.rows, kRows), [&](std::int64_t item, int) {
      for (std::int64_t r = item * kRows; r < std::min((item + 1) * kRows, in.rows); ++r) {
        work(in.row(r), out.row(r), in.width);
      }
    });
    return result;
  }

  Tensor make_heads(const Shape& shape) const {
    return Tensor(shape, std::make_unique<HeadValues>(context_.buffers, shape,
                                                      table_.attention->activations));
  }
  Tensor heads_for(const Tensor& x, const HeadSplit& split, std::int64_t heads,
                   std::int64_t dim) const {
    return make_heads({split.sequences, heads, x.dim(0) / split.sequences, dim});
  }
  KeysValues keys_values_for(const Tensor& x, const CpuQkv& projections,
                             const HeadSplit& split) const {
    const HeadShape& heads = projections.heads;
    return {heads_for(x, split, heads.num_kv_heads, heads.head_dim),
            heads_for(x, split, heads.num_kv_heads, heads.head_dim)};
  }
  FinishWork into_heads(const Tensor& heads, const HeadSplit& split, bool rotated) {
    const HeadRows& rows = heads_of(heads).rows;
    FinishWork finish;
    finish.out_type = rows.type;
    finish.out = rows.data;
    finish.stride = rows.stride;
    finish.columns = rows.heads * rows.dim;
    if (!rotated) return finish;
    const std::int64_t half = rows.dim / 2;
    rotary_.reach(split.first_position() + rows.tokens, half);
    finish.finish = Finish::kRotate;
    finish.cosines = rotary_.cosines(split.first_position());
    finish.sines = rotary_.sines(split.first_position());
    finish.tokens = rows.tokens;
    finish.half = half;
    return finish;
  }

  PackedHeads pack(const KeysValues& heads) {
    HeadValues &keys = heads_of(heads.keys), &values = heads_of(heads.values);
    const HeadRows& rows = keys.rows;
    if (keys.packed) {
      return {rows.tokens, keys.packed.as<std::byte>(), values.packed.as<std::byte>()};
    }
    const PackedHeadsSize size(*table_.attention, rows.tokens, rows.dim);
    const std::int64_t count = rows.sequences * rows.heads;
    keys.packed = Buffer(context_.buffers, static_cast<std::size_t>(count * size.keys));
    values.packed = Buffer(context_.buffers, static_cast<std::size_t>(count * size.values));
    return pack_heads(context_, *table_.attention, rows, values.rows, keys.packed.as<std::byte>(),
                      values.packed.as<std::byte>());
  }

  Tensor join_tokens(const Tensor& a, const Tensor& b) const {
    Shape shape = a.shape();
    shape[2] += b.dim(2);
    Tensor result = make_heads(shape);
    const HeadRows& to = heads_of(result).rows;
    for (std::int64_t sequence = 0; sequence < to.sequences; ++sequence) {
      std::int64_t token = 0;
      for (const Tensor* part : {&a, &b}) {
        const HeadRows& from = heads_of(*part).rows;
        for (std::int64_t t = 0; t < from.tokens; ++t, ++token) {
          std::copy_n(from.at(sequence, 0, t), from.heads * from.dim * size_of(from.type),
                      to.at(sequence, 0, token));
        }
      }
    }
    return result;
  }

  KernelTable table_;
  CountedMemory memory_;
  ComputeContext context_;
  RotaryTable rotary_;
};

}  // namespace

std::vector<float> cpu::HeadValues::read() const {
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(rows.sequences * rows.heads * rows.tokens * rows.dim));
  for (std::int64_t s = 0; s < rows.sequences; ++s) {
    for (std::int64_t h = 0; h < rows.heads; ++h) {
      for (std::int64_t t = 0; t < rows.tokens; ++t) {
        const std::byte* const row = rows.at(s, h, t);
        for (std::int64_t i = 0; i < rows.dim; ++i) {
          values.push_back(rows.type == Number::kBf16
                               ? bf16_to_float(reinterpret_cast<const std::uint16_t*>(row)[i])
                               : reinterpret_cast<const float*>(row)[i]);
        }
      }
    }
  }
  return values;
}

std::shared_ptr<cpu::ThreadPool> pool_of(const CpuOptions& options) {
  return options.host ? options.host : ThreadPool::of_size(options.threads, options.scheduling);
}

std::unique_ptr<Device> make_cpu_device(const CpuOptions& options) {
  return cpu::make_cpu_device(options, kernel_table(options.type, options.isa));
}

std::unique_ptr<Device> cpu::make_cpu_device(const CpuOptions& options, const KernelTable& table) {
  return std::make_unique<CpuDevice>(options, table);
}

}  // namespace pi0
