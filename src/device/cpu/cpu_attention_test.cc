// Attention of the CPU device, and what goes into it, against the reference device.
#include <cmath>
#include <list>

#include "device/cpu/cpu_testing.h"

namespace pi0 {
namespace {

struct Case {
  int sequences, tokens, width, heads, kv_heads, head_dim;
  bool rotary;
  int cached;  // tokens before, 0: none
  int first;   // position of the first token
};

class CpuAttentionTest : public CpuTest {
 protected:
  // A tile has at most 4 to 32 rows: 130 tokens are several of any.
  static constexpr Case kCases[] = {
      {1, 1, 32, 1, 1, 2, true, 0, 0},      {3, 9, 48, 3, 3, 16, false, 0, 0},
      {2, 37, 33, 1, 1, 72, false, 0, 0},   {1, 33, 31, 8, 1, 32, true, 0, 5},
      {1, 50, 7, 4, 2, 6, true, 65, 65},    {1, 13, 100, 8, 1, 256, true, 31, 31},
      {1, 51, 1, 6, 3, 72, false, 64, 700}, {2, 130, 20, 2, 1, 40, true, 1, 1},
      {1, 2, 16, 5, 5, 34, true, 33, 33},
  };
  static std::string text(const Case& c) {
    return name({c.sequences, c.tokens, c.width, c.heads, c.kv_heads, c.head_dim, c.cached});
  }
  QkvSource source(const Case& c) {
    QkvSource made;
    made.heads = {c.heads, c.kv_heads, c.head_dim, c.rotary};
    made.q = random.weight(c.heads * c.head_dim, c.width);
    made.k = random.weight(c.kv_heads * c.head_dim, c.width);
    made.v = random.weight(c.kv_heads * c.head_dim, c.width);
    if (!c.rotary) {
      made.q_bias = random.tensor({c.heads * c.head_dim}, 0.3f);
      made.k_bias = random.tensor({c.kv_heads * c.head_dim}, 0.3f);
      made.v_bias = random.tensor({c.kv_heads * c.head_dim}, 0.3f);
    }
    return made;
  }
  HeadSplit split(Device& device, const Case& c, int first) {
    if (first == 0) return {.sequences = c.sequences};
    return {.sequences = c.sequences, .after = &caches.emplace_back(cache_of(device, first))};
  }
  Tensor on_reference(const Tensor& tensor) {
    return reference->upload(tensor.shape(), cpu->download(tensor));
  }
  KeysValues on_reference(const KeysValues& heads) {
    return {on_reference(heads.keys), on_reference(heads.values)};
  }

