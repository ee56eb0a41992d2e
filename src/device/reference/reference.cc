#include "device/reference/reference.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace pi0 {
namespace {

struct Values final : Tensor::Storage {
  explicit Values(std::size_t count) : data(count) {}
  std::vector<float> data;
};

Tensor make_tensor(Shape shape) {
  const auto count = static_cast<std::size_t>(element_count(shape));
  return Tensor(std::move(shape), std::make_unique<Values>(count));
}

float* data(const Tensor& tensor) { return tensor.as<Values>().data.data(); }

struct Linear final : LinearWeights {
  HostTensor weight;        // [out, in]
  std::vector<float> bias;  // [out], or empty
};
struct Norm final : NormWeights {
  std::vector<float> weight;
  std::vector<float> bias;  // empty for RMSNorm
};
struct PatchEmbedding final : PatchEmbeddingWeights {
  HostTensor weight;             // [width, 3, patch, patch]
  std::vector<float> bias;       // [width]
  std::vector<float> positions;  // [patches, width]
};
struct QkvProjections final : QkvWeights {
  HeadShape heads;
  std::unique_ptr<Linear> q, k, v;  // q may be null
};
struct GatedMlp final : GatedMlpWeights {
  std::unique_ptr<Linear> gate, up, down;
};

// Sixteen partial sums: a fixed order, which compilers can turn into vectors, and a smaller
// rounding error than one running sum.
float dot(const float* a, const float* b, std::int64_t count) {
  constexpr std::int64_t kLanes = 16;
  std::array<float, kLanes> sums{};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  float sum = 0;
  for (const float partial : sums) sum += partial;
  for (; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

// tanh approximation: 0.5 x (1 + tanh(sqrt(2/π) (x + 0.044715 x³))).
float gelu(float x) {
  return 0.5f * x * (1.0f + std::tanh(0.7978845608028654f * (x + 0.044715f * x * x * x)));
}

float activate(float x, Activation activation) {
  switch (activation) {
    case Activation::kGelu:
      return gelu(x);
    case Activation::kSilu:
      return x / (1.0f + std::exp(-x));
    case Activation::kNone:
      break;
  }
  return x;
}

std::unique_ptr<Linear> make_linear(const HostTensor& weight, const HostTensor* bias) {
  auto linear = std::make_unique<Linear>();
  linear->weight = weight;
  if (bias != nullptr) linear->bias = bias->to_floats();
  return linear;
}

// y[r][o] = bias[o] + x[r] · weight[o], for x [rows, in].
std::vector<float> multiply(const float* x, std::int64_t rows, const Linear& linear) {
  const std::int64_t out = linear.weight.shape[0];
  const std::int64_t in = linear.weight.size() / out;
  constexpr std::int64_t kBlock = 16;  // weight rows widened at a time, so that x is read less
  std::vector<float> block(static_cast<std::size_t>(kBlock * in));
  std::vector<float> y(static_cast<std::size_t>(rows * out));
  for (std::int64_t begin = 0; begin < out; begin += kBlock) {
    const std::int64_t count = std::min(kBlock, out - begin);
    linear.weight.copy_to(begin * in, std::span(block).first(static_cast<std::size_t>(count * in)));
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t o = 0; o < count; ++o) {
        const float bias = linear.bias.empty() ? 0.0f : linear.bias[begin + o];
        y[r * out + begin + o] = bias + dot(x + r * in, block.data() + o * in, in);
      }
    }
  }
  return y;
}

// projected [sequences * tokens, heads * head_dim] -> [sequences, heads, tokens, head_dim].
Tensor split_heads(const std::vector<float>& projected, int sequences, int heads, int head_dim) {
  const std::int64_t rows = static_cast<std::int64_t>(projected.size()) / (heads * head_dim);
  const std::int64_t tokens = rows / sequences;
  Tensor split = make_tensor({sequences, heads, tokens, head_dim});
  float* out = data(split);
  for (int s = 0; s < sequences; ++s) {
    for (int h = 0; h < heads; ++h) {
      for (std::int64_t t = 0; t < tokens; ++t) {
        const float* row = projected.data() + ((s * tokens + t) * heads + h) * head_dim;
        out = std::copy(row, row + head_dim, out);
      }
    }
  }
  return split;
}

// Rotates heads [sequences, heads, tokens, head_dim] in place. The angle is position times inverse
// frequency in fp32, as PyTorch computes it.
void rotate(Tensor& heads, int first_position) {
  const std::int64_t tokens = heads.dim(2);
  const std::int64_t half = heads.dim(3) / 2;
  for (std::int64_t row = 0; row < heads.dim(0) * heads.dim(1) * tokens; ++row) {
    const auto position = static_cast<float>(first_position + row % tokens);
    float* x1 = data(heads) + row * 2 * half;
    float* x2 = x1 + half;
    for (std::int64_t i = 0; i < half; ++i) {
      const float exponent = static_cast<float>(2 * i) / static_cast<float>(2 * half);
      const float inverse_frequency = 1.0f / std::pow(10000.0f, exponent);
      const float angle = position * inverse_frequency;
      const float cosine = std::cos(angle);
      const float sine = std::sin(angle);
      const float first = x1[i] * cosine - x2[i] * sine;
      x2[i] = x2[i] * cosine + x1[i] * sine;
      x1[i] = first;
    }
  }
}

Tensor project_heads(const Tensor& x, const Linear& weights, int heads, int head_dim,
                     const HeadSplit& split, bool rotated) {
  Tensor result =
      split_heads(multiply(data(x), x.dim(0), weights), split.sequences, heads, head_dim);
  if (rotated) rotate(result, split.first_position());
  return result;
}

// [sequences, heads, a tokens + b tokens, head_dim].
Tensor join_tokens(const Tensor& a, const Tensor& b) {
  Shape shape = a.shape();
  shape[2] += b.dim(2);
  Tensor result = make_tensor(shape);
  float* out = data(result);
  const std::int64_t a_size = a.dim(2) * a.dim(3);
  const std::int64_t b_size = b.dim(2) * b.dim(3);
  for (std::int64_t i = 0; i < shape[0] * shape[1]; ++i) {
    out = std::copy_n(data(a) + i * a_size, a_size, out);
    out = std::copy_n(data(b) + i * b_size, b_size, out);
  }
  return result;
}

// One query over one or two runs of keys: out = softmax(q kᵀ scale) v.
struct KeyRun {
  const float* keys;
  const float* values;
  std::int64_t tokens;
};

void attend(const float* query, std::span<const KeyRun> runs, std::int64_t head_dim, float* out) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
  std::vector<float> weights;
  for (const KeyRun& run : runs) {
    for (std::int64_t t = 0; t < run.tokens; ++t) {
      weights.push_back(dot(query, run.keys + t * head_dim, head_dim) * scale);
    }
  }
  const float largest = *std::max_element(weights.begin(), weights.end());
  float sum = 0;
  for (float& weight : weights) {
    weight = std::exp(weight - largest);
    sum += weight;
  }
  std::fill_n(out, head_dim, 0.0f);
  const float* weight = weights.data();
  for (const KeyRun& run : runs) {
    for (std::int64_t t = 0; t < run.tokens; ++t, ++weight) {
      for (std::int64_t d = 0; d < head_dim; ++d) {
        out[d] += *weight / sum * run.values[t * head_dim + d];
      }
    }
  }
}

