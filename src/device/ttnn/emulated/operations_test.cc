// Each operation against its formula in double precision, on sizes that fill no tile.
#include <array>
#include <cmath>
#include <map>

#include "device/ttnn/emulated/emulated_testing.h"

namespace pi0::emulated_testing {
namespace {

std::vector<double> matmul(const Floats& a, const Floats& b, std::int64_t m, std::int64_t k,
                           std::int64_t n) {
  std::vector<double> c(static_cast<std::size_t>(m * n));
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::int64_t p = 0; p < k; ++p) sum += double{a[i * k + p]} * b[p * n + j];
      c[i * n + j] = sum;
    }
  }
  return c;
}

double gelu(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }
double silu(double x) { return x / (1 + std::exp(-x)); }

TEST(EmulatedCard, GivesBackWhatItWasGiven) {
  const auto api = make_card();
  const Shape4 shape{2, 3, 37, 5};
  const Floats values = random_floats(shape, 1);
  EXPECT_EQ(api->to_host(put(*api, shape, values)), values);
  EXPECT_EQ(api->to_host(put(*api, shape, values, DataType::kFloat32, Layout::kRowMajor)), values);
  const Tensor tensor = zeros(*api, shape);
  api->copy_to_device(values, tensor, 0);
  EXPECT_EQ(api->to_host(tensor), values);
}

TEST(EmulatedCard, Linear) {
  struct Case {
    std::int64_t batch, m, k, n;
  };
  for (const Case& c :
       {Case{1, 1, 1, 1}, Case{1, 37, 53, 71}, Case{2, 64, 96, 33}, Case{1, 130, 588, 31}}) {
    const auto api = make_card();
    const Floats a = random_floats({c.batch, 1, c.m, c.k}, 1);
    const Floats w = random_floats({1, 1, c.k, c.n}, 2);
    const Floats b = random_floats({1, 1, 1, c.n}, 3);
    const Tensor ta = put(*api, {c.batch, 1, c.m, c.k}, a);
    const Tensor tw = put(*api, {1, 1, c.k, c.n}, w);
    const Tensor tb = put(*api, {1, 1, 1, c.n}, b);
    LinearOptions options = linear_options(c.batch * round_to_tile(c.m), c.n);
    options.program_config.in0_block_w = static_cast<int>(round_to_tile(c.k) / kTile);
    std::vector<double> expected = matmul(a, w, c.batch * c.m, c.k, c.n);
    expect_close(api->to_host(api->linear(ta, tw, nullptr, options)), expected, 1e-6, "linear");
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += b[i % b.size()];
    // The sums pass through tf32 to meet the bias, which is cut to what they leave.
    expect_close(api->to_host(api->linear(ta, tw, &tb, options)), expected, 2e-3, "with bias");
    options.activation = Unary::kGelu;
    for (double& e : expected) e = gelu(e);
    // Where gelu gives the value itself it is up to 0.0075 off.
    expect_close(api->to_host(api->linear(ta, tw, &tb, options)), expected, 2.5e-3, "with gelu");
    options.dtype = DataType::kBfloat16;
    expect_close(api->to_host(api->linear(ta, tw, &tb, options)), expected, 5e-3, "in bfloat16");
  }
}

TEST(EmulatedCard, MultipliesWithTheBitsThatTheFidelityHas) {
  const auto api = make_card();
  // One product: 1 + 1/128 (in0) by 1 + 1/64 (in1), of which SrcB has 6 bits after the leading one
  // and SrcA 4, in one pass.
  const float a = 1 + 1.0f / 128;
  const float w = 1 + 1.0f / 64;
  const Tensor ta = put(*api, {1, 1, 1, 1}, {a});
  const Tensor tw = put(*api, {1, 1, 1, 1}, {w});
  const auto product = [&](MathFidelity fidelity) {
    LinearOptions options = linear_options(1, 1);
    options.compute.math_fidelity = fidelity;
    return api->to_host(api->linear(ta, tw, nullptr, options))[0];
  };
  EXPECT_EQ(product(MathFidelity::kLoFi), 1.0f);
  EXPECT_EQ(product(MathFidelity::kHiFi2), w);
  EXPECT_EQ(product(MathFidelity::kHiFi3), w + 1.0f / 128);
  EXPECT_EQ(product(MathFidelity::kHiFi4), a * w);
}

