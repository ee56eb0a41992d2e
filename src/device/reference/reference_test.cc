// The reference device against PyTorch: testdata/operations.safetensors, made by
// tools/make_operation_goldens.py.
#include "device/reference/reference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "device/test_support.h"
#include "files/safetensors.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

// fp32 against fp32 in another order of summation; sums of up to 2049 products of size 1.
constexpr double kTolerance = 2e-5;

class Goldens {
 public:
  explicit Goldens(std::string group) : group_(std::move(group)) {}

  bool has(int index, const std::string& name) const {
    return file().find(full(index, name)) != nullptr;
  }
  HostTensor tensor(int index, const std::string& name) const {
    const SafeTensor* found = file().find(full(index, name));
    if (found == nullptr) throw std::runtime_error("no golden " + full(index, name));
    return {full(index, name), DType::kF32, found->shape, found->bytes.data(), file().owner()};
  }
  std::vector<float> values(int index, const std::string& name) const {
    return tensor(index, name).to_floats();
  }
  int number(int index, const std::string& name) const {
    return static_cast<int>(values(index, name)[0]);
  }
  // Cases 0, 1, … that are there; at least one, or the test compares nothing.
  int cases(const std::string& name = "out") const {
    int count = 0;
    while (has(count, name)) ++count;
    EXPECT_GT(count, 0) << group_;
    return count;
  }

 private:
  static const SafeTensors& file() {
    static const SafeTensors file =
        SafeTensors::open(PI0_SOURCE_DIR "/testdata/operations.safetensors");
    return file;
  }
  std::string full(int index, const std::string& name) const {
    return group_ + "." + std::to_string(index) + "." + name;
  }
  std::string group_;
};

class ReferenceTest : public testing::Test {
 protected:
  Tensor upload(const HostTensor& tensor) {
    return device->upload(tensor.shape, tensor.to_floats());
  }
  void expect_near(const Tensor& actual, const HostTensor& expected) {
    ASSERT_EQ(actual.shape(), expected.shape) << expected.name;
    const std::vector<float> a = device->download(actual), e = expected.to_floats();
    double magnitude = 1;
    for (const float value : e) magnitude = std::max(magnitude, std::abs(double{value}));
    for (std::size_t i = 0; i < e.size(); ++i) {
      ASSERT_NEAR(a[i], e[i], kTolerance * magnitude) << expected.name << " element " << i;
    }
  }
  std::unique_ptr<Device> device = make_reference_device();
};

TEST_F(ReferenceTest, PatchEmbedding) {
  const Goldens goldens("patch_embedding");
  for (int i = 0; i < goldens.cases(); ++i) {
    const auto weights = device->prepare_patch_embedding(
        goldens.tensor(i, "weight"), goldens.tensor(i, "bias"), goldens.tensor(i, "positions"));
    const Tensor images = upload(goldens.tensor(i, "images"));
    expect_near(device->patch_embedding(images, *weights), goldens.tensor(i, "out"));
  }
}

TEST_F(ReferenceTest, LayerNorm) {
  const Goldens goldens("layer_norm");
  for (int i = 0; i < goldens.cases(); ++i) {
    const auto weights =
        device->prepare_layer_norm(goldens.tensor(i, "weight"), goldens.tensor(i, "bias"));
    const Tensor x = upload(goldens.tensor(i, "x"));
    expect_near(device->layer_norm(x, *weights, 1e-6f), goldens.tensor(i, "out"));
  }
}

TEST_F(ReferenceTest, RmsNorm) {
  const Goldens goldens("rms_norm");
  for (int i = 0; i < goldens.cases(); ++i) {
    const auto weights = device->prepare_rms_norm(goldens.tensor(i, "weight"));
    const Tensor x = upload(goldens.tensor(i, "x"));
    expect_near(device->rms_norm(x, *weights, 1e-6f), goldens.tensor(i, "out"));
  }
}

