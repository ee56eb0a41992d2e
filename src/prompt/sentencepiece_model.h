// A SentencePiece .model, by libsentencepiece.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "prompt/tokenizer.h"

namespace pi0 {

// Throws Error naming `where`: kInvalidCheckpoint when `content` is no such model, is cut short, or
// has no BOS; kUnsupported when it has tables to normalise text with.
std::unique_ptr<const TokenizerModel> make_sentencepiece_model(std::string_view content,
                                                               const std::string& where);

}  // namespace pi0
