// Every operation of the TTNN device, on the emulated card, against the reference device: random
// values, odd shapes.
#include "device/ttnn/ttnn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "device/reference/reference.h"
#include "device/ttnn/emulated_shim.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

// bf16 activations have 8 bits, bfp8 weights 7: what they change is below 1 % of a result's size.
// A wrong operation correlates far less.
constexpr double kPcc = 0.999;

double correlation(const std::vector<float>& a, const std::vector<float>& b) {
  const auto n = static_cast<double>(a.size());
  double sum_a = 0, sum_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum_a += a[i];
    sum_b += b[i];
  }
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = a[i] - sum_a / n, y = b[i] - sum_b / n;
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / std::sqrt(aa * bb);
}

void expect_close(const std::vector<float>& actual, const std::vector<float>& expected,
                  const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double largest = 0, magnitude = 1e-3;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_TRUE(std::isfinite(actual[i])) << what << " element " << i;
    largest = std::max(largest, std::abs(double{actual[i]} - expected[i]));
    magnitude = std::max(magnitude, std::abs(double{expected[i]}));
  }
  EXPECT_LE(largest, 0.05 * magnitude) << what;
  if (actual.size() > 16) {
    EXPECT_GE(correlation(actual, expected), kPcc) << what;
  }
}

// A random tensor in host memory.
class Random {
 public:
  std::vector<float> values(std::int64_t count, float size = 1) {
    std::normal_distribution<float> normal(0, size);
    std::vector<float> result(static_cast<std::size_t>(count));
    for (float& value : result) value = normal(generator_);
    return result;
  }
  HostTensor tensor(const Shape& shape, float size) {
    auto data = std::make_shared<std::vector<float>>(values(element_count(shape), size));
    return {"random", DType::kF32, shape, reinterpret_cast<const std::byte*>(data->data()), data};
  }
  // A weight [out, in] that keeps the size of what it multiplies.
  HostTensor weight(std::int64_t out, std::int64_t in) {
    return tensor({out, in}, 1.0f / std::sqrt(static_cast<float>(in)));
  }

 private:
  std::mt19937 generator_{7};
};

class TtnnTest : public testing::TestWithParam<std::string> {
 protected:
  TtnnTest()
      : card(*find_card(GetParam())),
        ttnn(make_ttnn_device(make_emulated_shim(card), default_policies(card), "ttnn-emulated")),
        reference(make_reference_device()) {}

  struct Both {
    Tensor ttnn, reference;
  };
  Both upload(const Shape& shape, float size = 1) {
    const std::vector<float> values = random.values(element_count(shape), size);
    return {ttnn->upload(shape, values), reference->upload(shape, values)};
  }
  Both zeros(const Shape& shape) { return upload(shape, 0); }
  void expect_same(const Tensor& actual, const Tensor& expected, const std::string& what) {
    EXPECT_EQ(actual.shape(), expected.shape()) << what;
    expect_close(ttnn->download(actual), reference->download(expected), what);
  }

  Random random;
  const Card& card;
  std::unique_ptr<Device> ttnn, reference;
};

std::string name(std::initializer_list<std::int64_t> numbers) {
  std::string text;
  for (const std::int64_t number : numbers) text.append(" ").append(std::to_string(number));
  return text;
}

TEST_P(TtnnTest, KeepsWhatGoesUp) {
  const std::vector<float> values{1, -2, 0.5f, 3, 4, -5};
  Tensor x = ttnn->upload({2, 3}, values);
  EXPECT_EQ(ttnn->download(x), values);
  const std::vector<float> others{9, 8, 7, 6, 5, 4};
  ttnn->write(x, others);
  EXPECT_EQ(ttnn->download(x), others);
  // 1 + 2^-12 needs more bits than an activation has.
  const std::vector<float> fine{1.000244140625f};
  EXPECT_EQ(ttnn->download(ttnn->upload({1, 1}, fine, Precision::kFp32)), fine);
  EXPECT_EQ(ttnn->download(ttnn->upload({1, 1}, fine)), std::vector<float>{1});
}

