#include <algorithm>
#include <cmath>

#include "device/ttnn/emulated/emulated_testing.h"

namespace pi0::emulated_testing {
namespace {

TEST(EmulatedCard, CreatesAndConcatenatesHeads) {
  const auto api = make_card();
  const std::int64_t tokens = 37, dim = 32;
  const Shape4 shape{2, 1, tokens, 5 * dim};  // 3 query heads, 1 of keys, 1 of values
  const Floats x = random_floats(shape, 1);
  const Heads heads =
      api->nlp_create_qkv_heads(put(*api, shape, x), nullptr, 3, 1, Placement::kDram);
  EXPECT_EQ(heads.q.shape(), (Shape4{2, 3, tokens, dim}));
  EXPECT_EQ(heads.v.shape(), (Shape4{2, 1, tokens, dim}));
  const Floats q = api->to_host(heads.q);
  const Floats v = api->to_host(heads.v);
  Floats queries;
  for (int b = 0; b < 2; ++b) {
    for (int t = 0; t < tokens; ++t) {
      for (int h = 0; h < 3; ++h) {
        for (int d = 0; d < dim; ++d) {
          const float expected = x[(b * tokens + t) * 5 * dim + h * dim + d];
          EXPECT_EQ(q[((b * 3 + h) * tokens + t) * dim + d], expected);
          queries.push_back(expected);
        }
      }
      for (int d = 0; d < dim; ++d) {
        EXPECT_EQ(v[(b * tokens + t) * dim + d], x[(b * tokens + t) * 5 * dim + 4 * dim + d]);
      }
    }
  }
  EXPECT_EQ(api->to_host(api->nlp_concat_heads(heads.q, Placement::kDram)), queries);

  const Floats kv = random_floats({2, 1, tokens, 2 * dim}, 2);
  const Tensor tkv = put(*api, {2, 1, tokens, 2 * dim}, kv);
  const Tensor tq = put(*api, {2, 1, tokens, 3 * dim}, queries);
  const Heads apart = api->nlp_create_qkv_heads(tq, &tkv, 3, 1, Placement::kDram);
  EXPECT_EQ(api->to_host(apart.q), q);
  EXPECT_EQ(api->to_host(apart.v)[0], kv[dim]);
}

TEST(EmulatedCard, Rotates) {
  for (std::int64_t dim : {32, 64, 256}) {
    const auto api = make_card();
    const Shape4 shape{2, 3, 35, dim};
    const Floats x = random_floats(shape, 1);
    const Floats cos = random_floats({1, 1, 40, dim}, 2);
    const Floats sin = random_floats({1, 1, 40, dim}, 3);
    const Tensor rotated =
        api->rotary_embedding(put(*api, shape, x), put(*api, {1, 1, 40, dim}, cos),
                              put(*api, {1, 1, 40, dim}, sin), Placement::kDram, exact());
    EXPECT_EQ(rotated.shape(), (Shape4{2, 3, 64, dim}));
    std::vector<double> expected;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::int64_t d = static_cast<std::int64_t>(i) % dim;
      const std::int64_t t = static_cast<std::int64_t>(i) / dim % 35;
      const double other = d < dim / 2 ? -x[i + dim / 2] : x[i - dim / 2];
      expected.push_back(double{x[i]} * cos[t * dim + d] + other * sin[t * dim + d]);
    }
    const Tensor seen = api->view(rotated, shape, {2, 3, 64, dim});
    // Two products of up to 4, each a sum of parts that are rounded to 1/64.
    expect_close(api->to_host(seen), expected, 3e-2, "rotary embedding");
  }
}

// What TTNN 0.71.2's kernel gave of these on Tenstorrent's simulator.
TEST(EmulatedCard, RotatesWithTheBitsThatTheKernelKeeps) {
  const auto api = make_card();
  const Shape4 shape{1, 1, 32, 64};
  const auto numbers = [&](int step, int first) {
    Floats values(count(shape));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>((static_cast<int>(i) * step + first) % 255 - 127) / 64;
    }
    return put(*api, shape, values);
  };
  const Floats rotated = api->to_host(api->rotary_embedding(
      numbers(37, 0), numbers(53, 11), numbers(71, 5), Placement::kDram, exact()));
  const Floats expected{
      4.71875f,       2.3125f,      -0.4140625f,  2.203125f,    -1.1015625f,  -1.6796875f,
      -1.2734375f,    -1.203125f,   0.109375f,    -1.4609375f,  2.25f,        -1.9765625f,
      -0.0966796875f, 1.453125f,    -4.53125f,    3.265625f,    0.5390625f,   1.53125f,
      -1.2890625f,    1.7421875f,   -1.984375f,   -0.48046875f, 1.3203125f,   -0.2578125f,
      1.328125f,      1.2109375f,   -0.53515625f, 1.0078125f,   -3.578125f,   4.25f,
      1.5f,           0.8671875f,   -2.953125f,   3.5f,         -2.65625f,    0.9375f,
      -0.71484375f,   -1.125f,      0.71484375f,  -3.8125f,     1.140625f,    0.66796875f,
      -1.9296875f,    -1.21875f,    -0.3203125f,  0.263671875f, -2.140625f,   3.609375f,
      -3.234375f,     1.59375f,     1.046875f,    -1.3671875f,  0.263671875f, -3.34375f,
      0.9140625f,     0.239257812f, -1.1171875f,  -0.609375f,   -0.9140625f,  -0.53125f,
      -1.515625f,     3.546875f,    3.90625f,     2.046875f,
  };
  EXPECT_EQ(Floats(rotated.begin(), rotated.begin() + 64), expected);
}

