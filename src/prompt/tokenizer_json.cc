#include "prompt/tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <unordered_map>

#include "base/utf8.h"
#include "files/json.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

[[noreturn]] void refuse(ErrorCode code, const std::string& sentence) {
  throw Error(code, sentence);
}

[[noreturn]] void refuse_damaged(const std::string& sentence) {
  refuse(ErrorCode::kInvalidCheckpoint, sentence);
}

// Refuses a key whose value is not the only one that is offered.
template <typename T>
void require_value(const T& found, const T& expected, const std::string& where,
                   const std::string& key) {
  if (found == expected) return;
  refuse(ErrorCode::kUnsupported,
         fmt::format("{}: \"{}\" is {}, expected {} as in PaliGemma's", where, key,
                     describe(Json(found)), describe(Json(expected))));
}

const Json& require_section(const Json& object, const char* key, const std::string& where) {
  const Json* found = find_object(object, key, where);
  if (!found) refuse_damaged(fmt::format("{}: \"{}\" is missing", where, key));
  return *found;
}

// A pattern of plain text: {"String": " "}. One that is a regular expression has another key.
std::string pattern_of(const Json& object, const std::string& where) {
  return get_string(require_section(object, "pattern", where), "String", where + ".pattern", "");
}

// PaliGemma's: {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}.
void check_normalizer(const Json& root, const std::string& where) {
  const std::string at = where + ": normalizer";
  const Json& normalizer = require_section(root, "normalizer", where);
  require_value<std::string>(get_string(normalizer, "type", at, std::nullopt), "Replace", at,
                             "type");
  require_value<std::string>(pattern_of(normalizer, at), " ", at, "pattern");
  require_value<std::string>(get_string(normalizer, "content", at, std::nullopt),
                             std::string(kSpacePiece), at, "content");
}

// A split at spaces, if anything: it finds none, as the normaliser has replaced them.
void check_pre_tokenizer(const Json& root, const std::string& where) {
  const Json* pre_tokenizer = find_object(root, "pre_tokenizer", where);
  if (!pre_tokenizer) return;
  const std::string at = where + ": pre_tokenizer";
  require_value<std::string>(get_string(*pre_tokenizer, "type", at, std::nullopt), "Split", at,
                             "type");
  require_value<std::string>(pattern_of(*pre_tokenizer, at), " ", at, "pattern");
  require_value(get_bool(*pre_tokenizer, "invert", at, false), false, at, "invert");
}

void check_model(const Json& model, const std::string& at) {
  require_value<std::string>(get_string(model, "type", at, std::nullopt), "BPE", at, "type");
  require_value(get_number(model, "dropout", at, 0.0), 0.0, at, "dropout");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    require_value<std::string>(get_string(model, key, at, ""), "", at, key);
  }
  require_value(get_bool(model, "byte_fallback", at, false), true, at, "byte_fallback");
  require_value(get_bool(model, "ignore_merges", at, false), false, at, "ignore_merges");
}

// The pieces' names, which the JSON holds, to their ids.
using Vocabulary = std::unordered_map<std::string_view, std::int32_t>;

std::int32_t id_of(const Json& value, const std::string& name, const std::string& where) {
  constexpr std::int32_t kLargest = std::numeric_limits<std::int32_t>::max() - 1;
  if (value.is_number_unsigned() && value.get<std::uint64_t>() <= kLargest) {
    return value.get<std::int32_t>();
  }
  refuse_damaged(fmt::format("{}: the id of {} is {}, expected an integer from 0 to {}", where,
                             describe(Json(name)), describe(value), kLargest));
}

Vocabulary read_vocabulary(const Json& model, const std::string& at) {
  const Json& vocab = require_section(model, "vocab", at);
  Vocabulary vocabulary;
  vocabulary.reserve(vocab.size());
  for (const auto& [piece, id] : vocab.items()) {
    vocabulary.emplace(piece, id_of(id, piece, at + ".vocab"));
  }
  return vocabulary;
}

std::int32_t find_piece(const Vocabulary& vocabulary, std::string_view piece,
                        const std::string& what) {
  const auto found = vocabulary.find(piece);
  if (found != vocabulary.end()) return found->second;
  refuse_damaged(fmt::format("{} needs the piece {}, which is not in the vocabulary", what,
                             describe(Json(piece))));
}

// The two sides of a merge: ["a", "b"], or "a b" in older files.
std::pair<std::string_view, std::string_view> sides_of(const Json& merge, const std::string& what) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>()};
  }
  if (merge.is_string()) {
    const std::string_view text = merge.get_ref<const std::string&>();
    const std::size_t space = text.find(' ');
    if (space != std::string_view::npos && text.find(' ', space + 1) == std::string_view::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  }
  refuse_damaged(fmt::format("{} is {}, expected two pieces", what, describe(merge)));
}

