// Attention of the TTNN device, and what goes into it, against the reference device.
#include "device/ttnn/ttnn_testing.h"

namespace pi0 {
namespace {

using TtnnAttentionTest = TtnnTest;

TEST_P(TtnnAttentionTest, QkvAttentionAndCache) {
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
    HeadSplit split{.sequences = c.sequences}, expected_split = split;
    KeysValues before_it, before_expected;
    if (c.first > 0) {
      before_it = cache_of(*ttnn, c.first);
      before_expected = cache_of(*reference, c.first);
      split.after = &before_it;
      expected_split.after = &before_expected;
    }
    const Both x = upload({c.sequences * c.tokens, c.width});
    const auto a = ttnn->prepare_qkv(source);
    const auto b = reference->prepare_qkv(source);
    Qkv made = ttnn->qkv(x.ttnn, *a, split);
    Qkv expected = reference->qkv(x.reference, *b, expected_split);
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
    const Both before = upload({c.cached, c.width}), state = upload({1, c.width});
    KeysValues cache = ttnn->concatenate_tokens(ttnn->qkv(before.ttnn, *a, {}).own,
                                                ttnn->qkv(state.ttnn, *a, {}).own);
    KeysValues expected_cache = reference->concatenate_tokens(
        reference->qkv(before.reference, *b, {}).own, reference->qkv(state.reference, *b, {}).own);
    expect_same(cache.keys, expected_cache.keys, "cached keys" + what);
    expect_same(cache.values, expected_cache.values, "cached values" + what);
    finish(ttnn->attention(std::move(made.queries), made.own, &cache),
           reference->attention(std::move(expected.queries), expected.own, &expected_cache));
  }
}

INSTANTIATE_TEST_SUITE_P(Cards, TtnnAttentionTest, testing::Values("n150", "p150"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace pi0
