// Every operation of the CPU device but attention, at each instruction set and type, against the
// reference device: random values, odd shapes.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "device/cpu/cpu_testing.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

TEST_P(CpuTest, KeepsWhatGoesUp) {
  for (const std::int64_t width : {1, 33, 256, 300}) {  // wide rows lie apart
    const Shape shape{3, width};
    const std::vector<float> values = random.values(element_count(shape));
    Tensor x = cpu->upload(shape, values);
    EXPECT_EQ(cpu->download(x), values);
    const std::vector<float> others = random.values(element_count(shape));
    cpu->write(x, others);
    EXPECT_EQ(cpu->download(x), others);
  }
}

TEST_P(CpuTest, PatchEmbedding) {
  struct Case {
    std::int64_t cameras, size, patch, width;
  };
  // 45 = 3 * 14 + 3, 33 = 4 * 7 + 5, 5 = 2 * 2 + 1: pixels are left over.
  for (const auto& [cameras, size, patch, width] :
       {Case{1, 14, 14, 1}, Case{2, 56, 14, 64}, Case{3, 45, 14, 47}, Case{1, 33, 7, 100},
        Case{2, 5, 2, 7}}) {
    const std::int64_t side = size / patch;
    const HostTensor weight = random.tensor({width, 3, patch, patch}, 0.04f);
    const HostTensor bias = random.tensor({width}, 0.1f);
    const HostTensor positions = random.tensor({side * side, width}, 0.5f);
    const Shape shape{cameras, size, size, 3};
    const std::vector<float> images = random.values(element_count(shape));
    const auto a = cpu->prepare_patch_embedding(weight, bias, positions);
    const auto b = reference->prepare_patch_embedding(weight, bias, positions);
    const Tensor actual =
        cpu->patch_embedding(cpu->upload_images(shape, images, static_cast<int>(patch)), *a);
    const Tensor expected = reference->patch_embedding(reference->upload(shape, images), *b);
    const std::string what = "patch embedding" + name({cameras, size, patch, width});
    EXPECT_EQ(actual.shape(), expected.shape()) << what;
    // Never in int8: pixels have as many bits, and everything after depends on them.
    expect_values_close(cpu->download(actual), reference->download(expected), what, 1,
                        type() == CpuType::kInt8 ? CpuType::kBf16 : type());
  }
}

TEST_P(CpuTest, Norms) {
  for (const std::int64_t width : {1, 7, 31, 32, 33, 100, 588}) {
    for (const std::int64_t rows : {1, 2, 13, 50, 51}) {
      const HostTensor weight = random.tensor({width}, 0.5f);
      const HostTensor bias = random.tensor({width}, 0.5f);
      const Both x = upload({rows, width}, 3);
      const std::string what = name({rows, width});
      expect_same(
          cpu->layer_norm(x.cpu, *cpu->prepare_layer_norm(weight, bias), 1e-6f),
          reference->layer_norm(x.reference, *reference->prepare_layer_norm(weight, bias), 1e-6f),
          "layer_norm" + what);
      expect_same(cpu->rms_norm(x.cpu, *cpu->prepare_rms_norm(weight), 1e-6f),
                  reference->rms_norm(x.reference, *reference->prepare_rms_norm(weight), 1e-6f),
                  "rms_norm" + what);
    }
  }
}

TEST_P(CpuTest, EpsilonCounts) {  // rows smaller than its root, and of zeros
  const HostTensor weight = random.tensor({33}, 0.5f), bias = random.tensor({33}, 0.5f);
  for (const float size : {0.0f, 1e-4f}) {
    const Both x = upload({3, 33}, size);
    expect_same(
        cpu->layer_norm(x.cpu, *cpu->prepare_layer_norm(weight, bias), 1e-6f),
        reference->layer_norm(x.reference, *reference->prepare_layer_norm(weight, bias), 1e-6f),
        "layer_norm");
    expect_same(cpu->rms_norm(x.cpu, *cpu->prepare_rms_norm(weight), 1e-6f),
                reference->rms_norm(x.reference, *reference->prepare_rms_norm(weight), 1e-6f),
                "rms_norm");
  }
}