  std::list<KeysValues> caches;  // that splits refer to
};

TEST_P(CpuAttentionTest, QkvAndKeysValues) {
  for (const Case& c : kCases) {
    const QkvSource weights = source(c);
    const Both x = upload({c.sequences * c.tokens, c.width});
    const auto a = cpu->prepare_qkv(weights);
    const Qkv made = cpu->qkv(x.cpu, *a, split(*cpu, c, c.first));
    const Qkv expected = reference->qkv(x.reference, *reference->prepare_qkv(weights),
                                        split(*reference, c, c.first));
    expect_close(made.queries, expected.queries, "queries" + text(c));
    expect_close(made.own.keys, expected.own.keys, "keys" + text(c));
    expect_close(made.own.values, expected.own.values, "values" + text(c));

    // Without queries, of weights that have them and of weights that have none: the same.
    QkvSource without_queries = weights;
    without_queries.q.reset();
    without_queries.q_bias.reset();
    const auto alone = cpu->prepare_qkv(without_queries);
    for (const QkvWeights* one : {a.get(), alone.get()}) {
      const KeysValues own = cpu->keys_values(x.cpu, *one, split(*cpu, c, c.first));
      EXPECT_EQ(cpu->download(own.keys), cpu->download(made.own.keys)) << text(c);
      EXPECT_EQ(cpu->download(own.values), cpu->download(made.own.values)) << text(c);
    }
  }
}

// Biases of some of the projections: the others' are zero.
TEST_P(CpuAttentionTest, QkvWithSomeBiases) {
  const Case c{1, 5, 40, 2, 1, 6, true, 0, 3};
  for (const int which : {0, 1, 2}) {
    QkvSource weights = source(c);
    if (which == 0) weights.q_bias = random.tensor({12}, 1);
    if (which == 1) weights.k_bias = random.tensor({6}, 1);
    if (which == 2) weights.v_bias = random.tensor({6}, 1);
    const Both x = upload({5, 40});
    const Qkv made = cpu->qkv(x.cpu, *cpu->prepare_qkv(weights), split(*cpu, c, 3));
    const Qkv expected =
        reference->qkv(x.reference, *reference->prepare_qkv(weights), split(*reference, c, 3));
    expect_close(made.queries, expected.queries, "queries");
    expect_close(made.own.keys, expected.own.keys, "keys");
    expect_close(made.own.values, expected.own.values, "values");
  }
}

// Attention alone: of the same queries, keys and values on both devices. Int8 has it in bf16.
TEST_P(CpuAttentionTest, AttentionWithAndWithoutCache) {
  for (const Case& c : kCases) {
    const auto weights = cpu->prepare_qkv(source(c));
    const Both x = upload({c.sequences * c.tokens, c.width});
    Qkv own = cpu->qkv(x.cpu, *weights, split(*cpu, c, c.first));
    Tensor queries = on_reference(own.queries);
    const KeysValues expected_own = on_reference(own.own);
    KeysValues cache, expected_cache;
    if (c.cached > 0) {
      // Of two runs, as the prefix and pi0's state leave it.
      const Both before = upload({c.sequences * c.cached, c.width});
      const Both state = upload({c.sequences, c.width});
      KeysValues first = cpu->qkv(before.cpu, *weights, split(*cpu, c, 0)).own;
      KeysValues second = cpu->qkv(state.cpu, *weights, split(*cpu, c, c.cached)).own;
      expected_cache = reference->concatenate_tokens(on_reference(first), on_reference(second));
      cache = cpu->concatenate_tokens(std::move(first), std::move(second));
      EXPECT_EQ(cache.keys.shape(), expected_cache.keys.shape());
      EXPECT_EQ(cpu->download(cache.keys), reference->download(expected_cache.keys)) << text(c);
      EXPECT_EQ(cpu->download(cache.values), reference->download(expected_cache.values)) << text(c);
    }
    const bool cached = c.cached > 0;
    Tensor again = cpu->qkv(x.cpu, *weights, split(*cpu, c, c.first)).queries;
    const Tensor expected =
        reference->attention(std::move(queries), expected_own, cached ? &expected_cache : nullptr);
    const Tensor actual =
        cpu->attention(std::move(own.queries), own.own, cached ? &cache : nullptr);
    EXPECT_EQ(actual.shape(), expected.shape());
    // Queries and keys are rounded, then their weights and the values.
    expect_values_close(cpu->download(actual), reference->download(expected), "attention" + text(c),
                        2, type() == CpuType::kInt8 ? CpuType::kBf16 : type());
    // Keys and values are packed the first time, and serve again.
    EXPECT_EQ(cpu->download(cpu->attention(std::move(again), own.own, cached ? &cache : nullptr)),
              cpu->download(actual))
        << text(c);
  }
}

// One score far above the others takes all; exponentials of the rest, and of shared large ones,
// stay numbers.
TEST_P(CpuAttentionTest, LargeScores) {
  const Case c{1, 9, 40, 2, 1, 6, true, 33, 33};
  const auto weights = cpu->prepare_qkv(source(c));
  const Both x = upload({9, 40}, 100), before = upload({33, 40}, 100);
  Qkv own = cpu->qkv(x.cpu, *weights, split(*cpu, c, 33));
  const KeysValues cache = cpu->keys_values(before.cpu, *weights, split(*cpu, c, 0));
  const KeysValues expected_cache = on_reference(cache), expected_own = on_reference(own.own);
  Tensor queries = on_reference(own.queries);
  const std::vector<float> actual =
      cpu->download(cpu->attention(std::move(own.queries), own.own, &cache));
  const std::vector<float> expected =
      reference->download(reference->attention(std::move(queries), expected_own, &expected_cache));
  for (const float value : actual) ASSERT_TRUE(std::isfinite(value));
  if (type() != CpuType::kFp32) return;  // rounded scores of 1000 choose another token
  EXPECT_LE(relative_error(actual, expected), 1e-4);
}

// A rotary table made for one width of heads is not used for another.
TEST_P(CpuAttentionTest, HeadsOfDifferentWidthsInTurn) {
  for (const int turn : {0, 1, 2}) {
    const Case c{1, 5, 40, 1, 1, turn == 1 ? 6 : 40, true, 0, turn == 2 ? 300 : 20};
    const QkvSource weights = source(c);
    const Both x = upload({5, 40});
    expect_close(
        cpu->qkv(x.cpu, *cpu->prepare_qkv(weights), split(*cpu, c, c.first)).queries,
        reference->qkv(x.reference, *reference->prepare_qkv(weights), split(*reference, c, c.first))
            .queries,
        "queries" + std::to_string(turn));
  }
}

INSTANTIATE_TEST_SUITE_P(All, CpuAttentionTest,
                         testing::Combine(testing::ValuesIn(cpu::kEveryIsa),
                                          testing::ValuesIn(kEveryType)),
                         isa_and_type);

}  // namespace
}  // namespace pi0