struct AttentionCase {
  std::int64_t batch, heads, kv_heads, queries, keys, dim;
  int q_chunk, k_chunk;
};

std::vector<double> attention(const AttentionCase& c, const Floats& q, const Floats& k,
                              const Floats& v, const Floats& mask, double scale) {
  std::vector<double> out(q.size());
  for (std::int64_t b = 0; b < c.batch; ++b) {
    for (std::int64_t h = 0; h < c.heads; ++h) {
      const std::int64_t kv = b * c.kv_heads + h * c.kv_heads / c.heads;
      for (std::int64_t i = 0; i < c.queries; ++i) {
        const float* query = &q[((b * c.heads + h) * c.queries + i) * c.dim];
        std::vector<double> p(static_cast<std::size_t>(c.keys));
        double sum = 0;
        for (std::int64_t j = 0; j < c.keys; ++j) {
          double score = 0;
          for (std::int64_t d = 0; d < c.dim; ++d) {
            score += double{query[d]} * k[(kv * c.keys + j) * c.dim + d];
          }
          p[j] = std::exp(score * scale + (mask.empty() ? 0.0 : mask[i * c.keys + j]));
          sum += p[j];
        }
        for (std::int64_t j = 0; j < c.keys; ++j) {
          for (std::int64_t d = 0; d < c.dim; ++d) {
            out[((b * c.heads + h) * c.queries + i) * c.dim + d] +=
                p[j] / sum * v[(kv * c.keys + j) * c.dim + d];
          }
        }
      }
    }
  }
  return out;
}

TEST(EmulatedCard, Attends) {
  for (const AttentionCase& c :
       {AttentionCase{1, 1, 1, 1, 1, 32, 32, 32}, AttentionCase{2, 4, 2, 37, 53, 64, 32, 64},
        AttentionCase{1, 2, 1, 5, 131, 96, 32, 32}, AttentionCase{1, 1, 1, 64, 64, 32, 64, 64}}) {
    const auto api = make_card();
    const Shape4 qs{c.batch, c.heads, c.queries, c.dim};
    const Shape4 ks{c.batch, c.kv_heads, c.keys, c.dim};
    const Floats q = random_floats(qs, 1);
    const Floats k = random_floats(ks, 2);
    const Floats v = random_floats(ks, 3);
    SdpaOptions options;
    options.scale = 0.0625f;
    options.grid = {8, 8};
    options.q_chunk_size = c.q_chunk;
    options.k_chunk_size = c.k_chunk;
    options.compute = exact();
    const Tensor got = api->scaled_dot_product_attention(put(*api, qs, q), put(*api, ks, k),
                                                         put(*api, ks, v), nullptr, options);
    expect_close(api->to_host(got), attention(c, q, k, v, {}, options.scale), 2e-2, "no mask");
  }
}

// Every second key masked, in a head whose keys fill their tiles.
TEST(EmulatedCard, AttendsWithAMask) {
  const AttentionCase c{1, 2, 1, 40, 64, 32, 32, 32};
  const auto api = make_card();
  const Shape4 qs{1, 2, 40, 32}, ks{1, 1, 64, 32}, ms{1, 1, 40, 64};
  const Floats q = random_floats(qs, 1);
  const Floats k = random_floats(ks, 2);
  const Floats v = random_floats(ks, 3);
  Floats mask(count(ms));
  for (std::size_t i = 0; i < mask.size(); i += 2) mask[i] = -1e4f;
  SdpaOptions options;
  options.scale = 0.125f;
  options.grid = {8, 8};
  options.compute = exact();
  const Tensor tm = put(*api, ms, mask);
  const Tensor got = api->scaled_dot_product_attention(put(*api, qs, q), put(*api, ks, k),
                                                       put(*api, ks, v), &tm, options);
  expect_close(api->to_host(got), attention(c, q, k, v, mask, options.scale), 3e-2, "mask");
}

