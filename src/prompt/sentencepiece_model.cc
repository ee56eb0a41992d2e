#include "prompt/sentencepiece_model.h"

#include <sentencepiece_processor.h>

#include <cstdint>
#include <optional>

#include "pi0/error.h"

namespace pi0 {
namespace {

// A protobuf varint at the front of `bytes`, which it is taken from.
std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

// A field of a protobuf message; `content` is empty for a varint.
struct Field {
  std::uint64_t number = 0;
  std::string_view content;
};

// The field at the front of `message`, which it is taken from; nothing where the bytes are none.
std::optional<Field> take_field(std::string_view& message) {
  const auto tag = take_varint(message);
  if (!tag) return std::nullopt;
  std::optional<std::uint64_t> size = 0;
  switch (*tag & 7) {
    case 0:
      if (!take_varint(message)) return std::nullopt;
      break;
    case 1:
      size = 8;
      break;
    case 2:
      size = take_varint(message);
      break;
    case 5:
      size = 4;
      break;
    default:
      return std::nullopt;
  }
  if (!size || *size > message.size()) return std::nullopt;
  const std::string_view content = message.substr(0, *size);
  message.remove_prefix(*size);
  return Field{*tag >> 3, content};
}

// Numbers of fields in sentencepiece_model.proto.
constexpr std::uint64_t kTrainerSpec = 2;
constexpr std::uint64_t kNormalizerSpec = 3;
constexpr std::uint64_t kDenormalizerSpec = 5;
constexpr std::uint64_t kPrecompiledCharsmap = 2;  // of the two specs

[[noreturn]] void refuse_model(const std::string& where) {
  throw Error(ErrorCode::kInvalidCheckpoint,
              where +
                  ": no SentencePiece model, or a damaged one (nor does it begin with { as a "
                  "tokenizer.json)");
}

// Refuses what libsentencepiece would take and should not.
void check_model(std::string_view content, const std::string& where) {
  bool trainer = false;
  bool normalizer = false;
  while (!content.empty()) {
    const auto field = take_field(content);
    if (!field) refuse_model(where);
    trainer = trainer || field->number == kTrainerSpec;
    normalizer = normalizer || field->number == kNormalizerSpec;
    if (field->number != kNormalizerSpec && field->number != kDenormalizerSpec) continue;
    // The table of a text normalisation is followed without a look at its bounds (found by damaging
    // one: a segmentation fault). PaliGemma's model leaves the text as it is and has none.
    for (std::string_view spec = field->content; !spec.empty();) {
      const auto inner = take_field(spec);
      if (!inner) refuse_model(where);
      if (inner->number == kPrecompiledCharsmap && !inner->content.empty()) {
        throw Error(ErrorCode::kUnsupported,
                    where +
                        ": a SentencePiece model that rewrites characters (it has a "
                        "precompiled_charsmap), expected one that does not, as PaliGemma's");
      }
    }
  }
  // Pieces come first in the file, then the specs. To protobuf a file that was cut between two
  // fields is a valid message, and libsentencepiece would encode with what is left.
  if (!trainer || !normalizer) refuse_model(where);
}

class SentencePieceModel : public TokenizerModel {
 public:
  SentencePieceModel(std::string_view content, const std::string& where) : where_(where) {
    check_model(content, where);
    // By parts: the string_view of 0.1.96 is not std's.
    check(processor_.LoadFromSerializedProto({content.data(), content.size()}));
    if (processor_.bos_id() < 0) {
      throw Error(ErrorCode::kInvalidCheckpoint,
                  where + ": the SentencePiece model has no BOS to begin a text with");
    }
  }

  std::vector<std::int32_t> encode(std::string_view text) const override {
    std::vector<int> ids;
    check(processor_.Encode({text.data(), text.size()}, &ids));
    return ids;
  }

  std::int32_t bos_id() const override { return processor_.bos_id(); }
  std::int32_t vocab_size() const override { return processor_.GetPieceSize(); }

 private:
  // libsentencepiece's own Status until 0.2.0, absl's from 0.2.2 on.
  template <typename Status>
  void check(const Status& status) const {
    if (status.ok()) return;
    throw Error(ErrorCode::kInvalidCheckpoint,
                where_ + ": libsentencepiece refuses the model: " + status.ToString());
  }

  std::string where_;
  sentencepiece::SentencePieceProcessor processor_;
};

}  // namespace

std::unique_ptr<const TokenizerModel> make_sentencepiece_model(std::string_view content,
                                                               const std::string& where) {
  return std::make_unique<SentencePieceModel>(content, where);
}

}  // namespace pi0
