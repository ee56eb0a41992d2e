#include <cassert>
#include <cmath>

#include "device/ttnn/config/attention_config.h"
#include "device/ttnn/ttnn_device.h"

namespace pi0::ttnn {

using shim::Placement;
using shim::Shape4;
using shim::Unary;

namespace {

// Keys or values of the rows of `x`: padding rows count as rows, and `runs` says which are tokens.
Tensor keep_rows(shim::Api& api, const Tensor& x, shim::Tensor heads, const HeadLayout& layout) {
  const Shape4 padded = heads.spec().padded;
  const std::int64_t tokens = x.dim(0) / padded[0];
  if (heads.shape() != padded) heads = api.view(heads, padded, padded);
  Tensor kept = stored_rows(x, {padded[0], padded[1], tokens, layout.dim}, std::move(heads));
  Stored& stored = kept.as<Stored>();
  stored.heads = layout;
  if (stored.runs.empty()) stored.runs = {{.tokens = tokens}};
  stored.runs[0].rows = padded[2];
  return kept;
}

}  // namespace

Qkv TtnnDevice::qkv(const Tensor& x, const QkvWeights& weights, const HeadSplit& split) {
  const auto& projection = static_cast<const QkvProjection&>(weights);
  assert(projection.has_queries);
  const HeadShape& heads = projection.heads;
  const HeadLayout& layout = projection.layout;
  shim::Heads made;
  {
    const shim::Tensor projected = project(x, projection, split.sequences);
    // Without RoPE the heads are used as they are; else what it gives is, and they go at once.
    const TensorRole role = heads.rotary ? TensorRole::kCache : TensorRole::kHeads;
    made = api_->nlp_create_qkv_heads(projected, nullptr, heads.num_heads, heads.num_kv_heads,
                                      place(role, projected.shape()));
  }
  const Shape4 shape = made.q.shape();
  const std::int64_t tokens = shape[2];
  if (heads.rotary) {
    const RotaryPair& tables = rotary_tables_of(split, tokens, layout);
    made.q = rotate(made.q, tables, TensorRole::kHeads);
    made.q = api_->view(made.q, shape, made.q.spec().padded);
    made.k = rotate(made.k, tables, TensorRole::kCache);
  }
  const Shape queries{shape[0], shape[1], x.dim(0) / split.sequences, layout.dim};
  Qkv result{stored_rows(x, queries, std::move(made.q)),
             {keep_rows(*api_, x, std::move(made.k), layout),
              keep_rows(*api_, x, std::move(made.v), layout)}};
  result.queries.as<Stored>().heads = layout;
  result.queries.as<Stored>().scale = 1.0f / std::sqrt(static_cast<float>(layout.dim));
  return result;
}

KeysValues TtnnDevice::keys_values(const Tensor& x, const QkvWeights& weights,
                                   const HeadSplit& split) {
  const auto& projection = static_cast<const QkvProjection&>(weights);
  if (projection.has_queries) return std::move(qkv(x, weights, split).own);
  const HeadLayout& layout = projection.layout;
  const int heads = projection.heads.num_kv_heads;
  const shim::Tensor projected = project(x, projection, split.sequences);
  const auto [batch, one, tokens, width] = projected.shape();
  const Placement cache = place(TensorRole::kCache, projected.shape());
  shim::Tensor keys = api_->slice(projected, {0, 0, 0, 0}, {batch, 1, tokens, width / 2}, cache);
  shim::Tensor values;
  if (heads == 1) {
    values = api_->slice(projected, {0, 0, 0, width / 2}, {batch, 1, tokens, width}, cache);
  } else {  // the split wants queries: the keys stand in for them
    shim::Heads split_heads = api_->nlp_create_qkv_heads(keys, &projected, heads, heads, cache);
    keys = std::move(split_heads.k);
    values = std::move(split_heads.v);
  }
  if (projection.heads.rotary) {
    keys = rotate(keys, rotary_tables_of(split, keys.shape()[2], layout), TensorRole::kCache);
  }
  return {keep_rows(*api_, x, std::move(keys), layout),
          keep_rows(*api_, x, std::move(values), layout)};
}

Tensor TtnnDevice::attention(Tensor queries, const KeysValues& own, const KeysValues* cache) {
  const shim::Tensor& q = operand(queries);
  shim::Tensor keys = operand(own.keys);
  shim::Tensor values = operand(own.values);
  std::vector<TokenRun> runs = own.keys.as<Stored>().runs;
  PromptTables* const prompt = (cache != nullptr ? *cache : own).keys.as<Stored>().prompt.get();
  assert(cache == nullptr || own.keys.as<Stored>().prompt == nullptr);
  if (cache != nullptr) {
    const std::vector<TokenRun>& before = cache->keys.as<Stored>().runs;
    runs.insert(runs.begin(), before.begin(), before.end());
    const shim::Tensor key_parts[] = {operand(cache->keys), keys};
    const shim::Tensor value_parts[] = {operand(cache->values), values};
    Shape4 joined = keys.shape();
    joined[2] += key_parts[0].shape()[2];
    const Placement placement = place(TensorRole::kHeads, joined);
    keys = api_->concat(key_parts, 2, placement);
    values = api_->concat(value_parts, 2, placement);
  }
  const shim::Tensor* mask = nullptr;
  if (prompt != nullptr) {
    mask = &constant(prompt->mask(q.shape()[2], runs));
  } else if (padded_inside(runs)) {
    mask = &constant(constants_.mask(q.shape()[2], runs));
  } else {  // SDPA itself masks what lies beyond the logical end
    Shape4 shape = keys.shape();
    const Shape4 padded = keys.spec().padded;
    shape[2] = tokens_of(runs);
    if (shape != keys.shape()) {
      keys = api_->view(keys, shape, padded);
      values = api_->view(values, shape, padded);
    }
  }
  const AttentionChunks chunks = attention_chunks({.pairs = q.shape()[0] * q.shape()[1],
                                                   .queries = q.shape()[2],
                                                   .keys = keys.shape()[2],
                                                   .head_dim = q.shape()[3],
                                                   .mask = mask != nullptr},
                                                  api_->card(), policies_.circular_buffer_budget);
  shim::Tensor attended =
      api_->scaled_dot_product_attention(q, keys, values, mask,
                                         {.scale = 1,
                                          .grid = {api_->card().grid_x, api_->card().grid_y},
                                          .q_chunk_size = chunks.queries,
                                          .k_chunk_size = chunks.keys,
                                          .exp_approx_mode = false,
                                          .placement = place(TensorRole::kHeads, q.shape()),
                                          .compute = policies_.of(MathRole::kAttention).compute});
  const HeadLayout layout = queries.as<Stored>().heads;
  const Shape shape{queries.dim(0) * queries.dim(2), queries.dim(1) * layout.dim};
  Tensor result = stored_rows(queries, shape, std::move(attended));
  queries = {};
  Stored& joined = result.as<Stored>();
  joined.heads = layout;
  joined.tensor =
      api_->nlp_concat_heads(joined.tensor, place(TensorRole::kHeads, joined.tensor.shape()));
  return result;
}

KeysValues TtnnDevice::concatenate_tokens(KeysValues a, KeysValues b) {
  return {join_tokens(a.keys, b.keys), join_tokens(a.values, b.values)};
}

shim::Tensor TtnnDevice::project(const Tensor& x, const QkvProjection& projection, int sequences) {
  shim::Tensor in = operand(x);
  const auto [batch, one, tokens, width] = in.shape();
  if (batch != sequences) {
    in =
        api_->reshape(in, {sequences, one, batch * tokens / sequences, width}, in.spec().placement);
  }
  const Linear& linear = projection.linear;
  return multiply(in, linear, linear.bias ? &linear.bias : nullptr, Unary::kNone,
                  TensorRole::kProjection);
}

const RotaryPair& TtnnDevice::rotary_tables_of(const HeadSplit& split, std::int64_t tokens,
                                               const HeadLayout& layout) {
  if (split.after == nullptr) return constants_.rotary(0, tokens, layout);
  const Stored& before = split.after->keys.as<Stored>();
  if (before.prompt) return before.prompt->rotary(before.runs, tokens, layout);
  return constants_.rotary(static_cast<int>(tokens_of(before.runs)), tokens, layout);
}

shim::Tensor TtnnDevice::rotate(const shim::Tensor& x, const RotaryPair& tables,
                                TensorRole result) {
  return api_->rotary_embedding(x, constant(tables.cos), constant(tables.sin),
                                place(result, x.shape()), policies_.of(MathRole::kRotary).compute);
}

Tensor TtnnDevice::join_tokens(const Tensor& a, const Tensor& b) {
  const Stored& second = b.as<Stored>();
  assert(second.prompt == nullptr);
  const shim::Tensor parts[] = {operand(a), operand(b)};
  Shape4 rows = parts[0].shape();
  rows[2] += parts[1].shape()[2];
  Shape shape = a.shape();
  shape[2] += b.dim(2);
  Tensor joined = stored_rows(a, shape, api_->concat(parts, 2, place(TensorRole::kCache, rows)));
  Stored& made = joined.as<Stored>();
  made.heads = a.as<Stored>().heads;
  made.runs.insert(made.runs.end(), second.runs.begin(), second.runs.end());
  return joined;
}

}  // namespace pi0::ttnn
