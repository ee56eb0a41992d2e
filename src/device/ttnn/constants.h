// Tables that depend on the shape of a call alone: made on the host once, kept on the card.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "device/ttnn/pack.h"
#include "device/ttnn/shim/shim.h"

namespace pi0 {

// Rows, of which the first `tokens` are tokens and the others padding of their tiles.
struct TokenRun {
  std::int64_t tokens = 0;
  std::int64_t rows = 0;
  bool with_prompt = false;  // behind those tokens are a prompt's: PromptTables::counted()
  bool operator==(const TokenRun&) const = default;
};
// Whether a row of padding comes before a token.
bool padded_inside(const std::vector<TokenRun>& runs);
std::int64_t tokens_of(const std::vector<TokenRun>& runs);
// What is added to a query's scores: 0 for a token, kMasked for padding.
std::vector<float> mask_row(const std::vector<TokenRun>& runs);

struct RotaryPair {
  shim::Tensor cos, sin;  // [1, 1, tokens, padded head_dim]
};

class Constants {
 public:
  // `before_new` is called before a table is allocated.
  Constants(shim::Api& api, std::function<void()> before_new)
      : api_(api), before_new_(std::move(before_new)) {}

  const RotaryPair& rotary(int first, std::int64_t tokens, const HeadLayout& layout);
  // [1, 1, queries, rows of keys], every row as mask_row() has it.
  const shim::Tensor& mask(std::int64_t queries, const std::vector<TokenRun>& runs);

 private:
  // Tables by the shape that they depend on. Those used longest ago go when there are kKept, far
  // more than one shape of call has: what the call in progress uses is never among them. A trace
  // keeps its own beyond that.
  static constexpr std::size_t kKept = 32;
  template <typename Table>
  class Kept {
   public:
    using Key = std::vector<std::int64_t>;
    Table& get(const Key& key, const std::function<Table()>& make) {
      auto found = tables_.find(key);
      if (found == tables_.end()) {
        if (tables_.size() >= kKept) forget_oldest();
        found = tables_.emplace(key, Entry{make(), 0}).first;
      }
      found->second.used = ++uses_;
      return found->second.table;
    }

   private:
    struct Entry {
      Table table;
      std::int64_t used;
    };
    void forget_oldest() {
      tables_.erase(std::min_element(tables_.begin(), tables_.end(), [](auto& a, auto& b) {
        return a.second.used < b.second.used;
      }));
    }
    std::map<Key, Entry> tables_;
    std::int64_t uses_ = 0;
  };

  shim::Api& api_;
  std::function<void()> before_new_;
  Kept<RotaryPair> rotary_;
  Kept<shim::Tensor> masks_;
};

// Added to a score, it leaves nothing of it; -inf would turn a row of padding into NaN.
inline constexpr float kMasked = -1e4f;

}  // namespace pi0