TEST_P(CpuTest, ModulationAndAdaptiveNorm) {
  for (const std::int64_t width : {1, 7, 40, 100, 257}) {
    const HostTensor dense = random.weight(3 * width, width);
    const HostTensor bias = random.tensor({3 * width}, 0.3f);
    const Both condition = upload({1, width});
    const Modulation a = cpu->modulation(condition.cpu, *cpu->prepare_modulation(dense, bias));
    const Modulation b =
        reference->modulation(condition.reference, *reference->prepare_modulation(dense, bias));
    const std::string what = " of width " + std::to_string(width);
    const CpuType as = type() == CpuType::kInt8 ? CpuType::kBf16 : type();  // never in int8
    expect_values_close(cpu->download(a.scale), reference->download(b.scale), "scale" + what, 1,
                        as);
    expect_values_close(cpu->download(a.shift), reference->download(b.shift), "shift" + what, 1,
                        as);
    expect_values_close(cpu->download(a.gate), reference->download(b.gate), "gate" + what, 1, as);

    // The norm itself is fp32, so of the same modulation.
    const Both x = upload({13, width}), scale = upload({1, width}), shift = upload({1, width});
    const auto part = [&](Device& device, Device& from, const Tensor& tensor) {
      return device.upload(tensor.shape(), from.download(tensor));
    };
    const Modulation same_a{part(*cpu, *cpu, scale.cpu), part(*cpu, *cpu, shift.cpu), {}};
    const Modulation same_b{
        part(*reference, *cpu, scale.cpu), part(*reference, *cpu, shift.cpu), {}};
    expect_same(cpu->rms_norm(x.cpu, same_a, 1e-6f),
                reference->rms_norm(x.reference, same_b, 1e-6f), "adaptive norm" + what);
  }
}

struct MatrixCase {
  std::int64_t rows, in, out;
};
// Rows and columns around the edges of tiles of 4 to 32 rows and 16 or 32 columns; depths with less
// than a group (up to 64 values) left over.
constexpr MatrixCase kMatrices[] = {{1, 1, 1},    {1, 37, 3},    {2, 7, 31},   {13, 100, 33},
                                    {50, 33, 65}, {51, 588, 97}, {33, 31, 16}, {3, 2051, 40}};

TEST_P(CpuTest, Linear) {
  for (const auto& [rows, in, out] : kMatrices) {
    const HostTensor weight = random.weight(out, in);
    const HostTensor bias = random.tensor({out}, 0.5f);
    const Both x = upload({rows, in}), row = upload({1, out});
    for (const HostTensor* added : {static_cast<const HostTensor*>(nullptr), &bias}) {
      const auto a = cpu->prepare_linear(weight, added);
      const auto b = reference->prepare_linear(weight, added);
      for (const Activation activation :
           {Activation::kNone, Activation::kGelu, Activation::kSilu}) {
        for (const bool with_row : {false, true}) {
          expect_close(
              cpu->linear(x.cpu, *a, activation, with_row ? &row.cpu : nullptr),
              reference->linear(x.reference, *b, activation, with_row ? &row.reference : nullptr),
              "linear" + name({rows, in, out}));
        }
      }
    }
  }
}

TEST_P(CpuTest, LinearResidual) {
  for (const auto& [rows, in, out] : kMatrices) {
    const HostTensor weight = random.weight(out, in);
    const HostTensor bias = random.tensor({out}, 0.5f);
    const Both x = upload({rows, in}), gate = upload({1, out}), gates = upload({rows, out});
    for (const HostTensor* added : {static_cast<const HostTensor*>(nullptr), &bias}) {
      const auto a = cpu->prepare_linear(weight, added);
      const auto b = reference->prepare_linear(weight, added);
      for (const Both* by : {static_cast<const Both*>(nullptr), &gate, &gates}) {
        Both residual = upload({rows, out});
        expect_close(
            cpu->linear_residual(x.cpu, *a, std::move(residual.cpu), by ? &by->cpu : nullptr),
            reference->linear_residual(x.reference, *b, std::move(residual.reference),
                                       by ? &by->reference : nullptr),
            "linear_residual" + name({rows, in, out}),
            rows * out < 16 ? 2 : 1);  // of few, the residual may take most of the product away
      }
    }
  }
}

// Rows and columns by the thousand: several blocks of both.
TEST_P(CpuTest, LinearOfManyRowsAndColumns) {
  for (const auto& [rows, in, out] : {MatrixCase{2100, 16, 40}, MatrixCase{5, 33, 1500}}) {
    const HostTensor weight = random.weight(out, in);
    const Both x = upload({rows, in});
    expect_close(cpu->linear(x.cpu, *cpu->prepare_linear(weight, nullptr)),
                 reference->linear(x.reference, *reference->prepare_linear(weight, nullptr)),
                 "linear" + name({rows, in, out}));
  }
}

