// Every operation of the TTNN device but attention, on the emulated card, against the reference
// device: random values, odd shapes.
#include <tuple>

#include "device/ttnn/emulated/storage.h"
#include "device/ttnn/ttnn_testing.h"

namespace pi0 {
namespace {

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
    const Both gates = upload({rows, out});
    for (const Both* by : {&gate, &gates}) {
      residual = upload({rows, out});
      expect_same(ttnn->linear_residual(x.ttnn, *a, std::move(residual.ttnn), &by->ttnn),
                  reference->linear_residual(x.reference, *b, std::move(residual.reference),
                                             &by->reference),
                  "gated linear_residual" + what);
    }
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
    WeightPrecision precision;
  };
  for (const auto& [rows, width, hidden, precision] :
       {Case{1, 1, 1, WeightPrecision::kLayer}, Case{33, 72, 112, WeightPrecision::kLayer},
        Case{50, 40, 71, WeightPrecision::kLayer}, Case{129, 64, 256, WeightPrecision::kLayer},
        Case{1, 1, 1, WeightPrecision::kCoarse}, Case{50, 40, 71, WeightPrecision::kCoarse},
        Case{129, 64, 256, WeightPrecision::kCoarse}}) {
    const HostTensor gate = random.weight(hidden, width);
    const HostTensor up = random.weight(hidden, width);
    const HostTensor down = random.weight(width, hidden);
    const auto a = ttnn->prepare_gated_mlp(gate, up, down, precision);
    const auto b = reference->prepare_gated_mlp(gate, up, down, WeightPrecision::kLayer);
    const Both x = upload({rows, width}), factor = upload({1, width});
    const Both factors = upload({rows, width});
    Both residual = upload({rows, width});
    expect_same(ttnn->gated_mlp(x.ttnn, *a, std::move(residual.ttnn)),
                reference->gated_mlp(x.reference, *b, std::move(residual.reference)),
                "gated_mlp" + name({rows, width, hidden}));
    for (const Both* by : {&factor, &factors}) {
      residual = upload({rows, width});
      expect_same(
          ttnn->gated_mlp(x.ttnn, *a, std::move(residual.ttnn), &by->ttnn),
          reference->gated_mlp(x.reference, *b, std::move(residual.reference), &by->reference),
          "gated gated_mlp" + name({rows, width, hidden}));
    }
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
  const std::vector<float> values = reference->download(x.reference);
  expect_close(
      small->download(
          small->gated_mlp(small->upload({40, width}, values),
                           *small->prepare_gated_mlp(gate, up, down, WeightPrecision::kLayer),
                           small->upload({40, width}, std::vector<float>(40 * width)))),
      reference->download(reference->gated_mlp(
          x.reference, *reference->prepare_gated_mlp(gate, up, down, WeightPrecision::kLayer),
          reference->upload({40, width}, std::vector<float>(40 * width)))),
      "gated_mlp in parts");
}

// weight [out, in] as a card has it in bfloat4_b: sixteen outputs of one input share an exponent.
HostTensor in_four_bits(const HostTensor& weight) {
  const std::int64_t out = weight.shape[0], in = weight.shape[1];
  const std::int64_t padded = shim::round_to_tile(out);
  const std::vector<float> values = weight.to_floats();
  auto rounded = std::make_shared<std::vector<float>>(values.size());
  for (std::int64_t i = 0; i < in; ++i) {
    std::vector<float> row(static_cast<std::size_t>(padded));
    for (std::int64_t o = 0; o < out; ++o) row[o] = values[o * in + i];
    emulated::Values kept(shim::DataType::kBfloat4B, 1, padded);
    kept.write(0, row);
    row = kept.read_all();
    for (std::int64_t o = 0; o < out; ++o) (*rounded)[o * in + i] = row[o];
  }
  const auto* bytes = reinterpret_cast<const std::byte*>(rounded->data());
  return {weight.name, DType::kF32, weight.shape, bytes, rounded};
}

// The row of the table that is the expert's reaches its MLPs, and no others.
TEST_P(TtnnTest, GatedMlpInFourBits) {
  Policies policies = default_policies(card);
  override_policy(policies, "expert_mlp=bfloat4_b");
  const std::unique_ptr<Device> coarse =
      make_ttnn_device(make_emulated_shim(card), policies, "ttnn-emulated");
  const std::int64_t rows = 37, width = 72, hidden = 113;
  const HostTensor gate = random.weight(hidden, width);
  const HostTensor up = random.weight(hidden, width);
  const HostTensor down = random.weight(width, hidden);
  const std::vector<float> x = random.values(rows * width), before = random.values(rows * width);
  const auto by = [&](Device& device, WeightPrecision precision, const auto& weights) {
    const auto& [g, u, d] = weights;
    return device.download(device.gated_mlp(device.upload({rows, width}, x),
                                            *device.prepare_gated_mlp(g, u, d, precision),
                                            device.upload({rows, width}, before)));
  };
  const std::tuple whole(gate, up, down);
  const std::tuple rounded(in_four_bits(gate), in_four_bits(up), in_four_bits(down));
  expect_close(by(*coarse, WeightPrecision::kLayer, whole),
               by(*reference, WeightPrecision::kLayer, rounded), "the expert's");
  expect_close(by(*coarse, WeightPrecision::kCoarse, whole),
               by(*reference, WeightPrecision::kLayer, whole), "Gemma's");
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

// Cameras, each its own sequence, become rows of one: where they fill their tiles, and where not.
TEST_P(TtnnTest, ConcatenatesRowsOfSequences) {
  for (const std::int64_t side : {8, 3}) {
    for (const std::int64_t width : {33, 64}) {
      const HostTensor weight = random.tensor({width, 3, 2, 2}, 0.3f);
      const HostTensor bias = random.tensor({width}, 0.1f);
      const HostTensor positions = random.tensor({side * side, width}, 0.5f);
      const Shape shape{2, 2 * side, 2 * side, 3};
      const std::vector<float> images = random.values(element_count(shape));
      const Tensor a =
          ttnn->patch_embedding(ttnn->upload_images(shape, images, 2),
                                *ttnn->prepare_patch_embedding(weight, bias, positions));
      const Tensor b =
          reference->patch_embedding(reference->upload(shape, images),
                                     *reference->prepare_patch_embedding(weight, bias, positions));
      const Both tokens = upload({5, width});
      const Tensor* a_parts[] = {&a, &tokens.ttnn};
      const Tensor* b_parts[] = {&b, &tokens.reference};
      expect_same(ttnn->concatenate_rows(a_parts), reference->concatenate_rows(b_parts),
                  "rows of sequences" + name({side, width}));
      expect_same(ttnn->concatenate_rows(std::span(a_parts).first(1)),
                  reference->concatenate_rows(std::span(b_parts).first(1)),
                  "rows of sequences alone" + name({side, width}));
    }
  }
}

// Of every bit: in bf16, which is rounded on its way up, and in fp32; rows within a tile, up to its
// end and beyond.
TEST_P(TtnnTest, ChooseRowsIsExact) {
  constexpr std::int64_t kRows = 50;
  for (const std::int64_t width : {7, 65}) {
    for (const std::int64_t chosen : {1, 31, 32, 33, 49}) {
      for (const Precision precision : {Precision::kActivation, Precision::kFp32}) {
        std::vector<float> mask(kRows * width);
        std::fill_n(mask.begin(), chosen * width, 1.0f);
        std::vector<float> others(mask);
        for (float& one : others) one = 1 - one;
        for (const auto& [a_rows, b_rows] : {std::pair(kRows, kRows),
                                             {std::int64_t{1}, kRows},
                                             {std::int64_t{1}, std::int64_t{1}}}) {
          const Tensor a = ttnn->upload({a_rows, width}, random.values(a_rows * width), precision);
          const Tensor b = ttnn->upload({b_rows, width}, random.values(b_rows * width), precision);
          const std::vector<float> from_a = ttnn->download(a), from_b = ttnn->download(b);
          std::vector<float> expected(mask.size());
          for (std::size_t i = 0; i < expected.size(); ++i) {
            const std::vector<float>& from = mask[i] != 0 ? from_a : from_b;
            expected[i] = from[i % from.size()];
          }
          EXPECT_EQ(
              ttnn->download(ttnn->choose_rows(a, ttnn->upload({kRows, width}, mask, precision), b,
                                               ttnn->upload({kRows, width}, others, precision))),
              expected)
              << chosen << " of " << kRows << " x " << width;
        }
      }
    }
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

TEST_P(TtnnTest, GuidedVelocityIsExact) {
  std::vector<std::vector<float>> values;
  for (int i = 0; i < 4; ++i) values.push_back(random.values(50 * 7));
  const auto guide = [&](Device& device) {
    std::vector<Tensor> in;
    for (const auto& one : values) in.push_back(device.upload({50, 7}, one, Precision::kFp32));
    return device.download(device.guided_velocity(in[0], in[1], in[2], in[3], 0.7f, 3.0f));
  };
  const std::vector<float> made = guide(*ttnn), expected = guide(*reference);
  for (std::size_t i = 0; i < made.size(); ++i) EXPECT_NEAR(made[i], expected[i], 1e-5) << i;
}

INSTANTIATE_TEST_SUITE_P(Cards, TtnnTest, testing::Values("n150", "p150"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace pi0