TEST_F(ReferenceTest, ModulationAndAdaptiveRmsNorm) {
  const Goldens goldens("modulation");
  for (int i = 0; i < goldens.cases(); ++i) {
    const HostTensor bias = goldens.tensor(i, "dense_bias");
    const auto dense = device->prepare_linear(goldens.tensor(i, "dense"), &bias);
    const Modulation modulation =
        device->modulation(upload(goldens.tensor(i, "condition")), *dense);
    expect_near(modulation.scale, goldens.tensor(i, "scale"));
    expect_near(modulation.shift, goldens.tensor(i, "shift"));
    expect_near(modulation.gate, goldens.tensor(i, "gate"));
    const Tensor x = upload(goldens.tensor(i, "x"));
    expect_near(device->rms_norm(x, modulation, 1e-6f), goldens.tensor(i, "out"));
  }
}

TEST_F(ReferenceTest, Linear) {
  const Goldens goldens("linear");
  const Activation activations[] = {Activation::kNone, Activation::kGelu, Activation::kSilu};
  for (int i = 0; i < goldens.cases("no_bias"); ++i) {
    const HostTensor bias = goldens.tensor(i, "bias");
    const auto weights = device->prepare_linear(goldens.tensor(i, "weight"), &bias);
    const auto no_bias = device->prepare_linear(goldens.tensor(i, "weight"), nullptr);
    const Tensor x = upload(goldens.tensor(i, "x"));
    const Tensor row = upload(goldens.tensor(i, "row"));
    expect_near(device->linear(x, *no_bias), goldens.tensor(i, "no_bias"));
    for (int a = 0; a < 3; ++a) {
      const std::string name = std::to_string(a);
      expect_near(device->linear(x, *weights, activations[a]),
                  goldens.tensor(i, "activation_" + name));
      expect_near(device->linear(x, *weights, activations[a], &row),
                  goldens.tensor(i, "row_" + name));
    }
    const Tensor gate = upload(goldens.tensor(i, "gate"));
    expect_near(device->linear_residual(x, *weights, upload(goldens.tensor(i, "residual"))),
                goldens.tensor(i, "residual_out"));
    expect_near(device->linear_residual(x, *weights, upload(goldens.tensor(i, "residual")), &gate),
                goldens.tensor(i, "gated_out"));
  }
}

TEST_F(ReferenceTest, GatedMlp) {
  const Goldens goldens("gated_mlp");
  for (int i = 0; i < goldens.cases(); ++i) {
    const auto weights =
        device->prepare_gated_mlp(goldens.tensor(i, "gate"), goldens.tensor(i, "up"),
                                  goldens.tensor(i, "down"), WeightPrecision::kLayer);
    const Tensor x = upload(goldens.tensor(i, "x"));
    const Tensor gate = upload(goldens.tensor(i, "gate_row"));
    expect_near(device->gated_mlp(x, *weights, upload(goldens.tensor(i, "residual"))),
                goldens.tensor(i, "out"));
    expect_near(device->gated_mlp(x, *weights, upload(goldens.tensor(i, "residual")), &gate),
                goldens.tensor(i, "gated_out"));
  }
}

TEST_F(ReferenceTest, QkvAttentionAndCache) {
  const Goldens goldens("attention");
  for (int i = 0; i < goldens.cases(); ++i) {
    QkvSource source;
    source.heads = {goldens.number(i, "heads"), goldens.number(i, "kv_heads"),
                    goldens.number(i, "head_dim")};
    source.q = goldens.tensor(i, "q");
    source.k = goldens.tensor(i, "k");
    source.v = goldens.tensor(i, "v");
    HeadSplit split{.sequences = goldens.number(i, "sequences")};
    KeysValues before;
    source.heads.rotary = goldens.number(i, "first") >= 0;
    if (source.heads.rotary) {
      if (goldens.number(i, "first") > 0) {
        before = cache_of(*device, goldens.number(i, "first"));
        split.after = &before;
      }
    } else {
      source.q_bias = goldens.tensor(i, "q_bias");
      source.k_bias = goldens.tensor(i, "k_bias");
      source.v_bias = goldens.tensor(i, "v_bias");
    }
    const Tensor x = upload(goldens.tensor(i, "x"));
    const auto weights = device->prepare_qkv(source);
    Qkv qkv = device->qkv(x, *weights, split);
    expect_near(qkv.queries, goldens.tensor(i, "queries"));
    expect_near(qkv.own.keys, goldens.tensor(i, "keys"));
    expect_near(qkv.own.values, goldens.tensor(i, "values"));

    source.q.reset();
    source.q_bias.reset();
    const auto without_queries = device->prepare_qkv(source);
    const KeysValues alone = device->keys_values(x, *without_queries, split);
    expect_near(alone.keys, goldens.tensor(i, "keys"));
    expect_near(alone.values, goldens.tensor(i, "values"));

    if (!goldens.has(i, "cache_keys")) {
      expect_near(device->attention(std::move(qkv.queries), qkv.own, nullptr),
                  goldens.tensor(i, "out"));
      continue;
    }
    KeysValues cache{upload(goldens.tensor(i, "cache_keys")),
                     upload(goldens.tensor(i, "cache_values"))};
    expect_near(device->attention(std::move(qkv.queries), qkv.own, &cache),
                goldens.tensor(i, "out"));
    const KeysValues all = device->concatenate_tokens(std::move(cache), std::move(qkv.own));
    expect_near(all.keys, goldens.tensor(i, "all_keys"));
    expect_near(all.values, goldens.tensor(i, "all_values"));
  }
}