// Of each type, more of a tile than is multiplied in one step, and several tiles.
TEST_P(CpuTest, LinearInStepsOfDepth) {
  constexpr std::int64_t kRows = 70, kDepth = 16411, kColumns = 40;
  const HostTensor weight = random.weight(kColumns, kDepth);
  const Both x = upload({kRows, kDepth});
  expect_close(cpu->linear(x.cpu, *cpu->prepare_linear(weight, nullptr), Activation::kNone),
               reference->linear(x.reference, *reference->prepare_linear(weight, nullptr),
                                 Activation::kNone),
               "linear in steps");
}

// More than int8 sums exactly is refused, by name; other types take it.
TEST_P(CpuTest, LinearOfMoreInputsThanIntegersHold) {
  const HostTensor most = random.weight(1, 66311), more = random.weight(1, 66312);
  EXPECT_NO_THROW(cpu->prepare_linear(most, nullptr));
  if (type() != CpuType::kInt8) {
    EXPECT_NO_THROW(cpu->prepare_linear(more, nullptr));
    return;
  }
  try {
    cpu->prepare_linear(more, nullptr);
    ADD_FAILURE() << "taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_EQ(std::string(error.what()).find(more.name + ": 66312 inputs"), 0u) << error.what();
  }
}

// What must be exact is not int8.
TEST_P(CpuTest, LinearInItsPreciseForm) {
  for (const auto& [rows, in, out] : kMatrices) {
    const HostTensor weight = random.weight(out, in);
    const HostTensor bias = random.tensor({out}, 0.5f);
    const Both x = upload({rows, in});
    const auto a = cpu->prepare_linear(weight, &bias, nullptr, WeightPrecision::kWide);
    const auto b = reference->prepare_linear(weight, &bias, nullptr, WeightPrecision::kWide);
    const Tensor actual = cpu->linear(x.cpu, *a, Activation::kNone, nullptr, Precision::kFp32);
    const Tensor expected =
        reference->linear(x.reference, *b, Activation::kNone, nullptr, Precision::kFp32);
    expect_values_close(cpu->download(actual), reference->download(expected),
                        "precise linear" + name({rows, in, out}), 1,
                        type() == CpuType::kInt8 ? CpuType::kBf16 : type());
  }
}

TEST_P(CpuTest, GatedMlp) {
  struct Case {
    std::int64_t rows, width, hidden;
  };
  for (const auto& [rows, width, hidden] :
       {Case{1, 1, 1}, Case{2, 7, 17}, Case{13, 100, 33}, Case{33, 72, 112}, Case{50, 40, 71},
        Case{51, 31, 588}}) {
    const HostTensor gate = random.weight(hidden, width);
    const HostTensor up = random.weight(hidden, width);
    const HostTensor down = random.weight(width, hidden);
    const auto a = cpu->prepare_gated_mlp(gate, up, down, WeightPrecision::kLayer);
    const auto b = reference->prepare_gated_mlp(gate, up, down, WeightPrecision::kLayer);
    const Both x = upload({rows, width}), factor = upload({1, width});
    const Both factors = upload({rows, width});
    for (const Both* by : {static_cast<const Both*>(nullptr), &factor, &factors}) {
      // Without what is added to it, so that the product alone is looked at, and with.
      for (const float size : {0.0f, 1.0f}) {
        Both residual = upload({rows, width}, size);
        expect_close(cpu->gated_mlp(x.cpu, *a, std::move(residual.cpu), by ? &by->cpu : nullptr),
                     reference->gated_mlp(x.reference, *b, std::move(residual.reference),
                                          by ? &by->reference : nullptr),
                     "gated_mlp" + name({rows, width, hidden}), 2);
      }
    }
  }
}

TEST_P(CpuTest, ConcatenatesRows) {
  for (const std::int64_t width : {1, 40, 300}) {
    for (const auto& rows : {std::vector<std::int64_t>{64, 32, 48}, {9, 1, 18}, {5}, {1, 1}}) {
      std::vector<Both> uploads;
      std::vector<const Tensor*> a, b;
      for (const std::int64_t count : rows) uploads.push_back(upload({count, width}));
      for (const Both& both : uploads) {
        a.push_back(&both.cpu);
        b.push_back(&both.reference);
      }
      const Tensor actual = cpu->concatenate_rows(a), expected = reference->concatenate_rows(b);
      EXPECT_EQ(actual.shape(), expected.shape());
      EXPECT_EQ(cpu->download(actual), reference->download(expected)) << width;
    }
  }
}