TEST_P(TtnnTest, PatchEmbedding) {
  struct Case {
    std::int64_t cameras, size, patch, width;
  };
  for (const auto& [cameras, size, patch, width] :
       {Case{1, 14, 14, 1}, Case{2, 56, 14, 64}, Case{3, 45, 14, 48}, Case{1, 33, 7, 72}}) {
    const std::int64_t side = size / patch;
    const HostTensor weight = random.tensor({width, 3, patch, patch}, 0.05f);
    const HostTensor bias = random.tensor({width}, 0.1f);
    const HostTensor positions = random.tensor({side * side, width}, 0.5f);
    const Shape shape{cameras, size, size, 3};
    const std::vector<float> images = random.values(element_count(shape));
    const auto a = ttnn->prepare_patch_embedding(weight, bias, positions);
    const auto b = reference->prepare_patch_embedding(weight, bias, positions);
    const int pixels = static_cast<int>(patch);
    expect_same(ttnn->patch_embedding(ttnn->upload_images(shape, images, pixels), *a),
                reference->patch_embedding(reference->upload(shape, images), *b),
                "patch embedding" + name({cameras, size, patch, width}));
  }
}

TEST_P(TtnnTest, ImagesAreWrittenAsTheyAreUploaded) {
  const HostTensor weight = random.tensor({40, 3, 7, 7}, 0.05f);
  const HostTensor bias = random.tensor({40}, 0.1f);
  const HostTensor positions = random.tensor({4, 40}, 0.5f);
  const auto weights = ttnn->prepare_patch_embedding(weight, bias, positions);
  const Shape shape{2, 16, 16, 3};
  const std::vector<float> first = random.values(element_count(shape));
  const std::vector<float> second = random.values(element_count(shape));
  Tensor images = ttnn->upload_images(shape, first, 7);
  const std::vector<float> before = ttnn->download(ttnn->patch_embedding(images, *weights));
  ttnn->write(images, second);
  const std::vector<float> after = ttnn->download(ttnn->patch_embedding(images, *weights));
  EXPECT_NE(before, after);
  EXPECT_EQ(after,
            ttnn->download(ttnn->patch_embedding(ttnn->upload_images(shape, second, 7), *weights)));
}

TEST_P(TtnnTest, Norms) {
  for (const std::int64_t width : {1, 31, 32, 72, 257}) {
    for (const std::int64_t rows : {1, 7, 65}) {
      const HostTensor weight = random.tensor({width}, 0.5f);
      const HostTensor bias = random.tensor({width}, 0.5f);
      const Both x = upload({rows, width}, 3);
      const std::string what = name({rows, width});
      if (width > 1) {  // of one value nothing but the bias is left, and rounding
        expect_same(
            ttnn->layer_norm(x.ttnn, *ttnn->prepare_layer_norm(weight, bias), 1e-6f),
            reference->layer_norm(x.reference, *reference->prepare_layer_norm(weight, bias), 1e-6f),
            "layer_norm" + what);
      }
      expect_same(ttnn->rms_norm(x.ttnn, *ttnn->prepare_rms_norm(weight), 1e-6f),
                  reference->rms_norm(x.reference, *reference->prepare_rms_norm(weight), 1e-6f),
                  "rms_norm" + what);
    }
  }
}

TEST_P(TtnnTest, ModulationAndAdaptiveNorm) {
  for (const std::int64_t width : {1, 40, 64}) {
    const HostTensor dense = random.weight(3 * width, width);
    const HostTensor bias = random.tensor({3 * width}, 0.3f);
    const Both condition = upload({1, width});
    const Modulation a = ttnn->modulation(condition.ttnn, *ttnn->prepare_modulation(dense, bias));
    const Modulation b =
        reference->modulation(condition.reference, *reference->prepare_modulation(dense, bias));
    const std::string what = " of width " + std::to_string(width);
    expect_same(a.scale, b.scale, "scale" + what);
    expect_same(a.shift, b.shift, "shift" + what);
    expect_same(a.gate, b.gate, "gate" + what);
    const Both x = upload({13, width});
    expect_same(ttnn->rms_norm(x.ttnn, a, 1e-6f), reference->rms_norm(x.reference, b, 1e-6f),
                "adaptive norm" + what);
  }
}

