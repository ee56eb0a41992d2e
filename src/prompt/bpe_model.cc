#include "prompt/bpe_model.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <tuple>
#include <utility>

#include "base/utf8.h"

namespace pi0 {
namespace {

using Ids = std::vector<std::int32_t>;

std::string with_space_pieces(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == ' ') {
      result += kSpacePiece;
    } else {
      result += c;
    }
  }
  return result;
}

// Finds added tokens in a text: from the left, the longest first.
class AddedTokenFinder {
 public:
  void add(std::string content, std::int32_t id) {
    lengths_.push_back(content.size());
    std::sort(lengths_.begin(), lengths_.end(), std::greater<>());
    lengths_.erase(std::unique(lengths_.begin(), lengths_.end()), lengths_.end());
    ids_.emplace(std::move(content), id);
  }

  // Calls between(text) for each stretch that holds none, and found(id) for each token, in order.
  template <typename Between, typename Found>
  void split(std::string_view text, Between between, Found found) const {
    std::size_t start = 0;
    for (std::size_t i = 0; i < text.size();) {
      const auto token = at(text.substr(i));
      if (token == ids_.end()) {
        ++i;
        continue;
      }
      if (i > start) between(text.substr(start, i - start));
      found(token->second);
      i += token->first.size();
      start = i;
    }
    if (start < text.size()) between(text.substr(start));
  }

 private:
  using Map = std::unordered_map<std::string, std::int32_t>;

  Map::const_iterator at(std::string_view text) const {
    for (const std::size_t length : lengths_) {
      if (length > text.size()) continue;
      const auto found = ids_.find(std::string(text.substr(0, length)));
      if (found != ids_.end()) return found;
    }
    return ids_.end();
  }

  Map ids_;
  std::vector<std::size_t> lengths_;  // in bytes, of all tokens, the largest first
};

// A piece of the text while neighbours are merged; one that was merged away has no id.
struct Symbol {
  std::int32_t id = -1;
  int previous = -1;
  int next = -1;
};

// Two neighbours that could merge, or could when this was noted down.
struct Candidate {
  std::int32_t rank = 0;
  int left = 0;  // index of the left symbol
  std::int32_t result = 0;

  bool operator>(const Candidate& other) const {
    return std::tie(rank, left) > std::tie(other.rank, other.left);
  }
};

class BpeModel : public TokenizerModel {
 public:
  explicit BpeModel(BpeRules rules) : rules_(std::move(rules)) {
    for (AddedToken& token : rules_.added_tokens) {
      if (token.normalized) {
        in_pieces_.add(with_space_pieces(token.content), token.id);
      } else {
        in_text_.add(std::move(token.content), token.id);
      }
    }
    rules_.added_tokens.clear();
  }

  Ids encode(std::string_view text) const override {
    Ids ids;
    const auto add_token = [&](std::int32_t id) { ids.push_back(id); };
    in_text_.split(
        text,
        [&](std::string_view between) {
          in_pieces_.split(
              with_space_pieces(between),
              [&](std::string_view pieces) { merge(symbols_of(pieces), ids); }, add_token);
        },
        add_token);
    return ids;
  }

  std::int32_t bos_id() const override { return rules_.bos_id; }
  std::int32_t vocab_size() const override { return rules_.vocab_size; }

 private:
  // One for each character, or for each byte of one that is not in the vocabulary.
  std::vector<Symbol> symbols_of(std::string_view text) const {
    std::vector<Symbol> symbols;
    const auto push = [&](std::int32_t id) {
      const int index = static_cast<int>(symbols.size());
      symbols.push_back({id, index - 1, index + 1});
    };
    while (!text.empty()) {
      const Character character = first_character(text);
      const auto found = rules_.characters.find(character.code_point);
      if (found != rules_.characters.end()) {
        push(found->second);
      } else {
        for (const char byte : text.substr(0, character.length)) {
          push(rules_.bytes[static_cast<unsigned char>(byte)]);
        }
      }
      text.remove_prefix(character.length);
    }
    if (!symbols.empty()) symbols.back().next = -1;
    return symbols;
  }

  const BpeMerge* find_merge(const std::vector<Symbol>& symbols, int left) const {
    if (left < 0 || symbols[left].next < 0) return nullptr;
    const auto found =
        rules_.merges.find(pair_key(symbols[left].id, symbols[symbols[left].next].id));
    return found == rules_.merges.end() ? nullptr : &found->second;
  }

  // Merges the pair of the lowest rank, of several the leftmost, until none is left; appends what
  // remains to `ids`.
  void merge(std::vector<Symbol> symbols, Ids& ids) const {
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
    const auto note = [&](int left) {
      if (const BpeMerge* merge = find_merge(symbols, left)) {
        candidates.push({merge->rank, left, merge->result});
      }
    };
    for (int i = 0; i < static_cast<int>(symbols.size()); ++i) note(i);
    while (!candidates.empty()) {
      const Candidate best = candidates.top();
      candidates.pop();
      Symbol& left = symbols[best.left];
      // A side may have been merged with another neighbour since.
      if (left.id < 0) continue;
      const BpeMerge* still = find_merge(symbols, best.left);
      if (!still || still->result != best.result) continue;
      Symbol& right = symbols[left.next];
      left.id = best.result;
      left.next = right.next;
      right.id = -1;
      if (left.next >= 0) symbols[left.next].previous = best.left;
      note(left.previous);
      note(best.left);
    }
    for (const Symbol& symbol : symbols) {
      if (symbol.id >= 0) ids.push_back(symbol.id);
    }
  }

  BpeRules rules_;
  AddedTokenFinder in_text_;
  AddedTokenFinder in_pieces_;
};

}  // namespace

std::unique_ptr<const TokenizerModel> make_bpe_model(BpeRules rules) {
  return std::make_unique<BpeModel>(std::move(rules));
}

}  // namespace pi0