TEST_P(CpuTest, ChooseRows) {
  for (const std::int64_t width : {1, 7, 300}) {
    const Both many = upload({50, width}), one = upload({1, width});
    const Both by_a = upload({50, width}), by_b = upload({50, width});
    for (const auto& [a, b] : {std::pair(&many, &one), {&one, &many}, {&one, &one}}) {
      expect_same(
          cpu->choose_rows(a->cpu, by_a.cpu, b->cpu, by_b.cpu),
          reference->choose_rows(a->reference, by_a.reference, b->reference, by_b.reference),
          "choose_rows");
    }
  }
}

TEST_P(CpuTest, GuidedVelocity) {
  for (const std::int64_t width : {1, 7, 300}) {
    const Shape shape{50, width};
    const Both x = upload(shape), v = upload(shape), target = upload(shape),
               weights = upload(shape);
    expect_same(cpu->guided_velocity(x.cpu, v.cpu, target.cpu, weights.cpu, 0.7f, 3.0f),
                reference->guided_velocity(x.reference, v.reference, target.reference,
                                           weights.reference, 0.7f, 3.0f),
                "guided_velocity");
  }
}

TEST_P(CpuTest, EulerStep) {
  for (const std::int64_t width : {1, 7, 300}) {
    const Both x = upload({50, width}), v = upload({50, width});
    expect_same(cpu->euler_step(x.cpu, v.cpu, -0.1f),
                reference->euler_step(x.reference, v.reference, -0.1f), "euler_step");
  }
}

// Weights as their file has them.
TEST_P(CpuTest, WeightsOfEveryFileType) {
  constexpr std::int64_t kOut = 33, kIn = 101;
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    const auto tensor = [&](const Shape& shape) {
      const std::vector<float> values = random.values(element_count(shape), 0.1f);
      auto bytes = std::make_shared<std::vector<std::byte>>(values.size() * size_of(dtype));
      for (std::size_t i = 0; i < values.size(); ++i) {
        std::uint32_t bits;
        std::memcpy(&bits, &values[i], 4);
        // Cut to the type; of fp16, an exponent of 5 bits: 0.1 and its like have one.
        const std::uint32_t half = bits >> 16;
        const std::uint32_t exponent = (bits >> 23 & 255u) - 112;
        const std::uint32_t small = exponent - 1 < 30 ? (exponent << 10 | (bits >> 13 & 1023u)) : 0;
        const std::uint32_t f16 = (bits >> 16 & 0x8000u) | small;
        const std::uint32_t chosen = dtype == DType::kF32    ? bits
                                     : dtype == DType::kBF16 ? half
                                                             : f16;
        std::memcpy(bytes->data() + i * size_of(dtype), &chosen, size_of(dtype));
      }
      return HostTensor{"random", dtype, shape, bytes->data(), bytes};
    };
    const HostTensor weight = tensor({kOut, kIn}), bias = tensor({kOut});
    const HostTensor norm = tensor({kIn}), norm_bias = tensor({kIn});
    const std::string what = std::string("weights of ") + name_of(dtype);
    const Both x = upload({5, kIn});
    expect_close(cpu->linear(x.cpu, *cpu->prepare_linear(weight, &bias)),
                 reference->linear(x.reference, *reference->prepare_linear(weight, &bias)), what);
    expect_same(
        cpu->layer_norm(x.cpu, *cpu->prepare_layer_norm(norm, norm_bias), 1e-6f),
        reference->layer_norm(x.reference, *reference->prepare_layer_norm(norm, norm_bias), 1e-6f),
        what);
    const HostTensor patch = tensor({7, 3, 2, 2}), patch_bias = tensor({7}),
                     positions = tensor({4, 7});
    const std::vector<float> image = random.values(4 * 4 * 3);
    const Tensor actual =
        cpu->patch_embedding(cpu->upload_images({1, 4, 4, 3}, image, 2),
                             *cpu->prepare_patch_embedding(patch, patch_bias, positions));
    const Tensor expected = reference->patch_embedding(
        reference->upload({1, 4, 4, 3}, image),
        *reference->prepare_patch_embedding(patch, patch_bias, positions));
    expect_close(actual, expected, what);
  }
}

