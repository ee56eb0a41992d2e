#include "device/cpu/attention.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

namespace pi0::cpu {
namespace {

// Keys of one head: a tile of them.
void pack_keys(const ComputeContext& context, const MultiplyKernel& kernel, const HeadRows& keys,
               std::int64_t sequence, std::int64_t head, const RowTiles& tiles, std::int64_t t,
               std::byte* out) {
  const std::int64_t depth = round_up(keys.dim, kernel.activation_group);
  for (int i = 0; i < tiles.size(t); ++i) {
    place_row(kernel, *context.kernels, keys.at(sequence, head, tiles.begin(t) + i), keys.dim, i,
              tiles.size(t), out + tiles.begin(t) * depth * size_of(kernel.activations));
  }
}

// Values of one head: of weight_group tokens, which are a unit of 4 bytes in every dimension.
// `units` has room for them.
void pack_values(const MultiplyKernel& kernel, const HeadRows& values, std::int64_t sequence,
                 std::int64_t head, std::int64_t unit, std::uint32_t* units, std::byte* out) {
  const std::int64_t token = unit * kernel.weight_group;
  const std::byte* const row = values.at(sequence, head, token);
  const auto* from = reinterpret_cast<const std::uint32_t*>(row);
  if (values.type == Number::kBf16) {
    const auto* const first = reinterpret_cast<const std::uint16_t*>(row);
    if (token + 1 < values.tokens) {
      const auto* const second =
          reinterpret_cast<const std::uint16_t*>(values.at(sequence, head, token + 1));
      for (std::int64_t i = 0; i < values.dim; ++i) {
        units[i] = first[i] | std::uint32_t{second[i]} << 16;
      }
    } else {
      for (std::int64_t i = 0; i < values.dim; ++i) units[i] = first[i];
    }
    from = units;
  }
  const RowTiles dims(values.dim, kernel.rows);
  const int of_group = kernel.activation_group / kernel.weight_group;
  const std::int64_t all = divide_up(values.tokens, kernel.activation_group) * of_group;
  for (std::int64_t t = 0; t < dims.count; ++t) {
    const int rows = dims.size(t);
    std::uint32_t* const to = reinterpret_cast<std::uint32_t*>(out) + dims.begin(t) * all +
                              unit / of_group * of_group * rows + unit % of_group;
    for (int i = 0; i < rows; ++i) to[i * of_group] = from[dims.begin(t) + i];
  }
}

// What is the same for all panels of a call.
struct Attention {
  Attention(const ComputeContext& context, const AttentionWork& work)
      : rows(*context.kernels), kernel(*work.kernel), work(work) {
    for (const PackedHeads& run : work.runs) {
      padded_tokens += round_up(run.tokens, kernel.activation_group);
    }
  }
  const RowKernels& rows;
  const MultiplyKernel& kernel;
  const AttentionWork& work;
  std::int64_t padded_tokens = 0;  // of all runs

  // Queries of all heads that share keys and values are one another's neighbours.
  std::int64_t sharing() const { return work.queries.heads / work.kv_heads; }
  std::int64_t queries() const { return sharing() * work.queries.tokens; }
};

// Queries `first` to `end` of those that share the keys and values of a head.
class Panel {
 public:
  Panel(const Attention& attention, std::int64_t sequence, std::int64_t kv_head, std::int64_t first,
        std::int64_t end, ThreadScratch& scratch)
      : attention_(attention),
        kernel_(attention.kernel),
        sequence_(sequence),
        kv_head_(kv_head),
        first_(first),
        count_(end - first),
        scratch_(scratch) {}

