// Tables that depend on the shape of a call alone: made on the host once, kept on the card.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "device/ttnn/pack.h"
#include "device/ttnn/shim.h"

namespace pi0 {

// Rows of keys, of which the first `tokens` are tokens and the others padding of their tiles.
struct Run {
  std::int64_t tokens = 0;
  std::int64_t rows = 0;
};
// Whether a row of padding comes before a token.
bool padded_inside(const std::vector<Run>& runs);
std::int64_t tokens_of(const std::vector<Run>& runs);

struct RotaryPair {
  shim::Tensor cos, sin;  // [1, 1, tokens, padded head_dim]
};

class Constants {
 public:
  explicit Constants(shim::Api& api) : api_(api) {}

  const RotaryPair& rotary(int first, std::int64_t tokens, const HeadLayout& layout);
  // [1, 1, queries, rows of keys]: 0 for a token, kMasked for padding.
  const shim::Tensor& mask(std::int64_t queries, const std::vector<Run>& runs);

 private:
  // Those of the shapes of call used last; a trace keeps its own beyond that.
  static constexpr std::size_t kKept = 32;

  shim::Api& api_;
  std::map<std::vector<std::int64_t>, RotaryPair> rotary_;
  std::map<std::vector<std::int64_t>, shim::Tensor> masks_;
};

// Added to a score, it leaves nothing of it; -inf would turn a row of padding into NaN.
inline constexpr float kMasked = -1e4f;

}  // namespace pi0