// Of a row of zeros the largest value is 0, by which int8 would divide; the smallest of numbers
// have an inverse that is none.
TEST_P(CpuTest, ZerosAndTheSmallestNumbers) {
  constexpr std::int64_t kRows = 5, kIn = 40, kOut = 35;
  const auto data = std::make_shared<std::vector<float>>(random.values(kOut * kIn, 0.1f));
  std::fill_n(data->begin() + 3 * kIn, kIn, 0.0f);
  std::fill_n(data->begin() + 4 * kIn, kIn, 1e-40f);
  const HostTensor weight{"zeros in a row",
                          DType::kF32,
                          {kOut, kIn},
                          reinterpret_cast<const std::byte*>(data->data()),
                          data};
  const HostTensor bias = random.tensor({kOut}, 0.5f);
  std::vector<float> values = random.values(kRows * kIn);
  std::fill_n(values.begin() + 2 * kIn, kIn, 0.0f);
  std::fill_n(values.begin() + 3 * kIn, kIn, 1e-40f);
  const Tensor actual =
      cpu->linear(cpu->upload({kRows, kIn}, values), *cpu->prepare_linear(weight, &bias));
  const Tensor expected = reference->linear(reference->upload({kRows, kIn}, values),
                                            *reference->prepare_linear(weight, &bias));
  expect_close(actual, expected, "zeros");
  const std::vector<float> out = cpu->download(actual), biases = bias.to_floats();
  for (std::size_t column = 0; column < static_cast<std::size_t>(kOut); ++column) {
    EXPECT_EQ(out[2 * kOut + column], biases[column]) << column;
  }
  for (std::size_t row = 0; row < static_cast<std::size_t>(kRows); ++row) {
    EXPECT_EQ(out[row * kOut + 3], biases[3]) << row;
  }
}

// Memory is handed out again with what was in it, and what is padded is multiplied by zero, which
// of what is not a number does not make zero.
TEST_P(CpuTest, NothingIsLeftOfWhatWasNoNumber) {
  QkvSource source;
  source.heads = {2, 1, 35, false};
  source.q = random.weight(70, 101);
  source.k = random.weight(35, 101);
  source.v = random.weight(35, 101);
  const HostTensor weight = random.weight(33, 101);
  const HostTensor gate = random.weight(35, 101), up = random.weight(35, 101);
  const HostTensor down = random.weight(101, 35);
  const auto all = [&](Device& device, const std::vector<float>& values, std::int64_t tokens) {
    const Tensor x = device.upload({tokens, 101}, values);
    const auto linear = device.prepare_linear(weight, nullptr);
    const auto mlp = device.prepare_gated_mlp(gate, up, down, WeightPrecision::kLayer);
    const auto weights = device.prepare_qkv(source);
    std::vector<std::vector<float>> results;
    results.push_back(device.download(device.linear(x, *linear)));
    results.push_back(
        device.download(device.gated_mlp(x, *mlp, device.upload({tokens, 101}, values))));
    Qkv qkv = device.qkv(x, *weights, {});
    const KeysValues cache = device.keys_values(x, *weights, {});
    results.push_back(device.download(device.attention(std::move(qkv.queries), qkv.own, &cache)));
    return results;
  };
  // One thread, so that it is the same memory; as many rows in as wide a space, and fewer.
  const std::unique_ptr<Device> used = make(1), fresh = make(1);
  const std::vector<float> none(41 * 101, std::nanf(""));
  for (const std::int64_t tokens : {41, 37, 5}) {
    all(*used, none, 41);
    const std::vector<float> values = random.values(tokens * 101);
    EXPECT_EQ(all(*used, values, tokens), all(*fresh, values, tokens)) << tokens;
  }
}

TEST_P(CpuTest, EveryOperation) {
  const auto actual = every_operation(*cpu), expected = every_operation(*reference);
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [operation, values] : expected) {
    // One after another, of few values: what is left of the last holds some ten products.
    expect_values_close(actual.at(operation), values, operation, 10);
  }
}

// In int8 too, where it would otherwise be rounded to some whole number.
TEST_P(CpuTest, WhatIsNotANumberStaysSo) {
  const std::unique_ptr<Device> device = make(1);
  const auto linear = device->prepare_linear(test_weight({33, 40}, 1), nullptr);
  std::vector<float> values = test_values({2, 40}, 2);
  values[45] = std::nanf("");
  const std::vector<float> y =
      device->download(device->linear(device->upload({2, 40}, values), *linear));
  for (int i = 0; i < 33; ++i) {
    EXPECT_TRUE(std::isfinite(y[static_cast<std::size_t>(i)])) << i;
    EXPECT_TRUE(std::isnan(y[static_cast<std::size_t>(33 + i)])) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, CpuTest,
                         testing::Combine(testing::ValuesIn(cpu::kEveryIsa),
                                          testing::ValuesIn(kEveryType)),
                         isa_and_type);

}  // namespace
}  // namespace pi0