// Without a bias what the blocks before came to is taken up again for the last, in tf32; with one,
// what all of them came to.
TEST(EmulatedCard, TakesUpTheSumsOfBlocksInTf32) {
  const auto api = make_card();
  constexpr float kValue = 1 + 1.0f / 128;  // its square has 14 bits
  constexpr std::int64_t kTiles = 4;
  const Tensor bias = zeros(*api, {1, 1, 1, 1});
  const auto square = [&](std::int64_t tile, int block, bool biased) {
    Floats x(kTiles * kTile);
    x[static_cast<std::size_t>(tile * kTile)] = kValue;
    const Tensor a = put(*api, {1, 1, 1, kTiles * kTile}, x);
    LinearOptions options = linear_options(1, 1);
    options.program_config.in0_block_w = block;
    return api->to_host(api->linear(a, put(*api, {1, 1, kTiles * kTile, 1}, x),
                                    biased ? &bias : nullptr, options))[0];
  };
  const float all = kValue * kValue, cut = 1 + 1.0f / 64;
  EXPECT_EQ(square(0, 1, false), cut);
  EXPECT_EQ(square(2, 1, false), cut);
  EXPECT_EQ(square(3, 1, false), all);
  EXPECT_EQ(square(1, 2, false), cut);
  EXPECT_EQ(square(2, 2, false), all);
  EXPECT_EQ(square(0, 4, false), all);
  EXPECT_EQ(square(3, 1, true), cut);
}

TEST(EmulatedCard, SumsInBfloat16WithoutFp32Destination) {
  const auto api = make_card();
  // 256 and then 64 times 0.5: in bfloat16 256 + 16 is kept from tile to tile, 272 + 16 too; but
  // 256 + 0.5 is lost when each tile adds only that.
  const std::int64_t k = 3 * kTile;
  Floats a(static_cast<std::size_t>(k));
  a[0] = 256;
  a[kTile] = 0.5f;
  a[2 * kTile] = 0.5f;
  const Tensor ta = put(*api, {1, 1, 1, k}, a);
  const Tensor tw = put(*api, {1, 1, k, 1}, Floats(static_cast<std::size_t>(k), 1.0f));
  LinearOptions options = linear_options(1, 1);
  EXPECT_EQ(api->to_host(api->linear(ta, tw, nullptr, options))[0], 257.0f);
  options.compute.fp32_dest_acc_en = false;
  EXPECT_EQ(api->to_host(api->linear(ta, tw, nullptr, options))[0], 256.0f);
}

TEST(EmulatedCard, Norms) {
  for (std::int64_t width : {1, 37, 64, 131}) {
    const auto api = make_card();
    const Shape4 shape{2, 1, 5, width};
    const Floats x = random_floats(shape, 1);
    const Floats w = random_floats({1, 1, 1, width}, 2);
    const Floats b = random_floats({1, 1, 1, width}, 3);
    const Tensor tx = put(*api, shape, x);
    const Tensor tw = put(*api, {1, 1, 1, width}, w);
    const Tensor tb = put(*api, {1, 1, 1, width}, b);
    NormOptions options{0.01f, Placement::kL1, exact()};
    std::vector<double> layer(x.size()), rms(x.size());
    for (std::size_t r = 0; r < x.size(); r += w.size()) {
      double mean = 0, squares = 0, variance = 0;
      for (std::size_t i = 0; i < w.size(); ++i) {
        mean += x[r + i] / double(width);
        squares += double{x[r + i]} * x[r + i] / double(width);
      }
      for (std::size_t i = 0; i < w.size(); ++i) {
        variance += (x[r + i] - mean) * (x[r + i] - mean) / double(width);
      }
      for (std::size_t i = 0; i < w.size(); ++i) {
        layer[r + i] = (x[r + i] - mean) / std::sqrt(variance + 0.01) * w[i] + b[i];
        rms[r + i] = x[r + i] / std::sqrt(squares + 0.01) * w[i];
      }
    }
    expect_close(api->to_host(api->layer_norm(tx, tw, tb, options)), layer, 1e-2, "layer norm");
    expect_close(api->to_host(api->rms_norm(tx, tw, nullptr, options)), rms, 1e-2, "RMS norm");
  }
}

