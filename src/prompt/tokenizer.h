// Text to the token ids of PaliGemma's vocabulary.
//
//   const Tokenizer tokenizer = Tokenizer::load("tokenizer.model");
//   std::vector<std::int32_t> ids = tokenizer.encode("open the drawer");
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pi0 {

// What a kind of file turns into; see sentencepiece_model.h and bpe_model.h. May be used from
// several threads at once.
class TokenizerModel {
 public:
  TokenizerModel() = default;
  TokenizerModel(const TokenizerModel&) = delete;
  TokenizerModel& operator=(const TokenizerModel&) = delete;
  virtual ~TokenizerModel() = default;

  // `text` is well-formed UTF-8.
  virtual std::vector<std::int32_t> encode(std::string_view text) const = 0;
  virtual std::int32_t bos_id() const = 0;
  virtual std::int32_t vocab_size() const = 0;
};

// Movable, not copyable.
class Tokenizer {
 public:
  // A SentencePiece model or a Hugging Face tokenizer.json; the content tells which. Throws Error
  // (kIo when it cannot be read, kInvalidCheckpoint when it is damaged, kUnsupported when it is a
  // tokenizer of another make than PaliGemma's) naming the file.
  static Tokenizer load(const std::filesystem::path& path);
  // The same from memory; `where` is what an error calls it.
  static Tokenizer parse(std::string_view content, const std::string& where);

  // The ids of `text`, without BOS. A character that is not in the vocabulary becomes its bytes. In
  // a text, tokenizer.json takes the name of a special token ("<bos>") for that token, a
  // SentencePiece model for text, each as its own library does. Throws Error (kInvalidInput) naming
  // the byte where the text is not UTF-8.
  std::vector<std::int32_t> encode(std::string_view text) const;

  std::int32_t bos_id() const { return model_->bos_id(); }
  // One more than the largest id that encode() or bos_id() can give, or larger.
  std::int32_t vocab_size() const { return model_->vocab_size(); }

 private:
  explicit Tokenizer(std::unique_ptr<const TokenizerModel> model) : model_(std::move(model)) {}
  std::unique_ptr<const TokenizerModel> model_;
};

}  // namespace pi0