// A query whose products with keys, and those with values, are exact: what TTNN 0.71.2's kernel
// gave on Tenstorrent's simulator, without a mask and with one.
TEST(EmulatedCard, AttendsWithTheBitsThatTheKernelKeeps) {
  const auto api = make_card();
  constexpr int kTokens = 32, kKeys = 72, kPadded = 96, kDim = 32;
  const Floats expected[2]{
      {0.0103759766f, 0.0241699219f,  0.0190429688f, 0.0451660156f, 0.0349121094f, 0.0849609375f,
       0.0659179688f, 0.0126953125f,  0.014831543f,  0.0212402344f, 0.0284423828f, 0.0393066406f,
       0.0534667969f, 0.00994873047f, 0.0134887695f, 0.0183105469f, 0.0255126953f, 0.0336914062f,
       0.0478515625f, 0.0625f,        0.0120849609f, 0.0157470703f, 0.0225830078f, 0.0296630859f,
       0.0422363281f, 0.0563964844f,  0.0106201172f, 0.0142211914f, 0.0197753906f, 0.0268554688f,
       0.0363769531f, 0.0505371094f},
      {0.0137939453f, 0.0186767578f,  0.00616455078f, 0.0349121094f, 0.0466308594f,  0.116699219f,
       0.0869140625f, 0.0167236328f,  0.0198974609f,  0.03125f,      0.00482177734f, 0.00698852539f,
       0.0766601562f, 0.00177001953f, 0.00231933594f, 0.0277099609f, 0.0329589844f,  0.0454101562f,
       0.0698242188f, 0.0112915039f,  0.0153808594f,  0.0235595703f, 0.00396728516f, 0.00537109375f,
       0.0617675781f, 0.072265625f,   0.00184631348f, 0.0206298828f, 0.0258789062f,  0.0336914062f,
       0.0546875f,    0.00872802734f}};
  for (const bool masked : {false, true}) {
    const int keys = masked ? kPadded : kKeys;  // where there is a mask its own padding counts
    Floats q(kTokens * kDim), k(static_cast<std::size_t>(keys * kDim)), v(k.size());
    Floats mask(kTokens * kPadded);
    for (int t = 0; t < kTokens; ++t) {
      q[t * kDim] = 1;
      for (int j = 0; j < kPadded; ++j) {
        mask[t * kPadded + j] = j >= kKeys || j % 3 == 1 ? -1e4f : 0.0f;
      }
    }
    for (int j = 0; j < kKeys; ++j) {
      k[j * kDim] = static_cast<float>(j * 37 % 64 - 32) / 16;
      v[j * kDim + j % kDim] = 1;
    }
    SdpaOptions options;
    options.scale = 1;
    options.grid = {4, 4};
    options.compute.math_fidelity = MathFidelity::kHiFi3;
    const Shape4 of_keys{1, 1, keys, kDim};
    const Tensor tm = put(*api, {1, 1, kTokens, kPadded}, mask);
    const Floats got = api->to_host(api->scaled_dot_product_attention(
        put(*api, {1, 1, kTokens, kDim}, q), put(*api, of_keys, k), put(*api, of_keys, v),
        masked ? &tm : nullptr, options));
    EXPECT_EQ(Floats(got.begin(), got.begin() + kDim), expected[masked ? 1 : 0]) << masked;
  }
}

// Without a mask, what lies beyond the keys is not seen; with one, what the mask's own padding
// says, which to_device() leaves zero. A device that gives a mask must not have such keys.
TEST(EmulatedCard, SeesKeysOfThePaddingWhereAMaskIsGiven) {
  const auto api = make_card();
  const Shape4 qs{1, 1, 32, 32}, ks{1, 1, 20, 32}, padded{1, 1, 32, 32};
  const Floats v(count(padded), 1.0f);  // ones in the padding as well
  const Tensor q = zeros(*api, qs);
  const Tensor k = zeros(*api, ks);
  // 20 values of 0, and 12 of 1 in the padding.
  Floats values(count(padded));
  std::fill(values.begin() + 20 * 32, values.end(), 1.0f);
  const Tensor tv = api->view(put(*api, padded, values), ks, padded);
  SdpaOptions options;
  options.grid = {8, 8};
  options.compute = exact();
  const Tensor without = api->scaled_dot_product_attention(q, k, tv, nullptr, options);
  EXPECT_EQ(api->to_host(without)[0], 0.0f);
  const Tensor mask = zeros(*api, {1, 1, 32, 20});
  const Tensor with = api->scaled_dot_product_attention(q, k, tv, &mask, options);
  EXPECT_NEAR(api->to_host(with)[0], 12.0f / 32, 1e-2);
}

}  // namespace
}  // namespace pi0::emulated_testing