TEST(EmulatedCard, AddsAndMultiplies) {
  const auto api = make_card();
  const Shape4 shape{2, 1, 37, 41};
  const Floats a = random_floats(shape, 1);
  const Floats b = random_floats(shape, 2);
  const Floats row = random_floats({1, 1, 1, 41}, 3);
  const Tensor ta = put(*api, shape, a);
  const Tensor tb = put(*api, shape, b);
  const Tensor tr = put(*api, {1, 1, 1, 41}, row);
  BinaryOptions options;
  options.dtype = DataType::kFloat32;
  std::vector<double> sum, product, rows, gated, shifted, scaled;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum.push_back(double{a[i]} + b[i]);
    product.push_back(double{a[i]} * b[i]);
    rows.push_back(double{a[i]} * row[i % 41]);
    shifted.push_back(double{a[i]} + 0.5);
    scaled.push_back(double{a[i]} * -0.25);
    gated.push_back(gelu(a[i]) * b[i]);
  }
  expect_close(api->to_host(api->add(ta, tb, options)), sum, 1e-7, "add");
  expect_close(api->to_host(api->multiply(ta, tb, options)), product, 1e-7, "multiply");
  expect_close(api->to_host(api->multiply(ta, tr, options)), rows, 1e-7, "rows");
  expect_close(api->to_host(api->add(ta, 0.5f, options)), shifted, 1e-7, "add a number");
  expect_close(api->to_host(api->multiply(ta, -0.25f, options)), scaled, 1e-7, "times a number");
  options.lhs_activation = Unary::kGelu;  // stored in bfloat16 before it is multiplied
  expect_close(api->to_host(api->multiply(ta, tb, options)), gated, 8e-3, "gelu");
  options.lhs_activation = Unary::kSilu;
  for (std::size_t i = 0; i < a.size(); ++i) gated[i] = silu(a[i]) * b[i];
  expect_close(api->to_host(api->multiply(ta, tb, options)), gated, 8e-3, "silu");
}

TEST(EmulatedCard, WritesASumInPlace) {
  const auto api = make_card();
  const Shape4 shape{1, 1, 3, 7};
  const Floats a = random_floats(shape, 1);
  const Tensor ta = put(*api, shape, a, DataType::kFloat32);
  BinaryOptions options;
  options.dtype = DataType::kFloat32;
  options.output = &ta;
  const std::int64_t live = api->memory().live_tensors;
  api->add(ta, 0.1f, options);
  EXPECT_EQ(api->memory().live_tensors, live);
  std::vector<double> expected;
  for (float v : a) expected.push_back(double{v} + double{0.1f});
  expect_close(api->to_host(ta), expected, 1e-7, "x_t");
}

TEST(EmulatedCard, AddsFloat32ToBfloat16WithTf32Alone) {
  const auto api = make_card();
  const float fine = 1 + std::ldexp(1.0f, -12);  // beyond the 10 bits of tf32
  const Tensor a = put(*api, {1, 1, 1, 1}, {fine}, DataType::kFloat32);
  const Tensor same = put(*api, {1, 1, 1, 1}, {0.0f}, DataType::kFloat32);
  const Tensor other = put(*api, {1, 1, 1, 1}, {0.0f});
  BinaryOptions options;
  options.dtype = DataType::kFloat32;
  EXPECT_EQ(api->to_host(api->add(a, same, options))[0], fine);
  EXPECT_EQ(api->to_host(api->add(a, other, options))[0], 1.0f);
}

TEST(EmulatedCard, GivesTheValueItselfAsGeluFrom2Point78125On) {
  const auto api = make_card();
  const Tensor one = put(*api, {1, 1, 1, 1}, {1.0f});
  LinearOptions options = linear_options(1, 1);
  options.activation = Unary::kGelu;
  const auto of = [&](float x) {
    return api->to_host(api->linear(put(*api, {1, 1, 1, 1}, {x}), one, nullptr, options))[0];
  };
  EXPECT_EQ(of(2.78125f), 2.78125f);
  EXPECT_NEAR(of(2.765625f), gelu(2.765625), 1e-5);
}