class Reference final : public Device {
 public:
  std::string name() const override { return "reference"; }

  Tensor upload(const Shape& shape, std::span<const float> values, Precision) override {
    Tensor tensor = make_tensor(shape);
    write(tensor, values);
    return tensor;
  }

  void write(Tensor& tensor, std::span<const float> values) override {
    assert(static_cast<std::int64_t>(values.size()) == element_count(tensor.shape()));
    std::copy(values.begin(), values.end(), data(tensor));
  }

  std::vector<float> download(const Tensor& tensor) override { return tensor.as<Values>().data; }

  std::unique_ptr<LinearWeights> prepare_linear(const HostTensor& weight, const HostTensor* bias,
                                                const HeadShape*, WeightPrecision) override {
    return make_linear(weight, bias);
  }

  std::unique_ptr<NormWeights> prepare_layer_norm(const HostTensor& weight,
                                                  const HostTensor& bias) override {
    auto norm = std::make_unique<Norm>();
    norm->weight = weight.to_floats();
    norm->bias = bias.to_floats();
    return norm;
  }

  std::unique_ptr<NormWeights> prepare_rms_norm(const HostTensor& weight) override {
    auto norm = std::make_unique<Norm>();
    norm->weight = weight.to_floats();
    return norm;
  }

  std::unique_ptr<PatchEmbeddingWeights> prepare_patch_embedding(
      const HostTensor& weight, const HostTensor& bias, const HostTensor& positions) override {
    auto embedding = std::make_unique<PatchEmbedding>();
    embedding->weight = weight;
    embedding->bias = bias.to_floats();
    embedding->positions = positions.to_floats();
    return embedding;
  }