void read_merges(const Json& model, const std::string& at, const Vocabulary& vocabulary,
                 BpeRules& rules) {
  const Json* merges = find_array(model, "merges", at);
  if (!merges) refuse_damaged(at + ": \"merges\" is missing");
  rules.merges.reserve(merges->size());
  std::int32_t rank = 0;
  std::string merged;
  for (const Json& merge : *merges) {
    const std::string what = fmt::format("{}: merge {}", at, rank);
    const auto [left, right] = sides_of(merge, what);
    merged.assign(left).append(right);
    const std::int32_t left_id = find_piece(vocabulary, left, what);
    const std::int32_t right_id = find_piece(vocabulary, right, what);
    // Of a pair that is there twice, the later rank holds, as in `tokenizers`.
    rules.merges[pair_key(left_id, right_id)] = {rank, find_piece(vocabulary, merged, what)};
    ++rank;
  }
}

void read_pieces(const Vocabulary& vocabulary, const std::string& at, BpeRules& rules) {
  for (const auto& [piece, id] : vocabulary) {
    rules.vocab_size = std::max(rules.vocab_size, id + 1);
    if (piece.empty()) continue;
    const Character first = first_character(piece);
    if (first.length == piece.size()) rules.characters[first.code_point] = id;
  }
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (int byte = 0; byte < 256; ++byte) {
    const std::string name = {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
    rules.bytes[byte] = find_piece(vocabulary, name, at + ": byte_fallback");
  }
}

void read_added_tokens(const Json& root, const std::string& where, const Vocabulary& vocabulary,
                       BpeRules& rules) {
  const Json* tokens = find_array(root, "added_tokens", where);
  if (!tokens) return;
  for (const Json& token : *tokens) {
    const std::string at = fmt::format("{}: added_tokens[{}]", where, rules.added_tokens.size());
    require_object(token, at);
    const Json* id = find_key(token, "id");
    AddedToken added;
    added.content = get_string(token, "content", at, std::nullopt);
    added.id = id_of(id ? *id : Json(), added.content, at);
    added.normalized = get_bool(token, "normalized", at, false);
    for (const char* key : {"single_word", "lstrip", "rstrip"}) {
      require_value(get_bool(token, key, at, false), false, at, key);
    }
    if (added.content.empty()) refuse_damaged(at + ": \"content\" is empty");
    const auto found = vocabulary.find(added.content);
    if (found != vocabulary.end() && found->second != added.id) {
      refuse_damaged(fmt::format("{}: {} has the id {}, but {} in the vocabulary", at,
                                 describe(Json(added.content)), added.id, found->second));
    }
    rules.vocab_size = std::max(rules.vocab_size, added.id + 1);
    rules.added_tokens.push_back(std::move(added));
  }
}

// The special token that the template of a single text begins with, if the file has one.
std::optional<std::string> first_of_template(const Json& root, const std::string& where) {
  const Json* processor = find_object(root, "post_processor", where);
  const std::string at = where + ": post_processor";
  if (!processor || get_string(*processor, "type", at, "") != "TemplateProcessing") {
    return std::nullopt;
  }
  const Json* single = find_array(*processor, "single", at);
  if (!single || single->empty() || !single->front().is_object()) return std::nullopt;
  const Json* special = find_object(single->front(), "SpecialToken", at + ".single[0]");
  if (!special) return std::nullopt;
  return get_string(*special, "id", at + ".single[0].SpecialToken", std::nullopt);
}

// Of the token that begins every text: what the template names, else Gemma's name for it, else
// SentencePiece's.
std::int32_t find_bos(const Json& root, const std::string& where, const Vocabulary& vocabulary,
                      const std::vector<AddedToken>& added_tokens) {
  std::vector<std::string> names = {"<bos>", "<s>"};
  if (auto named = first_of_template(root, where)) names = {*std::move(named)};
  for (const std::string& name : names) {
    for (const AddedToken& token : added_tokens) {
      if (token.content == name) return token.id;
    }
    if (const auto found = vocabulary.find(name); found != vocabulary.end()) return found->second;
  }
  refuse_damaged(where + ": no token " + describe(Json(names.front())) + " to begin a text with");
}

}  // namespace

BpeRules parse_tokenizer_json(std::string_view content, const std::string& where) {
  const Json root = parse_json(content, where);
  require_object(root, where);
  check_normalizer(root, where);
  check_pre_tokenizer(root, where);
  const std::string at = where + ": model";
  const Json& model = require_section(root, "model", where);
  check_model(model, at);
  const Vocabulary vocabulary = read_vocabulary(model, at);
  BpeRules rules;
  read_merges(model, at, vocabulary, rules);
  read_pieces(vocabulary, at, rules);
  read_added_tokens(root, where, vocabulary, rules);
  rules.bos_id = find_bos(root, where, vocabulary, rules.added_tokens);
  return rules;
}

}  // namespace pi0
