#include "prompt/tokenizer.h"

#include <fmt/format.h>

#include <utility>

#include "base/utf8.h"
#include "files/file.h"
#include "pi0/error.h"
#include "prompt/bpe_model.h"
#include "prompt/sentencepiece_model.h"
#include "prompt/tokenizer_json.h"

namespace pi0 {

Tokenizer Tokenizer::load(const std::filesystem::path& path) {
  return parse(read_file(path), path.string());
}

Tokenizer Tokenizer::parse(std::string_view content, const std::string& where) {
  refuse_lfs_pointer(content, where);
  // A SentencePiece model is protobuf, whose first byte is a field's tag: 0x0a where it begins with
  // a piece, and never '{'.
  if (content.starts_with('{')) {
    return Tokenizer(make_bpe_model(parse_tokenizer_json(content, where)));
  }
  return Tokenizer(make_sentencepiece_model(content, where));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  if (const auto offset = find_invalid_utf8(text)) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("the text is not UTF-8: byte {} of its {} is not part of a character",
                            *offset, text.size()));
  }
  return model_->encode(text);
}

}  // namespace pi0