TEST_P(TtnnTest, Linear) {
  struct Case {
    std::int64_t rows, in, out;
  };
  for (const auto& [rows, in, out] : {Case{1, 1, 1}, Case{1, 37, 3}, Case{50, 32, 64},
                                      Case{51, 65, 97}, Case{200, 608, 40}, Case{130, 40, 300}}) {
    const std::string what = name({rows, in, out});
    const HostTensor weight = random.weight(out, in);
    const HostTensor bias = random.tensor({out}, 0.5f);
    const Both x = upload({rows, in}), row = upload({1, out}), gate = upload({1, out});
    for (const Activation activation : {Activation::kNone, Activation::kGelu, Activation::kSilu}) {
      for (const bool with_row : {false, true}) {
        for (const HostTensor* added : {static_cast<const HostTensor*>(nullptr), &bias}) {
          expect_same(ttnn->linear(x.ttnn, *ttnn->prepare_linear(weight, added), activation,
                                   with_row ? &row.ttnn : nullptr),
                      reference->linear(x.reference, *reference->prepare_linear(weight, added),
                                        activation, with_row ? &row.reference : nullptr),
                      "linear" + what);
        }
      }
    }
    const auto a = ttnn->prepare_linear(weight, &bias);
    const auto b = reference->prepare_linear(weight, &bias);
    Both residual = upload({rows, out});
    expect_same(ttnn->linear_residual(x.ttnn, *a, std::move(residual.ttnn)),
                reference->linear_residual(x.reference, *b, std::move(residual.reference)),
                "linear_residual" + what);
    residual = upload({rows, out});
    expect_same(
        ttnn->linear_residual(x.ttnn, *a, std::move(residual.ttnn), &gate.ttnn),
        reference->linear_residual(x.reference, *b, std::move(residual.reference), &gate.reference),
        "gated linear_residual" + what);
  }
}

TEST_P(TtnnTest, ResidualInputsAreNotWrittenTo) {
  const HostTensor weight = random.weight(33, 33);
  const Both x = upload({5, 33});
  const std::vector<float> before = ttnn->download(x.ttnn);
  const Tensor* parts[] = {&x.ttnn};
  Tensor same = ttnn->concatenate_rows(parts);  // of one part: the same memory
  same = ttnn->linear_residual(x.ttnn, *ttnn->prepare_linear(weight, nullptr), std::move(same));
  EXPECT_EQ(ttnn->download(x.ttnn), before);
}

TEST_P(TtnnTest, GatedMlp) {
  struct Case {
    std::int64_t rows, width, hidden;
  };
  for (const auto& [rows, width, hidden] :
       {Case{1, 1, 1}, Case{33, 72, 112}, Case{50, 40, 71}, Case{129, 64, 256}}) {
    const HostTensor gate = random.weight(hidden, width);
    const HostTensor up = random.weight(hidden, width);
    const HostTensor down = random.weight(width, hidden);
    const auto a = ttnn->prepare_gated_mlp(gate, up, down);
    const auto b = reference->prepare_gated_mlp(gate, up, down);
    const Both x = upload({rows, width}), factor = upload({1, width});
    Both residual = zeros({rows, width});
    expect_same(ttnn->gated_mlp(x.ttnn, *a, std::move(residual.ttnn)),
                reference->gated_mlp(x.reference, *b, std::move(residual.reference)),
                "gated_mlp" + name({rows, width, hidden}));
    residual = upload({rows, width});
    expect_same(
        ttnn->gated_mlp(x.ttnn, *a, std::move(residual.ttnn), &factor.ttnn),
        reference->gated_mlp(x.reference, *b, std::move(residual.reference), &factor.reference),
        "gated gated_mlp" + name({rows, width, hidden}));
  }
}

