// Hugging Face's tokenizer.json, of the kind that PaliGemma's is: byte-pair encoding with byte
// fallback, whose only normalisation is to write a space as "▁".
#pragma once

#include <string>
#include <string_view>

#include "prompt/bpe_model.h"

namespace pi0 {

// Throws Error naming `where` and the key: kInvalidCheckpoint when the file is damaged or
// contradicts itself, kUnsupported when it asks for what PaliGemma's does not (another model, a
// normaliser or pre-tokenizer of another kind, dropout, tokens that take the spaces around them).
BpeRules parse_tokenizer_json(std::string_view content, const std::string& where);

}  // namespace pi0