  std::unique_ptr<QkvWeights> prepare_qkv(const QkvSource& source) override {
    const auto bias = [](const std::optional<HostTensor>& tensor) {
      return tensor ? &*tensor : nullptr;
    };
    auto weights = std::make_unique<QkvProjections>();
    weights->heads = source.heads;
    if (source.q) weights->q = make_linear(*source.q, bias(source.q_bias));
    weights->k = make_linear(source.k, bias(source.k_bias));
    weights->v = make_linear(source.v, bias(source.v_bias));
    return weights;
  }

  std::unique_ptr<GatedMlpWeights> prepare_gated_mlp(const HostTensor& gate, const HostTensor& up,
                                                     const HostTensor& down,
                                                     WeightPrecision) override {
    auto mlp = std::make_unique<GatedMlp>();
    mlp->gate = make_linear(gate, nullptr);
    mlp->up = make_linear(up, nullptr);
    mlp->down = make_linear(down, nullptr);
    return mlp;
  }

  Tensor patch_embedding(const Tensor& images, const PatchEmbeddingWeights& weights) override {
    const auto& embedding = static_cast<const PatchEmbedding&>(weights);
    const std::int64_t cameras = images.dim(0);
    const std::int64_t size = images.dim(1);
    const std::int64_t width = embedding.weight.shape[0];
    const std::int64_t patch = embedding.weight.shape[2];
    const std::int64_t side = size / patch;
    const std::vector<float> kernel = embedding.weight.to_floats();
    Tensor result = make_tensor({cameras * side * side, width});
    float* out = data(result);
    for (std::int64_t token = 0; token < cameras * side * side; ++token) {
      const std::int64_t camera = token / (side * side);
      const std::int64_t position = token % (side * side);
      const std::int64_t top = position / side * patch;
      const std::int64_t left = position % side * patch;
      for (std::int64_t o = 0; o < width; ++o) {
        float sum = embedding.bias[o];
        for (std::int64_t channel = 0; channel < 3; ++channel) {
          for (std::int64_t y = 0; y < patch; ++y) {
            for (std::int64_t x = 0; x < patch; ++x) {
              sum += data(images)[((camera * size + top + y) * size + left + x) * 3 + channel] *
                     kernel[((o * 3 + channel) * patch + y) * patch + x];
            }
          }
        }
        *out++ = sum + embedding.positions[position * width + o];
      }
    }
    return result;
  }

  Tensor layer_norm(const Tensor& x, const NormWeights& weights, float eps) override {
    const auto& norm = static_cast<const Norm&>(weights);
    const std::int64_t width = x.dim(1);
    Tensor result = make_tensor(x.shape());
    for (std::int64_t r = 0; r < x.dim(0); ++r) {
      const float* in = data(x) + r * width;
      float* out = data(result) + r * width;
      float sum = 0;
      for (std::int64_t i = 0; i < width; ++i) sum += in[i];
      const float mean = sum / static_cast<float>(width);
      float squares = 0;
      for (std::int64_t i = 0; i < width; ++i) squares += (in[i] - mean) * (in[i] - mean);
      const float inverse = 1.0f / std::sqrt(squares / static_cast<float>(width) + eps);
      for (std::int64_t i = 0; i < width; ++i) {
        out[i] = (in[i] - mean) * inverse * norm.weight[i] + norm.bias[i];
      }
    }
    return result;
  }