  void compute() {
    const std::int64_t columns = kernel_.columns, dim = attention_.work.queries.dim;
    const std::int64_t value_bytes = size_of(kernel_.weights);
    const std::int64_t padded_dim = round_up(dim, kernel_.activation_group);
    const auto bytes = [](std::int64_t count) {
      return ThreadScratch::rounded(static_cast<std::size_t>(count));
    };
    scratch_.start(bytes(columns * padded_dim * value_bytes) +
                   bytes(columns * attention_.padded_tokens * 4) +
                   bytes(columns * attention_.padded_tokens * value_bytes) +
                   bytes(columns * dim * 4) + bytes(columns * 4));
    queries_ = scratch_.take<std::byte>(columns * padded_dim * value_bytes);
    scores_ = scratch_.take<float>(columns * attention_.padded_tokens);
    weights_ = scratch_.take<std::byte>(columns * attention_.padded_tokens * value_bytes);
    out_ = scratch_.take<float>(columns * dim);
    sums_ = scratch_.take<float>(columns);

    pack_queries(padded_dim);
    multiply_keys(padded_dim);
    soften();
    multiply_values();
    if (kernel_.end != nullptr) kernel_.end();
    store();
  }

 private:
  std::byte* query(const HeadRows& rows, std::int64_t index) const {
    const std::int64_t tokens = rows.tokens;
    return rows.at(sequence_, kv_head_ * attention_.sharing() + index / tokens, index % tokens);
  }
  std::int64_t head() const { return sequence_ * attention_.work.kv_heads + kv_head_; }

  // A column a query, with zeros where there is none and up to whole groups of the dimensions.
  void pack_queries(std::int64_t padded_dim) {
    const HeadRows& queries = attention_.work.queries;
    if (count_ < kernel_.columns || padded_dim != queries.dim) {
      std::memset(
          queries_, 0,
          static_cast<std::size_t>(padded_dim * kernel_.columns * size_of(kernel_.weights)));
    }
    for (int i = 0; i < count_; ++i) {
      place_column(kernel_, query(queries, first_ + i), queries.dim, i, queries_);
    }
  }

  // Scores [tokens, filled up for each run][columns].
  void multiply_keys(std::int64_t padded_dim) {
    float* scores = scores_;
    for (const PackedHeads& run : attention_.work.runs) {
      const std::byte* const keys =
          run.keys +
          head() * PackedHeadsSize(kernel_, run.tokens, attention_.work.queries.dim).keys;
      const RowTiles tiles(run.tokens, kernel_.rows);
      for (std::int64_t t = 0; t < tiles.count; ++t) {
        kernel_.multiply(keys + tiles.begin(t) * padded_dim * size_of(kernel_.activations),
                         queries_, scores + tiles.begin(t) * kernel_.columns, padded_dim,
                         tiles.size(t), false);
      }
      scores += round_up(run.tokens, kernel_.activation_group) * kernel_.columns;
    }
  }

  // Scores become weights of the values, not yet divided by their sum.
  void soften() {
    const int columns = kernel_.columns;
    const float scale = 1.0f / std::sqrt(static_cast<float>(attention_.work.queries.dim));
    float most[kMostColumns];
    std::fill_n(most, columns, -std::numeric_limits<float>::infinity());
    std::fill_n(sums_, columns, 0.0f);
    const auto each_run = [&](const auto& work) {
      std::int64_t begin = 0;
      for (const PackedHeads& run : attention_.work.runs) {
        work(run.tokens, begin * columns);
        begin += round_up(run.tokens, kernel_.activation_group);
      }
    };
    each_run([&](std::int64_t tokens, std::int64_t begin) {
      attention_.rows.column_largest(scores_ + begin, tokens, columns, most);
    });
    each_run([&](std::int64_t tokens, std::int64_t begin) {
      const std::int64_t bytes = size_of(kernel_.weights);
      std::byte* const out = weights_ + begin * bytes;
      attention_.rows.column_exponentials(scores_ + begin, tokens, columns, most, scale, sums_,
                                          kernel_.weights, out);
      const std::int64_t written = round_up(tokens, kernel_.weight_group);
      std::memset(out + written * columns * bytes, 0,
                  static_cast<std::size_t>((round_up(tokens, kernel_.activation_group) - written) *
                                           columns * bytes));
    });
  }

  // What comes out, [dim][columns].
  void multiply_values() {
    const std::int64_t dim = attention_.work.queries.dim;
    const RowTiles dims(dim, kernel_.rows);
    for (std::int64_t t = 0; t < dims.count; ++t) {
      const std::byte* weights = weights_;
      for (std::size_t r = 0; r < attention_.work.runs.size(); ++r) {
        const PackedHeads& run = attention_.work.runs[r];
        const std::int64_t padded = round_up(run.tokens, kernel_.activation_group);
        const std::byte* const values =
            run.values + head() * PackedHeadsSize(kernel_, run.tokens, dim).values;
        kernel_.multiply(values + dims.begin(t) * padded * size_of(kernel_.activations), weights,
                         out_ + dims.begin(t) * kernel_.columns, padded, dims.size(t), r != 0);
        weights += padded * kernel_.columns * size_of(kernel_.weights);
      }
    }
  }