// The smaller of two is brought to the larger one's exponent with 10 bits behind its leading one.
TEST(EmulatedCard, AddsWithTheBitsThatTheLargerOneLeaves) {
  const auto api = make_card();
  const auto sum = [&](float a, float b) {
    BinaryOptions options;
    options.dtype = DataType::kFloat32;
    return api->to_host(api->add(put(*api, {1, 1, 1, 1}, {a}, DataType::kFloat32),
                                 put(*api, {1, 1, 1, 1}, {b}), options))[0];
  };
  EXPECT_EQ(sum(1, 3.0f / 4096), 1 + 1.0f / 1024);
  EXPECT_EQ(sum(1, -3.0f / 4096), 1 - 1.0f / 1024);
  EXPECT_EQ(sum(1, 1.5f / 4096), 1.0f);
  EXPECT_EQ(sum(-1.0f / 256, 1.5f), 1.5f - 1.0f / 256);
}

// The matrix unit and the packer round ties away from zero, the vector unit to even.
TEST(EmulatedCard, RoundsTiesAwayFromZeroButForTheVectorUnit) {
  const auto api = make_card();
  const auto put_one = [&](float x) { return put(*api, {1, 1, 1, 1}, {x}); };
  EXPECT_EQ(api->to_host(api->add(put_one(1), put_one(1.0f / 256), {}))[0], 1 + 1.0f / 128);
  EXPECT_EQ(api->to_host(api->add(put_one(-1), put_one(-1.0f / 256), {}))[0], -1 - 1.0f / 128);
  // 131 / 128 x 1.5 = 196.5 / 128.
  const Tensor a = put_one(131.0f / 128), b = put_one(1.5f);
  EXPECT_EQ(api->to_host(api->multiply(a, b, {}))[0], 196.0f / 128);
  EXPECT_EQ(api->to_host(api->linear(a, b, nullptr, linear_options(1, 1, DataType::kBfloat16)))[0],
            197.0f / 128);
}

// Rows of one value, which a norm should make 1: what TTNN 0.71.2's kernels gave of them on
// Tenstorrent's simulators of the two, in float32 and HiFi3.
TEST(EmulatedCard, NormalisesWithTheBitsThatTheKernelsKeep) {
  constexpr std::int64_t kWidth = 64;
  constexpr float kBelow = 0.99902344f;
  for (const bool wormhole : {true, false}) {
    const auto api = make_card(wormhole ? "n150" : "p150");
    const std::map<float, float> given{{1.0f, 1.0f},       {1.5f, kBelow},
                                       {1.25f, kBelow},    {1.75f, kBelow},
                                       {3.0f, kBelow},     {1.4140625f, wormhole ? 1.0f : kBelow},
                                       {1.71875f, kBelow}, {1.1171875f, 1.0f}};
    const Tensor gain = put(*api, {1, 1, 1, kWidth}, Floats(kWidth, 1.0f));
    const Tensor shift = zeros(*api, {1, 1, 1, kWidth});
    NormOptions options{1e-6f, Placement::kL1, exact()};
    options.compute.math_fidelity = MathFidelity::kHiFi3;
    for (const auto& [value, expected] : given) {
      Floats row(kWidth, value);
      Tensor x = put(*api, {1, 1, 1, kWidth}, row, DataType::kFloat32);
      EXPECT_EQ(api->to_host(api->rms_norm(x, gain, nullptr, options))[0], expected) << value;
      for (std::size_t i = 1; i < row.size(); i += 2) row[i] = -value;  // a mean of 0
      x = put(*api, {1, 1, 1, kWidth}, row, DataType::kFloat32);
      EXPECT_EQ(api->to_host(api->layer_norm(x, gain, shift, options))[0], expected) << value;
    }
  }
}

TEST(EmulatedCard, Fold) {
  const auto api = make_card();
  const Shape4 shape{2, 6, 4, 3};
  const Floats x = random_floats(shape, 1);
  const Tensor t = put(*api, shape, x, DataType::kBfloat16, Layout::kRowMajor);
  const Tensor folded = api->fold(t, 3, 2);
  EXPECT_EQ(folded.shape(), (Shape4{2, 2, 2, 18}));
  const Floats got = api->to_host(folded);
  std::size_t i = 0;
  for (int n = 0; n < 2; ++n) {
    for (int h = 0; h < 2; ++h) {
      for (int w = 0; w < 2; ++w) {
        for (int r = 0; r < 3; ++r) {
          for (int c = 0; c < 2; ++c) {
            for (int ch = 0; ch < 3; ++ch, ++i) {
              EXPECT_EQ(got[i], x[((n * 6 + h * 3 + r) * 4 + w * 2 + c) * 3 + ch]);
            }
          }
        }
      }
    }
  }
}