TEST_F(ReferenceTest, ConcatenatesRowsInOrder) {
  const Tensor a = device->upload({1, 3}, std::vector<float>{1, 2, 3});
  const Tensor b = device->upload({2, 3}, std::vector<float>{4, 5, 6, 7, 8, 9});
  const Tensor* parts[] = {&a, &b, &a};
  const Tensor all = device->concatenate_rows(parts);
  EXPECT_EQ(all.shape(), (Shape{4, 3}));
  EXPECT_EQ(device->download(all), (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3}));
}

TEST_F(ReferenceTest, ChoosesRows) {
  const Tensor a = device->upload({3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6});
  const Tensor b = device->upload({1, 2}, std::vector<float>{-7, 8});
  const Tensor second = device->upload({3, 2}, std::vector<float>{0, 0, 1, 1, 0, 0});
  const Tensor others = device->upload({3, 2}, std::vector<float>{1, 1, 0, 0, 1, 1});
  EXPECT_EQ(device->download(device->choose_rows(a, others, b, second)),
            (std::vector<float>{1, 2, -7, 8, 5, 6}));
  EXPECT_EQ(device->download(device->choose_rows(b, others, a, second)),
            (std::vector<float>{-7, 8, 3, 4, -7, 8}));
}

// Each row as it would be alone with its own gate, which PyTorch's numbers above are of.
TEST_F(ReferenceTest, AGateOfEachRow) {
  constexpr std::int64_t kRows = 3, kIn = 4, kOut = 5, kHidden = 7;
  const std::vector<float> x = test_values({kRows, kIn}, 1), gates = test_values({kRows, kOut}, 2);
  const std::vector<float> residual = test_values({kRows, kOut}, 3);
  const auto linear = device->prepare_linear(test_weight({kOut, kIn}, 4), nullptr);
  const auto mlp =
      device->prepare_gated_mlp(test_weight({kHidden, kIn}, 5), test_weight({kHidden, kIn}, 6),
                                test_weight({kOut, kHidden}, 7), WeightPrecision::kLayer);
  const auto rows = [&](const std::vector<float>& values, std::int64_t begin, std::int64_t count) {
    const std::int64_t width = std::ssize(values) / kRows;
    return device->upload({count, width}, std::span(values).subspan(begin * width, count * width));
  };
  const Tensor gate = rows(gates, 0, kRows);
  const std::vector<float> all_linear = device->download(
      device->linear_residual(rows(x, 0, kRows), *linear, rows(residual, 0, kRows), &gate));
  const std::vector<float> all_mlp =
      device->download(device->gated_mlp(rows(x, 0, kRows), *mlp, rows(residual, 0, kRows), &gate));
  for (std::int64_t r = 0; r < kRows; ++r) {
    const Tensor own = rows(gates, r, 1);
    const auto expect_row = [&](const std::vector<float>& all, const Tensor& alone) {
      EXPECT_EQ(std::vector<float>(all.begin() + r * kOut, all.begin() + (r + 1) * kOut),
                device->download(alone))
          << r;
    };
    expect_row(all_linear,
               device->linear_residual(rows(x, r, 1), *linear, rows(residual, r, 1), &own));
    expect_row(all_mlp, device->gated_mlp(rows(x, r, 1), *mlp, rows(residual, r, 1), &own));
  }
}