// A hidden layer that does not fit into L1 at once gives the same in parts.
TEST_P(TtnnTest, GatedMlpInParts) {
  Policies policies = default_policies(card);
  policies.of(TensorRole::kHidden).l1_limit = 2048;
  policies.planned_rows = 64;
  const std::unique_ptr<Device> small =
      make_ttnn_device(make_emulated_shim(card), policies, "ttnn-emulated");
  const std::int64_t width = 64, hidden = 32 * 256;
  const HostTensor gate = random.weight(hidden, width);
  const HostTensor up = random.weight(hidden, width);
  const HostTensor down = random.weight(width, hidden);
  const Both x = upload({40, width});
  const Both residual = zeros({40, width});
  const std::vector<float> values = reference->download(x.reference);
  expect_close(small->download(small->gated_mlp(
                   small->upload({40, width}, values), *small->prepare_gated_mlp(gate, up, down),
                   small->upload({40, width}, std::vector<float>(40 * width)))),
               reference->download(reference->gated_mlp(
                   x.reference, *reference->prepare_gated_mlp(gate, up, down),
                   reference->upload({40, width}, std::vector<float>(40 * width)))),
               "gated_mlp in parts");
}

TEST_P(TtnnTest, QkvAttentionAndCache) {
  struct Case {
    int sequences, tokens, width, heads, kv_heads, head_dim;
    bool rotary;
    int cached;  // tokens before, 0: none
    int first;
  };
  for (const Case& c :
       {Case{1, 1, 32, 1, 1, 32, true, 0, 0}, Case{3, 9, 48, 3, 3, 16, false, 0, 0},
        Case{2, 37, 72, 1, 1, 72, false, 0, 0}, Case{1, 33, 64, 8, 1, 32, true, 0, 5},
        Case{1, 50, 40, 4, 2, 48, true, 65, 65}, Case{1, 7, 64, 8, 1, 256, true, 31, 31},
        Case{1, 64, 64, 4, 4, 64, true, 64, 700}}) {
    const std::string what =
        name({c.sequences, c.tokens, c.width, c.heads, c.kv_heads, c.head_dim, c.cached});
    QkvSource source;
    source.heads = {c.heads, c.kv_heads, c.head_dim, c.rotary};
    source.q = random.weight(c.heads * c.head_dim, c.width);
    source.k = random.weight(c.kv_heads * c.head_dim, c.width);
    source.v = random.weight(c.kv_heads * c.head_dim, c.width);
    if (!c.rotary) {
      source.q_bias = random.tensor({c.heads * c.head_dim}, 0.3f);
      source.k_bias = random.tensor({c.kv_heads * c.head_dim}, 0.3f);
      source.v_bias = random.tensor({c.kv_heads * c.head_dim}, 0.3f);
    }
    HeadSplit split{.sequences = c.sequences, .first_position = {}};
    if (c.rotary) split.first_position = c.first;
    const Both x = upload({c.sequences * c.tokens, c.width});
    const auto a = ttnn->prepare_qkv(source);
    const auto b = reference->prepare_qkv(source);
    Qkv made = ttnn->qkv(x.ttnn, *a, split);
    Qkv expected = reference->qkv(x.reference, *b, split);
    expect_same(made.queries, expected.queries, "queries" + what);
    expect_same(made.own.keys, expected.own.keys, "keys" + what);
    expect_same(made.own.values, expected.own.values, "values" + what);

    QkvSource without_queries = source;
    without_queries.q.reset();
    without_queries.q_bias.reset();
    const KeysValues alone = ttnn->keys_values(x.ttnn, *ttnn->prepare_qkv(without_queries), split);
    expect_same(alone.keys, expected.own.keys, "keys alone" + what);
    expect_same(alone.values, expected.own.values, "values alone" + what);

    const HostTensor out = random.weight(c.width, c.heads * c.head_dim);
    const HeadShape joined = source.heads;
    const auto out_a = ttnn->prepare_linear(out, nullptr, &joined);
    const auto out_b = reference->prepare_linear(out, nullptr, &joined);
    const auto finish = [&](const Tensor& heads, const Tensor& expected_heads) {
      expect_same(heads, expected_heads, "attention" + what);
      expect_same(ttnn->linear(heads, *out_a), reference->linear(expected_heads, *out_b),
                  "attention's output" + what);
    };
    if (c.cached == 0) {
      finish(ttnn->attention(std::move(made.queries), made.own, nullptr),
             reference->attention(std::move(expected.queries), expected.own, nullptr));
      continue;
    }
    // A cache of two runs, as the prefix and pi0's state leave it: padding between tokens.
    split.first_position = 0;
    const Both before = upload({c.cached, c.width}), state = upload({1, c.width});
    KeysValues cache = ttnn->concatenate_tokens(ttnn->qkv(before.ttnn, *a, split).own,
                                                ttnn->qkv(state.ttnn, *a, split).own);
    KeysValues expected_cache =
        reference->concatenate_tokens(reference->qkv(before.reference, *b, split).own,
                                      reference->qkv(state.reference, *b, split).own);
    expect_same(cache.keys, expected_cache.keys, "cached keys" + what);
    expect_same(cache.values, expected_cache.values, "cached values" + what);
    finish(ttnn->attention(std::move(made.queries), made.own, &cache),
           reference->attention(std::move(expected.queries), expected.own, &expected_cache));
  }
}