  void store() {
    for (std::int64_t i = 0; i < count_; ++i) {
      attention_.rows.take_column(out_ + i, attention_.work.queries.dim, kernel_.columns,
                                  1.0f / sums_[i],
                                  reinterpret_cast<float*>(query(attention_.work.out, first_ + i)));
    }
  }

  static constexpr int kMostColumns = 32;

  const Attention& attention_;
  const MultiplyKernel& kernel_;
  std::int64_t sequence_, kv_head_, first_, count_;
  ThreadScratch& scratch_;
  std::byte* queries_ = nullptr;
  float* scores_ = nullptr;
  std::byte* weights_ = nullptr;
  float* out_ = nullptr;
  float* sums_ = nullptr;
};

}  // namespace

PackedHeadsSize::PackedHeadsSize(const MultiplyKernel& kernel, std::int64_t tokens,
                                 std::int64_t dim)
    : keys(tokens * round_up(dim, kernel.activation_group) * size_of(kernel.activations)),
      values(dim * round_up(tokens, kernel.activation_group) * size_of(kernel.activations)) {}

PackedHeads pack_heads(ComputeContext& context, const MultiplyKernel& kernel, const HeadRows& keys,
                       const HeadRows& values, std::byte* packed_keys, std::byte* packed_values) {
  const PackedHeadsSize size(kernel, keys.tokens, keys.dim);
  const RowTiles tiles(keys.tokens, kernel.rows);
  const std::int64_t heads = keys.heads;
  if (keys.tokens % kernel.activation_group != 0) {  // zeros after the last token
    std::memset(packed_values, 0, static_cast<std::size_t>(keys.sequences * heads * size.values));
  }
  // All heads of a few tokens at a time: they lie side by side.
  const std::int64_t units = divide_up(keys.tokens, kernel.weight_group);
  context.pool->run(keys.sequences * tiles.count, [&](std::int64_t item, int thread) {
    ThreadScratch& scratch = context.scratch[static_cast<std::size_t>(thread)];
    scratch.start(static_cast<std::size_t>(keys.dim) * 4);
    auto* const unit_row = scratch.take<std::uint32_t>(keys.dim);
    const std::int64_t sequence = item / tiles.count, t = item % tiles.count;
    const auto out = [&](std::byte* packed, std::int64_t head, std::int64_t bytes) {
      return packed + (sequence * heads + head) * bytes;
    };
    for (std::int64_t head = 0; head < heads; ++head) {
      pack_keys(context, kernel, keys, sequence, head, tiles, t, out(packed_keys, head, size.keys));
    }
    for (std::int64_t unit = t * units / tiles.count; unit < (t + 1) * units / tiles.count;
         ++unit) {
      for (std::int64_t head = 0; head < heads; ++head) {
        pack_values(kernel, values, sequence, head, unit, unit_row,
                    out(packed_values, head, size.values));
      }
    }
  });
  return {keys.tokens, packed_keys, packed_values};
}

void attend(ComputeContext& context, const AttentionWork& work) {
  assert(work.queries.heads % work.kv_heads == 0);
  const Attention attention(context, work);
  const std::int64_t queries = attention.queries();
  const std::int64_t panels = divide_up(queries, work.kernel->columns);
  context.pool->run(work.queries.sequences * work.kv_heads * panels,
                    [&](std::int64_t item, int thread) {
                      const std::int64_t first = item % panels * work.kernel->columns;
                      const std::int64_t end = std::min(first + work.kernel->columns, queries);
                      const std::int64_t head = item / panels;
                      Panel(attention, head / work.kv_heads, head % work.kv_heads, first, end,
                            context.scratch[static_cast<std::size_t>(thread)])
                          .compute();
                    });
}

}  // namespace pi0::cpu
