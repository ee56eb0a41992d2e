// How far each operation of a shim is from the exact result: fp64 on the values that the device
// holds, rounded as they are. Beside an emulated card's, a real one's tells which of them rounds
// how.
#pragma once

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "device/ttnn/shim/shim.h"

namespace pi0::shim {

struct OperationError {
  std::string operation = {};
  double magnitude = 0;  // the largest of the exact result
  double largest = 0;    // difference, of an element
  double rms = 0;        // of the differences, as a share of the exact result's
};

class AccuracyTable {
 public:
  explicit AccuracyTable(Api& api) : api_(api) {}

  std::vector<OperationError> measure() {
    for (const MathFidelity fidelity :
         {MathFidelity::kLoFi, MathFidelity::kHiFi2, MathFidelity::kHiFi3}) {
      linear(fidelity, DataType::kBfloat8B, Unary::kNone);
      linear(fidelity, DataType::kBfloat16, Unary::kNone);
    }
    linear(MathFidelity::kHiFi2, DataType::kBfloat8B, Unary::kGelu);
    norms();
    sums_and_products();
    rotary();
    attention(false);
    attention(true);
    linear(MathFidelity::kLoFi, DataType::kBfloat4B, Unary::kNone);
    linear(MathFidelity::kHiFi2, DataType::kBfloat4B, Unary::kNone);
    return std::move(errors_);
  }

 private:
  using Values = std::vector<double>;

  struct Given {
    Tensor tensor;
    Values values;  // as the device holds them
  };

  std::vector<float> draw(const Shape4& shape, double scale) {
    std::normal_distribution<float> distribution(0, static_cast<float>(scale));
    std::vector<float> drawn(static_cast<std::size_t>(volume(shape)));
    for (float& value : drawn) value = distribution(random_);
    return drawn;
  }
  Given give(const Shape4& shape, double scale, DataType type = DataType::kBfloat16) {
    return give(shape, draw(shape, scale), type);
  }
  Given give(const Shape4& shape, const std::vector<float>& drawn, DataType type) {
    Given given{api_.to_device(drawn, shape, type, Layout::kTile, Placement::kDram), {}};
    const std::vector<float> held = api_.to_host(given.tensor);
    given.values.assign(held.begin(), held.end());
    return given;
  }

  void compare(const std::string& operation, const Tensor& found, const Values& exact) {
    const std::vector<float> values = api_.to_host(found);
    OperationError error{.operation = operation};
    double squares = 0, exact_squares = 0;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      const double difference = i < values.size() ? values[i] - exact[i] : INFINITY;
      error.magnitude = std::max(error.magnitude, std::abs(exact[i]));
      error.largest = std::max(error.largest, std::abs(difference));
      squares += difference * difference;
      exact_squares += exact[i] * exact[i];
    }
    error.rms = std::sqrt(squares / exact_squares);
    errors_.push_back(error);
  }