TEST_F(ReferenceTest, GuidesTowardsATarget) {
  const auto row = [&](std::vector<float> values) { return device->upload({1, 4}, values); };
  // x - t v is {-4, 2, 0, 1}: 5 and 1 short of the target where the weight is 1 and 0.5.
  const Tensor v = device->guided_velocity(row({1, 2, 3, 1}), row({10, 0, 6, 0}), row({1, 3, 9, 1}),
                                           row({1, 0.5, 0, 1}), 0.5f, 3.0f);
  EXPECT_EQ(device->download(v), (std::vector<float>{10 - 3 * 5, -1.5, 6, 0}));
}

TEST_F(ReferenceTest, EulerStepLeavesItsInput) {
  const Tensor x = device->upload({1, 3}, std::vector<float>{1, 2, 3});
  const Tensor v = device->upload({1, 3}, std::vector<float>{10, 20, -30});
  EXPECT_EQ(device->download(device->euler_step(x, v, -0.5f)), (std::vector<float>{-4, -8, 18}));
  EXPECT_EQ(device->download(x), (std::vector<float>{1, 2, 3}));
}

TEST_F(ReferenceTest, WriteReplacesWhatAnUploadHeld) {
  Tensor x = device->upload({2, 2}, std::vector<float>{1, 2, 3, 4});
  device->write(x, std::vector<float>{5, 6, 7, 8});
  EXPECT_EQ(device->download(x), (std::vector<float>{5, 6, 7, 8}));
}

// Weights of each type, and from memory that is not aligned to it.
TEST_F(ReferenceTest, ReadsWeightsOfEachType) {
  const std::uint16_t bf16[] = {0x3f80, 0xc000};  // 1, -2
  const std::uint16_t f16[] = {0x3c00, 0xc000};   // 1, -2
  const float f32[] = {1, -2};
  const Tensor x = device->upload({1, 2}, std::vector<float>{3, 5});
  const auto expect = [&](DType type, const void* data, std::size_t bytes) {
    std::vector<std::byte> shifted(bytes + 1);
    std::memcpy(shifted.data() + 1, data, bytes);
    const HostTensor weight{"w", type, {1, 2}, shifted.data() + 1, nullptr};
    const auto prepared = device->prepare_linear(weight, nullptr);
    EXPECT_EQ(device->download(device->linear(x, *prepared)), std::vector<float>{-7})
        << name_of(type);
  };
  expect(DType::kBF16, bf16, sizeof bf16);
  expect(DType::kF16, f16, sizeof f16);
  expect(DType::kF32, f32, sizeof f32);
}

TEST(HostTensorTest, WidensHalfPrecisionExactly) {
  EXPECT_EQ(f16_to_float(0x0001), std::ldexp(1.0f, -24));  // the smallest subnormal
  EXPECT_EQ(f16_to_float(0x83ff), -std::ldexp(1023.0f, -24));
  EXPECT_EQ(f16_to_float(0x7bff), 65504.0f);
  EXPECT_TRUE(std::isinf(f16_to_float(0x7c00)));
  EXPECT_TRUE(std::isnan(f16_to_float(0x7e00)));
  EXPECT_EQ(bf16_to_float(0xbf80), -1.0f);
  EXPECT_TRUE(std::isinf(bf16_to_float(0x7f80)));
}

TEST(HostTensorTest, NamesTheFirstValueThatIsNotFinite) {
  std::vector<float> values(10000, 1.0f);
  const HostTensor tensor{"layers.0.weight",
                          DType::kF32,
                          {100, 100},
                          reinterpret_cast<const std::byte*>(values.data()),
                          nullptr};
  EXPECT_NO_THROW(require_finite(tensor));
  values[7777] = std::numeric_limits<float>::quiet_NaN();
  try {
    require_finite(tensor);
    FAIL() << "accepted NaN";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidCheckpoint);
    EXPECT_NE(std::string(error.what()).find("layers.0.weight"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("7777"), std::string::npos);
  }
}

}  // namespace
}  // namespace pi0
