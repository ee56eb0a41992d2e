// Byte-pair encoding by the rules of a tokenizer.json, to the ids that Hugging Face's `tokenizers`
// gives (models/bpe/word.rs, tokenizer/added_vocabulary.rs).
//
// Not through libsentencepiece: that merges by the score of the piece that results, a
// tokenizer.json by the rank of the pair, and what one pair may do another of the same result may
// not. Hugging Face also finds the names of special tokens in a text, and not the runs of spaces
// that SentencePiece does.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "prompt/tokenizer.h"

namespace pi0 {

// A token that is looked for in the text before anything else: in the text as it is, or, where
// `normalized`, in what is left once its spaces are "▁".
struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  bool normalized = false;
};

struct BpeMerge {
  std::int32_t rank = 0;  // the lowest goes first
  std::int32_t result = 0;
};

// The key of two neighbours in BpeRules::merges.
constexpr std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

struct BpeRules {
  std::unordered_map<char32_t, std::int32_t> characters;  // pieces of one character
  std::array<std::int32_t, 256> bytes = {};               // what other characters become
  std::unordered_map<std::uint64_t, BpeMerge> merges;
  std::vector<AddedToken> added_tokens;
  std::int32_t bos_id = 0;
  std::int32_t vocab_size = 0;
};

// What a space is in a piece: U+2581.
inline constexpr std::string_view kSpacePiece = "\u2581";

std::unique_ptr<const TokenizerModel> make_bpe_model(BpeRules rules);

}  // namespace pi0