  Tensor rms_norm(const Tensor& x, const NormWeights& weights, float eps) override {
    const auto& norm = static_cast<const Norm&>(weights);
    return scaled_rms(x, norm.weight.data(), nullptr, eps);
  }

  Tensor rms_norm(const Tensor& x, const Modulation& modulation, float eps) override {
    return scaled_rms(x, data(modulation.scale), data(modulation.shift), eps);
  }

  Tensor linear(const Tensor& x, const LinearWeights& weights, Activation activation,
                const Tensor* row, Precision) override {
    const auto& linear = static_cast<const Linear&>(weights);
    const std::int64_t out = linear.weight.shape[0];
    std::vector<float> y = multiply(data(x), x.dim(0), linear);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const float added = row == nullptr ? 0.0f : data(*row)[static_cast<std::int64_t>(i) % out];
      y[i] = activate(y[i] + added, activation);
    }
    return upload({x.dim(0), out}, y, Precision::kActivation);
  }

  Tensor linear_residual(const Tensor& x, const LinearWeights& weights, Tensor residual,
                         const Tensor* gate) override {
    const auto& linear = static_cast<const Linear&>(weights);
    return add_gated(multiply(data(x), x.dim(0), linear), std::move(residual), gate);
  }

  Tensor gated_mlp(const Tensor& x, const GatedMlpWeights& weights, Tensor residual,
                   const Tensor* gate) override {
    const auto& mlp = static_cast<const GatedMlp&>(weights);
    std::vector<float> hidden = multiply(data(x), x.dim(0), *mlp.gate);
    const std::vector<float> up = multiply(data(x), x.dim(0), *mlp.up);
    for (std::size_t i = 0; i < hidden.size(); ++i) hidden[i] = gelu(hidden[i]) * up[i];
    return add_gated(multiply(hidden.data(), x.dim(0), *mlp.down), std::move(residual), gate);
  }

  Modulation modulation(const Tensor& condition, const LinearWeights& dense) override {
    const std::vector<float> thirds =
        multiply(data(condition), 1, static_cast<const Linear&>(dense));
    const std::size_t width = thirds.size() / 3;
    const auto part = [&](std::size_t index) {
      return upload({1, static_cast<std::int64_t>(width)},
                    std::span(thirds).subspan(index * width, width), Precision::kActivation);
    };
    return {part(0), part(1), part(2)};
  }

  Qkv qkv(const Tensor& x, const QkvWeights& weights, const HeadSplit& split) override {
    const auto& projections = static_cast<const QkvProjections&>(weights);
    assert(projections.q != nullptr);
    const HeadShape& heads = projections.heads;
    return {project_heads(x, *projections.q, heads.num_heads, heads.head_dim, split, heads.rotary),
            keys_values(x, weights, split)};
  }

  KeysValues keys_values(const Tensor& x, const QkvWeights& weights,
                         const HeadSplit& split) override {
    const auto& projections = static_cast<const QkvProjections&>(weights);
    const HeadShape& heads = projections.heads;
    return {
        project_heads(x, *projections.k, heads.num_kv_heads, heads.head_dim, split, heads.rotary),
        project_heads(x, *projections.v, heads.num_kv_heads, heads.head_dim, split, false)};
  }

  Tensor attention(Tensor queries, const KeysValues& own, const KeysValues* cache) override {
    const std::int64_t sequences = queries.dim(0);
    const std::int64_t heads = queries.dim(1);
    const std::int64_t tokens = queries.dim(2);
    const std::int64_t head_dim = queries.dim(3);
    const std::int64_t kv_heads = own.keys.dim(1);
    const auto run = [&](const KeysValues& kv, std::int64_t sequence, std::int64_t head) {
      const std::int64_t offset = (sequence * kv_heads + head) * kv.keys.dim(2) * head_dim;
      return KeyRun{data(kv.keys) + offset, data(kv.values) + offset, kv.keys.dim(2)};
    };
    Tensor result = make_tensor({sequences * tokens, heads * head_dim});
    for (std::int64_t s = 0; s < sequences; ++s) {
      for (std::int64_t h = 0; h < heads; ++h) {
        const std::int64_t kv_head = h * kv_heads / heads;
        std::vector<KeyRun> runs;
        if (cache != nullptr) runs.push_back(run(*cache, s, kv_head));
        runs.push_back(run(own, s, kv_head));
        for (std::int64_t t = 0; t < tokens; ++t) {
          attend(data(queries) + ((s * heads + h) * tokens + t) * head_dim, runs, head_dim,
                 data(result) + ((s * tokens + t) * heads + h) * head_dim);
        }
      }
    }
    return result;
  }

  Tensor concatenate_rows(std::span<const Tensor* const> parts) override {
    Shape shape{0, parts[0]->dim(1)};
    std::vector<float> rows;
    for (const Tensor* part : parts) {
      shape[0] += part->dim(0);
      rows.insert(rows.end(), data(*part), data(*part) + element_count(part->shape()));
    }
    return upload(shape, rows, Precision::kActivation);
  }

  KeysValues concatenate_tokens(KeysValues a, KeysValues b) override {
    return {join_tokens(a.keys, b.keys), join_tokens(a.values, b.values)};
  }

  Tensor choose_rows(const Tensor& a, const Tensor& rows_of_a, const Tensor& b,
                     const Tensor& rows_of_b) override {
    const std::int64_t width = rows_of_a.dim(1);
    Tensor result = make_tensor(rows_of_a.shape());
    const auto element = [&](const Tensor& of, std::int64_t i) {
      return data(of)[of.dim(0) == 1 ? i % width : i];
    };
    for (std::int64_t i = 0; i < element_count(result.shape()); ++i) {
      data(result)[i] = element(a, i) * data(rows_of_a)[i] + element(b, i) * data(rows_of_b)[i];
    }
    return result;
  }

  Tensor guided_velocity(const Tensor& x, const Tensor& v, const Tensor& target,
                         const Tensor& weights, float t, float gain) override {
    Tensor result = make_tensor(x.shape());
    for (std::int64_t i = 0; i < element_count(x.shape()); ++i) {
      const float error = data(target)[i] - (data(x)[i] - t * data(v)[i]);
      data(result)[i] = data(v)[i] - gain * (data(weights)[i] * error);
    }
    return result;
  }

  Tensor euler_step(const Tensor& x, const Tensor& v, float dt) override {
    Tensor result = make_tensor(x.shape());
    for (std::int64_t i = 0; i < element_count(x.shape()); ++i) {
      data(result)[i] = data(x)[i] + dt * data(v)[i];
    }
    return result;
  }

 private:
  // x / sqrt(mean(x²) + eps) * (1 + scale) + shift, row by row; shift may be null.
  static Tensor scaled_rms(const Tensor& x, const float* scale, const float* shift, float eps) {
    const std::int64_t width = x.dim(1);
    Tensor result = make_tensor(x.shape());
    for (std::int64_t r = 0; r < x.dim(0); ++r) {
      const float* in = data(x) + r * width;
      float* out = data(result) + r * width;
      const float mean_square = dot(in, in, width) / static_cast<float>(width);
      const float inverse = 1.0f / std::sqrt(mean_square + eps);
      for (std::int64_t i = 0; i < width; ++i) {
        out[i] = in[i] * inverse * (1.0f + scale[i]) + (shift == nullptr ? 0.0f : shift[i]);
      }
    }
    return result;
  }

  static Tensor add_gated(const std::vector<float>& y, Tensor residual, const Tensor* gate) {
    const std::int64_t gates = gate == nullptr ? 0 : element_count(gate->shape());
    for (std::size_t i = 0; i < y.size(); ++i) {
      const float factor =
          gate == nullptr ? 1.0f : data(*gate)[static_cast<std::int64_t>(i) % gates];
      data(residual)[i] += factor * y[i];
    }
    return residual;
  }
};

}  // namespace

std::unique_ptr<Device> make_reference_device() { return std::make_unique<Reference>(); }

}  // namespace pi0