TEST_P(TtnnTest, ConcatenatesRows) {
  for (const auto& rows : {std::vector<std::int64_t>{64, 32, 48}, {9, 1, 18}, {5}, {32, 1}}) {
    std::vector<Both> uploads;
    std::vector<const Tensor*> a, b;
    for (const std::int64_t count : rows) uploads.push_back(upload({count, 40}));
    for (const Both& both : uploads) {
      a.push_back(&both.ttnn);
      b.push_back(&both.reference);
    }
    expect_same(ttnn->concatenate_rows(a), reference->concatenate_rows(b),
                "rows" + std::to_string(rows[0]));
  }
}

TEST_P(TtnnTest, EulerStepIsExact) {
  const std::vector<float> x = random.values(50 * 7), v = random.values(50 * 7);
  const auto step = [&](Device& device) {
    return device.download(device.euler_step(device.upload({50, 7}, x, Precision::kFp32),
                                             device.upload({50, 7}, v, Precision::kFp32), -0.1f));
  };
  const std::vector<float> made = step(*ttnn), expected = step(*reference);
  for (std::size_t i = 0; i < made.size(); ++i) EXPECT_NEAR(made[i], expected[i], 1e-6) << i;
}

// What a recording replays is what the same work would give: with new inputs, new results.
TEST_P(TtnnTest, ReplaysWithNewInputs) {
  const HostTensor weight = random.weight(40, 33);
  const auto weights = ttnn->prepare_linear(weight, nullptr);
  const auto expected_weights = reference->prepare_linear(weight, nullptr);
  Both x = upload({5, 33});
  Tensor y;
  std::unique_ptr<Recording> recording;
  int times = 0;
  for (int call = 0; call < 4; ++call) {
    const std::vector<float> values = random.values(5 * 33);
    ttnn->write(x.ttnn, values);
    reference->write(x.reference, values);
    ttnn->run(recording, [&] {
      ++times;
      y = ttnn->linear(x.ttnn, *weights, Activation::kSilu);
    });
    expect_same(y, reference->linear(x.reference, *expected_weights, Activation::kSilu),
                "call " + std::to_string(call));
  }
  EXPECT_EQ(times, 2);  // once to compile, once to capture
}

INSTANTIATE_TEST_SUITE_P(Cards, TtnnTest, testing::Values("n150", "p150"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace pi0
