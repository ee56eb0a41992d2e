#include "prompt/tokenizer.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "files/file.h"
#include "files/json.h"
#include "prompt/test_support.h"

namespace pi0 {
namespace {

const std::string kJson = "golden/preprocess/tokenizer.json";
const std::string kModel = "golden/preprocess/tokenizer.model";

// The ids that the Python libraries gave; tools/make_tokenizer_goldens.py.
void expect_ids(const std::string& tokenizer_file, const std::string& texts,
                const std::string& key) {
  const Tokenizer tokenizer = Tokenizer::load(testdata(tokenizer_file));
  const Json cases = read_json(testdata(texts));
  EXPECT_GT(cases.size(), 100u);
  for (const Json& one : cases) {
    const auto text = one.at("text").get<std::string>();
    EXPECT_EQ(tokenizer.encode(text), one.at(key).get<Ids>()) << testing::PrintToString(text);
  }
}

TEST(Tokenizer, JsonGivesTheIdsOfTokenizers) { expect_ids(kJson, "tokenizer/texts.json", "json"); }

TEST(Tokenizer, ModelGivesTheIdsOfSentencePiece) {
  expect_ids(kModel, "tokenizer/texts.json", "model");
}

TEST(Tokenizer, AnOddButLegalJsonGivesTheIdsOfTokenizers) {
  expect_ids("tokenizer/odd_tokenizer.json", "tokenizer/odd_texts.json", "json");
}

TEST(Tokenizer, Sizes) {
  for (const std::string& file : {kJson, kModel}) {
    const Tokenizer tokenizer = Tokenizer::load(testdata(file));
    EXPECT_EQ(tokenizer.bos_id(), 2) << file;
    EXPECT_EQ(tokenizer.vocab_size(), 500) << file;
  }
}

// Minutes, were the time quadratic in the length.
TEST(Tokenizer, ALongTextTakesNoTimeToSpeakOf) {
  const Tokenizer tokenizer = Tokenizer::load(testdata(kJson));
  const std::size_t words = 1 << 15;
  std::string text;
  for (std::size_t i = 0; i < words; ++i) text += "open";
  EXPECT_EQ(tokenizer.encode(text), Ids(words, 360));  // as `tokenizers` gives
}

TEST(Tokenizer, ATextThatIsNotUtf8IsRefused) {
  for (const std::string& file : {kJson, kModel}) {
    const Tokenizer tokenizer = Tokenizer::load(testdata(file));
    expect_error(ErrorCode::kInvalidInput, {"byte 3 of its 6"}, [&] {
      tokenizer.encode(
          "abc\xff"
          "de");
    });
  }
}

TEST(Tokenizer, AnAbsentFileIsNamed) {
  expect_error(ErrorCode::kIo, {"absent.model"}, [] { Tokenizer::load(testdata("absent.model")); });
}

TEST(Tokenizer, APointerOfGitLfsIsNamed) {
  expect_error(ErrorCode::kInvalidCheckpoint, {"some.model", "git lfs pull"}, [] {
    Tokenizer::parse("version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "some.model");
  });
}

TEST(SentencePieceModel, GarbageAndEveryTruncationAreRefused) {
  for (const std::string& bytes : {std::string(), std::string("x"), std::string(1000, '\xff'),
                                   std::string(1000, '\0'), std::string("\n\3abc")}) {
    expect_error(ErrorCode::kInvalidCheckpoint, {"some.model"},
                 [&] { Tokenizer::parse(bytes, "some.model"); });
  }
  const std::string whole = read_file(testdata(kModel));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    expect_error(ErrorCode::kInvalidCheckpoint, {"some.model"},
                 [&] { Tokenizer::parse(whole.substr(0, size), "some.model"); });
  }
}

TEST(SentencePieceModel, DamagedBytesNeverDoMoreThanThrow) {
  const std::string whole = read_file(testdata(kModel));
  for (std::size_t at = 0; at < whole.size(); at += 3) {
    std::string damaged = whole;
    damaged[at] ^= static_cast<char>(1 << at % 8);
    try {
      Tokenizer::parse(damaged, "some.model").encode("pick up the <loc0000> caf\u00e9\n");
    } catch (const Error&) {
    }
  }
}

// libsentencepiece follows the tables of a normalisation out of bounds when they are damaged.
TEST(SentencePieceModel, ANormalisationIsRefused) {
  const std::string whole = read_file(testdata(kModel));
  const std::string identity =
      "\x1a\x10\x0a\x08identity\x12";  // then an empty precompiled_charsmap
  const std::size_t at = whole.find(identity);
  ASSERT_NE(at, std::string::npos);
  std::string model = whole;
  model[at + 1] += 4;
  model[at + identity.size()] = 4;
  model.insert(at + identity.size() + 1, "abcd");
  expect_error(ErrorCode::kUnsupported, {"some.model", "precompiled_charsmap"},
               [&] { Tokenizer::parse(model, "some.model"); });
}

// tokenizer.json as a value to spoil.
Json golden_json() { return read_json(testdata("tokenizer/odd_tokenizer.json")); }

void expect_refused(ErrorCode code, const std::vector<std::string>& parts, const Json& json) {
  std::vector<std::string> all = parts;
  all.emplace_back("some.json");
  expect_error(code, all, [&] { Tokenizer::parse(json.dump(), "some.json"); });
}

TEST(TokenizerJson, WhatItMayLeaveOutOrWriteOtherwise) {
  Json json = golden_json();
  const Ids expected = Tokenizer::parse(json.dump(), "some.json").encode("abcd t ab");
  json.erase("post_processor");
  json["model"].erase("unk_token");
  json["pre_tokenizer"] = {{"type", "Split"},
                           {"pattern", {{"String", " "}}},
                           {"behavior", "MergedWithPrevious"},
                           {"invert", false}};
  json["model"]["dropout"] = 0.0;
  json["model"]["continuing_subword_prefix"] = "";
  for (Json& merge : json["model"]["merges"]) {
    const auto text = merge.get<std::string>();
    const std::size_t space = text.find(' ');
    merge = Json::array({text.substr(0, space), text.substr(space + 1)});
  }
  const Tokenizer tokenizer = Tokenizer::parse(json.dump(), "some.json");
  EXPECT_EQ(tokenizer.encode("abcd t ab"), expected);
  EXPECT_EQ(tokenizer.bos_id(), 2);
}

TEST(TokenizerJson, TheTemplateNamesBos) {
  Json json = golden_json();
  json["post_processor"] = {{"type", "TemplateProcessing"},
                            {"single", Json::array({{{"SpecialToken", {{"id", "<eos>"}}}}})}};
  EXPECT_EQ(Tokenizer::parse(json.dump(), "some.json").bos_id(), 1);
  json["post_processor"]["single"][0]["SpecialToken"]["id"] = "<begin>";
  expect_refused(ErrorCode::kInvalidCheckpoint, {"\"<begin>\""}, json);
}

TEST(TokenizerJson, AnotherKindOfTokenizerIsRefused) {
  const auto refused = [](const std::string& path, const Json& value,
                          const std::vector<std::string>& parts) {
    Json json = golden_json();
    json[Json::json_pointer(path)] = value;
    expect_refused(ErrorCode::kUnsupported, parts, json);
  };
  refused("/model/type", "Unigram", {"model", "\"type\" is \"Unigram\"", "\"BPE\""});
  refused("/model/byte_fallback", false, {"byte_fallback", "true"});
  refused("/model/dropout", 0.1, {"dropout", "0.1"});
  refused("/model/ignore_merges", true, {"ignore_merges"});
  refused("/model/continuing_subword_prefix", "##", {"continuing_subword_prefix"});
  refused("/model/end_of_word_suffix", "</w>", {"end_of_word_suffix"});
  refused("/normalizer/type", "NFKC", {"normalizer", "\"NFKC\""});
  refused("/normalizer/content", "_", {"normalizer", "\"_\""});
  refused("/normalizer/pattern", {{"Regex", "\\s"}}, {"normalizer", "pattern"});
  refused("/pre_tokenizer", {{"type", "ByteLevel"}}, {"pre_tokenizer", "\"ByteLevel\""});
  refused("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "."}}}},
          {"pre_tokenizer", "pattern"});
  refused("/added_tokens/1/lstrip", true, {"added_tokens[1]", "lstrip"});
  refused("/added_tokens/1/single_word", true, {"added_tokens[1]", "single_word"});
}

TEST(TokenizerJson, ADamagedFileIsRefused) {
  const auto refused = [](const std::string& path, const Json& value,
                          const std::vector<std::string>& parts) {
    Json json = golden_json();
    json[Json::json_pointer(path)] = value;
    expect_refused(ErrorCode::kInvalidCheckpoint, parts, json);
  };
  refused("/model", Json(), {"\"model\" is missing"});
  refused("/model/vocab", Json(), {"\"vocab\" is missing"});
  refused("/model/merges", Json(), {"\"merges\" is missing"});
  refused("/normalizer", Json(), {"\"normalizer\" is missing"});
  refused("/model/vocab/a", -1, {"the id of \"a\" is -1"});
  refused("/model/vocab/a", 1.5, {"the id of \"a\" is 1.5"});
  refused("/model/vocab/a", 1u << 31, {"the id of \"a\" is 2147483648"});
  refused("/model/merges/0", "ab", {"merge 0 is \"ab\", expected two pieces"});
  refused("/model/merges/0", "a b c", {"merge 0"});
  refused("/model/merges/1", Json::array({"a"}), {"merge 1"});
  refused("/model/merges/1", Json::array({"a", 2}), {"merge 1"});
  refused("/model/merges/2", "c x", {"merge 2", "\"x\", which is not in the vocabulary"});
  refused("/model/merges/2", "c c", {"merge 2", "\"cc\", which is not in the vocabulary"});
  refused("/added_tokens/0", 7, {"added_tokens[0]", "expected an object"});
  refused("/added_tokens/0/id", "0", {"the id of \"<pad>\""});
  refused("/added_tokens/0/id", 5, {"\"<pad>\" has the id 5, but 0 in the vocabulary"});
  refused("/added_tokens/0/content", "", {"added_tokens[0]", "empty"});

  Json json = golden_json();
  json["model"]["vocab"].erase("<0x41>");
  expect_refused(ErrorCode::kInvalidCheckpoint, {"\"<0x41>\", which is not in the vocabulary"},
                 json);
  json = golden_json();
  json["model"]["vocab"].erase("<bos>");
  json["added_tokens"].erase(1);
  expect_refused(ErrorCode::kInvalidCheckpoint, {"no token \"<bos>\""}, json);
  for (const std::string text : {"{", "{}", "{\"model\": []}", "[1]"}) {
    expect_error(ErrorCode::kInvalidCheckpoint, {"some.json"},
                 [&] { Tokenizer::parse(text, "some.json"); });
  }
}

}  // namespace
}  // namespace pi0