  static double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }
  static double silu(double x) { return x / (1 + std::exp(-x)); }

  ComputeKernelConfig finest() const {
    const bool wormhole = api_.card().arch == "wormhole_b0";
    return {.math_fidelity = wormhole ? MathFidelity::kHiFi3 : MathFidelity::kHiFi4};
  }

  void linear(MathFidelity fidelity, DataType weights, Unary activation) {
    constexpr std::int64_t kRows = 40, kIn = 256, kOut = 100;
    const Given a = give({1, 1, kRows, kIn}, 1);
    std::vector<float> drawn = draw({1, 1, kIn, kOut}, 1 / 16.0);
    if (fidelity == MathFidelity::kLoFi) {  // as the device gives them: 5 bits of mantissa
      for (float& value : drawn) {
        int exponent = 0;
        const float mantissa = std::frexp(value, &exponent);
        value = std::ldexp(std::round(mantissa * 32) / 32, exponent);
      }
    }
    const Given w = give({1, 1, kIn, kOut}, drawn, weights);
    const Given bias = give({1, 1, 1, kOut}, 1);
    Values exact;
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t c = 0; c < kOut; ++c) {
        double sum = bias.values[c];
        for (std::int64_t k = 0; k < kIn; ++k) {
          sum += a.values[r * kIn + k] * w.values[k * kOut + c];
        }
        exact.push_back(activation == Unary::kGelu ? gelu(sum) : sum);
      }
    }
    LinearOptions options;
    options.activation = activation;
    options.dtype = DataType::kFloat32;
    options.compute = {.math_fidelity = fidelity};
    options.program_config = {.one_dimension = true,
                              .grid = {2, 2},
                              .out_block_h = 2,
                              .out_block_w = 1,
                              .per_core_M = 2,
                              .per_core_N = 1};
    compare(std::string("linear, ") + name_of(weights) + ", " + name_of(fidelity) +
                (activation == Unary::kGelu ? ", gelu" : ""),
            api_.linear(a.tensor, w.tensor, &bias.tensor, options), exact);
  }

  void norms() {
    constexpr std::int64_t kRows = 40, kWidth = 200;
    const Given x = give({1, 1, kRows, kWidth}, 3), gain = give({1, 1, 1, kWidth}, 1);
    const Given shift = give({1, 1, 1, kWidth}, 1);
    const NormOptions options{.epsilon = 1e-6f, .compute = finest()};
    const auto exact = [&](bool centred, bool shifted) {
      Values values;
      for (std::int64_t r = 0; r < kRows; ++r) {
        const double* const row = x.values.data() + r * kWidth;
        double mean = 0, squares = 0;
        for (std::int64_t i = 0; centred && i < kWidth; ++i) mean += row[i] / kWidth;
        for (std::int64_t i = 0; i < kWidth; ++i) squares += (row[i] - mean) * (row[i] - mean);
        const double factor = 1 / std::sqrt(squares / kWidth + options.epsilon);
        for (std::int64_t i = 0; i < kWidth; ++i) {
          values.push_back((row[i] - mean) * factor * gain.values[i] +
                           (shifted ? shift.values[i] : 0));
        }
      }
      return values;
    };
    compare("layer_norm", api_.layer_norm(x.tensor, gain.tensor, shift.tensor, options),
            exact(true, true));
    compare("rms_norm", api_.rms_norm(x.tensor, gain.tensor, nullptr, options),
            exact(false, false));
  }

  void sums_and_products() {
    const Shape4 shape{1, 1, 40, 100};
    const Given a = give(shape, 1), b = give(shape, 1);
    const Given wide = give(shape, 1, DataType::kFloat32);
    const auto each = [](const Given& x, const Given& y, auto&& of) {
      Values values;
      for (std::size_t i = 0; i < x.values.size(); ++i) {
        values.push_back(of(x.values[i], y.values[i]));
      }
      return values;
    };
    const auto sum = [](double x, double y) { return x + y; };
    compare("add", api_.add(a.tensor, b.tensor, {}), each(a, b, sum));
    compare("add, float32", api_.add(wide.tensor, a.tensor, {.dtype = DataType::kFloat32}),
            each(wide, a, sum));
    compare("multiply", api_.multiply(a.tensor, b.tensor, {}),
            each(a, b, [](double x, double y) { return x * y; }));
    compare("multiply, silu", api_.multiply(a.tensor, b.tensor, {.lhs_activation = Unary::kSilu}),
            each(a, b, [](double x, double y) { return silu(x) * y; }));
  }

  void rotary() {
    constexpr std::int64_t kHeads = 2, kTokens = 40, kDim = 64;
    const Given x = give({1, kHeads, kTokens, kDim}, 1);
    const Given cos = give({1, 1, kTokens, kDim}, 0.7), sin = give({1, 1, kTokens, kDim}, 0.7);
    Values exact;
    for (std::int64_t row = 0; row < kHeads * kTokens; ++row) {
      for (std::int64_t i = 0; i < kDim; ++i) {
        const std::int64_t other = (i + kDim / 2) % kDim, t = row % kTokens * kDim + i;
        const double turned = x.values[row * kDim + other] * (i < kDim / 2 ? -1 : 1);
        exact.push_back(x.values[row * kDim + i] * cos.values[t] + turned * sin.values[t]);
      }
    }
    const Tensor turned =
        api_.rotary_embedding(x.tensor, cos.tensor, sin.tensor, Placement::kDram, finest());
    compare("rotary_embedding",
            api_.view(turned, {1, kHeads, kTokens, kDim}, {1, kHeads, 64, kDim}), exact);
  }

  // As the network calls it: the scale is in the queries, a mask is 0 or -1e4.
  void attention(bool masked) {
    constexpr std::int64_t kHeads = 2, kTokens = 40, kDim = 64;
    const std::int64_t keys = masked ? 96 : 72;  // where there is a mask its own padding counts
    const Given q = give({1, kHeads, kTokens, kDim}, 0.2), k = give({1, 1, keys, kDim}, 1.5);
    const Given v = give({1, 1, keys, kDim}, 1);
    std::vector<float> masks = draw({1, 1, kTokens, keys}, 1);
    for (float& value : masks) value = value > 0.5f ? -1e4f : 0.0f;
    const Given mask = give({1, 1, kTokens, keys}, masks, DataType::kBfloat16);
    Values exact;
    for (std::int64_t row = 0; row < kHeads * kTokens; ++row) {
      Values weights(keys);
      double total = 0;
      for (std::int64_t key = 0; key < keys; ++key) {
        double score = 0;
        for (std::int64_t i = 0; i < kDim; ++i) {
          score += q.values[row * kDim + i] * k.values[key * kDim + i];
        }
        score += (masked ? mask.values[row % kTokens * keys + key] : 0);
        total += weights[key] = std::exp(score);
      }
      for (std::int64_t i = 0; i < kDim; ++i) {
        double sum = 0;
        for (std::int64_t key = 0; key < keys; ++key) {
          sum += weights[key] / total * v.values[key * kDim + i];
        }
        exact.push_back(sum);
      }
    }
    SdpaOptions options;
    options.scale = 1;
    options.grid = {4, 4};
    options.k_chunk_size = 64;
    options.compute = finest();
    compare(masked ? "attention with a mask" : "attention",
            api_.scaled_dot_product_attention(q.tensor, k.tensor, v.tensor,
                                              masked ? &mask.tensor : nullptr, options),
            exact);
  }

  Api& api_;
  std::mt19937 random_{17};
  std::vector<OperationError> errors_;
};

}  // namespace pi0::shim
