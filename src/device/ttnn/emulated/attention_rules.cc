#include <fmt/format.h>

#include "device/ttnn/emulated/machine.h"
#include "device/ttnn/emulated/rules.h"

namespace pi0::emulated {
namespace {

using shim::DataType;
using shim::kTile;
using shim::Layout;
using shim::TensorSpec;

void require_tiles(const TensorSpec& spec, const std::string& operation) {
  require(spec.layout == Layout::kTile, operation,
          "operands must be in tile layout, one is " + describe(spec));
}

}  // namespace

void check_create_heads(const TensorSpec& x, const TensorSpec* kv, int num_q_heads,
                        int num_kv_heads) {
  const std::string name = "ttnn.experimental.nlp_create_qkv_heads";
  require_tiles(x, name);
  require(num_q_heads >= 1 && num_kv_heads >= 0, name,
          fmt::format("{} query heads and {} key/value heads", num_q_heads, num_kv_heads));
  require(x.shape[1] == 1, name, "its input must be [batch, 1, rows, width]: " + describe(x));
  const std::int64_t heads = kv == nullptr ? num_q_heads + 2 * num_kv_heads : num_q_heads;
  require(x.shape[3] % heads == 0, name,
          fmt::format("{} does not fall into {} heads", describe(x), heads));
  const std::int64_t head_dim = x.shape[3] / heads;
  require(head_dim % kTile == 0, name,
          fmt::format("heads of {} are no whole tiles: {}", head_dim, describe(x)));
  if (kv == nullptr) return;
  require_tiles(*kv, name);
  require(kv->dtype == x.dtype, name,
          fmt::format("queries and keys have different types: {}, {}", describe(x), describe(*kv)));
  require(kv->shape[0] == x.shape[0] && kv->shape[1] == 1 && kv->padded[2] == x.padded[2] &&
              kv->shape[3] == 2 * num_kv_heads * head_dim,
          name,
          fmt::format("{} does not hold the keys and values of {} heads beside {}", describe(*kv),
                      num_kv_heads, describe(x)));
}

void check_concat_heads(const TensorSpec& x) {
  const std::string name = "ttnn.experimental.nlp_concat_heads";
  require_tiles(x, name);
  require(x.shape[3] == x.padded[3], name, "heads must be whole tiles: " + describe(x));
}

void check_rotary(const TensorSpec& x, const TensorSpec& cos, const TensorSpec& sin) {
  const std::string name = "ttnn.experimental.rotary_embedding";
  for (const TensorSpec* spec : {&x, &cos, &sin}) require_tiles(*spec, name);
  require(x.padded[3] == kTile || x.padded[3] % (2 * kTile) == 0, name,
          "a head must be 32 or a multiple of 64 wide: " + describe(x));
  require(cos.dtype == sin.dtype && cos.padded == sin.padded, name,
          fmt::format("cosine and sine differ: {}, {}", describe(cos), describe(sin)));
  require(cos.padded[0] == 1 && cos.padded[1] == 1 && cos.padded[3] == x.padded[3] &&
              cos.padded[2] >= x.padded[2],
          name, fmt::format("the table {} does not cover {}", describe(cos), describe(x)));
}

void check_sdpa(const TensorSpec& q, const TensorSpec& k, const TensorSpec& v,
                const TensorSpec* mask, const shim::SdpaOptions& options, const Card& card) {
  const std::string name = "ttnn.transformer.scaled_dot_product_attention";
  for (const TensorSpec* spec : {&q, &k, &v}) {
    require_tiles(*spec, name);
    require(spec->dtype != DataType::kFloat32, name,
            "operands must be bfloat16 or bfloat8_b, one is " + describe(*spec));
    require(spec->shape[3] == spec->padded[3], name,
            "a head must be whole tiles wide: " + describe(*spec));
    // TTNN does not refuse this; its kernels then look for heads in the wrong places.
    require(spec->padded[2] == shim::round_to_tile(spec->shape[2]), name,
            "rows are padded by a whole tile or more: " + describe(*spec));
  }
  const std::string shapes = fmt::format("{}, {}, {}", describe(q), describe(k), describe(v));
  require(k.shape == v.shape, name, "keys and values differ: " + shapes);
  require(k.shape[0] == q.shape[0], name, "queries and keys have different batches: " + shapes);
  require(k.shape[3] == q.shape[3], name, "queries and keys have different widths: " + shapes);
  require(k.shape[1] > 0 && q.shape[1] % k.shape[1] == 0, name,
          "query heads are no multiple of key heads: " + shapes);
  if (mask != nullptr) {
    require_tiles(*mask, name);
    require(mask->dtype != DataType::kFloat32, name,
            "the mask must be bfloat16 or bfloat8_b: " + describe(*mask));
    require(mask->placement == shim::Placement::kDram, name,
            "the mask must lie in DRAM: " + describe(*mask));
    require(mask->shape[0] == 1 || mask->shape[0] == q.shape[0], name,
            "the mask's batch is neither 1 nor the queries': " + describe(*mask));
    require(mask->shape[1] == 1 || mask->shape[1] == q.shape[1], name,
            "the mask's heads are neither 1 nor the queries': " + describe(*mask));
    require(mask->shape[2] == q.shape[2] && mask->shape[3] == k.shape[2], name,
            "the mask " + describe(*mask) + " is not rows of queries by keys of " + shapes);
    require(mask->padded[2] == q.padded[2] && mask->padded[3] == k.padded[2], name,
            fmt::format("the mask is padded otherwise than {}: {}", shapes, describe(*mask)));
  }
  require(options.q_chunk_size > 0 && options.q_chunk_size % kTile == 0 &&
              options.k_chunk_size > 0 && options.k_chunk_size % kTile == 0,
          name,
          fmt::format("chunks must be multiples of 32, are {} and {}", options.q_chunk_size,
                      options.k_chunk_size));
  require(
      options.grid.x >= 1 && options.grid.y >= 1 && options.grid.x * options.grid.y <= card.cores(),
      name,
      fmt::format("a grid of {} cores on a card of {}", options.grid.x * options.grid.y,
                  card.cores()));
}

}  // namespace pi0::emulated