TEST(EmulatedCard, SlicesAndConcatenates) {
  const auto api = make_card();
  const Shape4 shape{2, 1, 70, 96};
  const Floats x = random_floats(shape, 1);
  const Tensor t = put(*api, shape, x);
  const Floats part = api->to_host(api->slice(t, {1, 0, 32, 64}, {2, 1, 70, 90}, Placement::kDram));
  ASSERT_EQ(part.size(), 38u * 26u);
  for (int r = 0; r < 38; ++r) {
    for (int c = 0; c < 26; ++c) EXPECT_EQ(part[r * 26 + c], x[(70 + 32 + r) * 96 + 64 + c]);
  }
  // Along each dimension, with parts that fill their tiles and parts that do not.
  for (int dim = 0; dim < 4; ++dim) {
    for (std::int64_t first : {32, 5}) {
      Shape4 a{2, 2, 32, 64}, b{2, 2, 32, 64};
      a[static_cast<std::size_t>(dim)] = first;
      b[static_cast<std::size_t>(dim)] = 7;
      const Floats va = random_floats(a, 2);
      const Floats vb = random_floats(b, 3);
      const std::array<Tensor, 2> parts{put(*api, a, va), put(*api, b, vb)};
      const Floats got = api->to_host(api->concat(parts, dim, Placement::kL1));
      std::size_t inner = 1, outer = 1;
      for (int d = 0; d < 4; ++d) {
        (d < dim ? outer : inner) *= static_cast<std::size_t>(d == dim ? 1 : a[d]);
      }
      Floats expected;
      for (std::size_t o = 0; o < outer; ++o) {
        const std::size_t na = static_cast<std::size_t>(first) * inner;
        const std::size_t nb = 7 * inner;
        expected.insert(expected.end(), va.begin() + o * na, va.begin() + (o + 1) * na);
        expected.insert(expected.end(), vb.begin() + o * nb, vb.begin() + (o + 1) * nb);
      }
      EXPECT_EQ(got, expected) << "dimension " << dim << ", first part " << first;
    }
  }
}

TEST(EmulatedCard, ChangesLayoutAndShape) {
  const auto api = make_card();
  const Floats x = random_floats({2, 1, 50, 45}, 1);
  const Tensor t = put(*api, {2, 1, 50, 45}, x);
  const Tensor rows = api->to_layout(t, Layout::kRowMajor, Placement::kDram);
  EXPECT_EQ(api->to_host(rows), x);
  EXPECT_EQ(api->to_host(api->to_layout(rows, Layout::kTile, Placement::kL1)), x);
  EXPECT_EQ(api->to_host(api->reshape(t, {1, 1, 100, 45}, Placement::kDram)), x);
  // As a view, rows of the first batch's padding come between.
  const Floats seen = api->to_host(api->view(t, {1, 1, 128, 45}, {1, 1, 128, 64}));
  EXPECT_EQ(Floats(seen.begin(), seen.begin() + 50 * 45), Floats(x.begin(), x.begin() + 50 * 45));
  EXPECT_EQ(seen[50 * 45], 0.0f);
  EXPECT_EQ(Floats(seen.begin() + 64 * 45, seen.begin() + 114 * 45),
            Floats(x.begin() + 50 * 45, x.end()));
}

TEST(EmulatedCard, PaddingIsStored) {
  const auto api = make_card();
  const Tensor t = put(*api, {1, 1, 3, 5}, Floats(15, 1.0f));
  BinaryOptions options;
  const Tensor sum = api->add(t, 2.0f, options);
  const Floats all = api->to_host(api->view(sum, {1, 1, 32, 32}, {1, 1, 32, 32}));
  EXPECT_EQ(all[0], 3.0f);
  EXPECT_EQ(all[5], 2.0f);       // beyond the columns
  EXPECT_EQ(all[3 * 32], 2.0f);  // beyond the rows
}

}  // namespace
}  // namespace pi0::emulated_testing
