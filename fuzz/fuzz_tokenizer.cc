// Feeds bytes to the tokenizer.json reader and encodes a text with what comes of them. Whatever
// they are, the ids are of the vocabulary, or pi0::Error is thrown. SentencePiece models are left
// to libsentencepiece.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "pi0/error.h"
#include "prompt/bpe_model.h"
#include "prompt/tokenizer_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view content(reinterpret_cast<const char*>(data), size);
  try {
    const auto model = pi0::make_bpe_model(pi0::parse_tokenizer_json(content, "fuzz.json"));
    if (model->bos_id() < 0 || model->bos_id() >= model->vocab_size()) std::abort();
    for (const std::int32_t id :
         model->encode("abcd <loc0000>  ▁▁ a  t\n\nabc \u6771\U0001f916 State: 255;\nAction: ")) {
      if (id < 0 || id >= model->vocab_size()) std::abort();
    }
  } catch (const pi0::Error&) {
  }
  return 0;
}
