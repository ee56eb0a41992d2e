#include "files/json.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>

#include "base/test_support.h"
#include "files/file.h"

namespace pi0 {
namespace {

void expect_bad(const std::string& text, const std::vector<std::string>& words) {
  expect_error(ErrorCode::kInvalidCheckpoint, words, [&] { parse_json(text, "dir/a.json"); });
}

TEST(ParseJson, KeepsTheOrderOfTheFile) {
  const Json json = parse_json(R"({"z": 1, "a": [true, null, "x"], "m": {"b": -2, "a": 0.5}})", "");
  EXPECT_EQ(json.dump(), R"({"z":1,"a":[true,null,"x"],"m":{"b":-2,"a":0.5}})");
}

TEST(ParseJson, TakesAnyValueAtTheTop) {
  EXPECT_EQ(parse_json(" 3 ", "").get<int>(), 3);
  EXPECT_TRUE(parse_json("[]", "").is_array());
}

TEST(ParseJson, NamesTheFileAndTheByte) {
  expect_bad("{\"a\": nan}", {"dir/a.json", "byte 8", "no JSON"});
  expect_bad("", {"dir/a.json", "byte 1", "no JSON"});
  expect_bad("{\"a\": 1} x", {"byte 10", "no JSON"});
  expect_bad("{\"a\": 1e999}", {"no JSON", "1e999"});
}

// Python's json writes them, and statistics may hold them.
TEST(ParseJson, NamesTheValueThatIsNotFinite) {
  expect_error(ErrorCode::kInvalidCheckpoint, {"file: norm.state.std[2] is NaN", "finite"},
               [] { parse_json(R"({"norm": {"state": {"std": [1, 2, NaN]}}})", "file"); });
  expect_error(ErrorCode::kInvalidCheckpoint, {"file: a[1].b is -Infinity"},
               [] { parse_json(R"({"a": [0, {"b": -Infinity}]})", "file"); });
  expect_error(ErrorCode::kInvalidCheckpoint, {"file: it is Infinity"},
               [] { parse_json("Infinity", "file"); });
  for (const std::string value : {"NaN", "Infinity", "-Infinity"}) {  // the first, and in brackets
    expect_error(ErrorCode::kInvalidCheckpoint, {"file: std[0] is " + value + ","},
                 [&] { parse_json(R"({"std": [)" + value + ", 1]}", "file"); });
    expect_error(ErrorCode::kInvalidCheckpoint, {"file: [0][0] is " + value + ","},
                 [&] { parse_json("[[" + value + "]]", "file"); });
  }
  expect_error(ErrorCode::kInvalidCheckpoint, {"byte", "no JSON"},
               [] { parse_json(R"({"a": Nein})", "file"); });
}

TEST(ParseJson, APointerOfGitLfsIsNamed) {
  expect_bad("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 6477\n",
             {"dir/a.json", "Git LFS", "git lfs pull"});
}

TEST(ParseJson, RefusesAZeroByte) {
  expect_bad(std::string("{}\0garbage", 10), {"byte 3", "no JSON"});
  expect_bad(std::string("{\"a\0\": 1}", 9), {"byte 4", "no JSON"});
}

TEST(ParseJson, RefusesTextThatIsNotUtf8) {
  expect_bad("{\"a\": \"\xff\xfe\"}", {"byte 8", "UTF-8"});
  expect_bad(std::string("{\"a\": \"\xc3\"}"), {"UTF-8"});
}

TEST(ParseJson, RefusesARepeatedKey) {
  expect_bad(R"({"a": {"b": 1, "c": 2, "b": 3}})", {"dir/a.json", "\"b\"", "twice"});
  EXPECT_NO_THROW(parse_json(R"({"a": {"b": 1}, "b": {"b": 1}})", ""));
}

TEST(ParseJson, LimitsTheDepth) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW(parse_json(nested(100), ""));
  expect_bad(nested(101), {"nested deeper than 100"});
  expect_bad(std::string(10'000'000, '['), {"nested deeper than 100"});
}

TEST(ParseJson, TakesTimeInProportionToTheKeys) {
  std::string text = "{";  // as large as PaliGemma's vocabulary
  for (int i = 0; i < 257152; ++i) text += "\"piece" + std::to_string(i) + "\":1,";
  text.back() = '}';
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(parse_json(text, "").size(), 257152u);
  // Quadratic would be minutes; generous for a sanitizer's build on a busy machine.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST(ReadJson, NamesTheFile) {
  const TemporaryDirectory directory;
  write_file(directory / "a.json", "{");
  expect_error(ErrorCode::kInvalidCheckpoint, {(directory / "a.json").string(), "byte 2"},
               [&] { read_json(directory / "a.json"); });
}

TEST(Describe, IsShort) {
  EXPECT_EQ(describe(Json::parse(R"({"a": 1})")), "an object");
  EXPECT_EQ(describe(Json::parse("[1]")), "an array");
  EXPECT_EQ(describe(Json::parse("12")), "12");
  EXPECT_EQ(describe(Json("a\"b\n")), R"("a\"b\n")");
  std::string umlauts;
  for (int i = 0; i < 1000; ++i) umlauts += "ä";
  const std::string cut = describe(Json(umlauts));
  EXPECT_LT(cut.size(), 210u);
  EXPECT_NO_THROW(Json(cut).dump());  // throws when a character was cut in two
}

class Getters : public testing::Test {
 protected:
  Json json_ = parse_json(R"({"int": 7, "negative": -3, "float": 2.5, "whole": 2.0, "text": "x",
                              "yes": true, "none": null, "object": {}, "array": [1, 2],
                              "numbers": [1, 2.5], "names": ["a", "b"],
                              "huge": 18446744073709551615, "wide": 4294967297})",
                          "");
};

void expect_bad_key(const std::function<void()>& call, const std::vector<std::string>& words) {
  expect_error(ErrorCode::kInvalidCheckpoint, words, call);
}

TEST_F(Getters, GiveWhatIsThere) {
  EXPECT_EQ(get_int(json_, "int", "f", {}, 0, 10), 7);
  EXPECT_EQ(get_int(json_, "negative", "f", {}, -3, 10), -3);
  EXPECT_EQ(get_number(json_, "float", "f", {}), 2.5);
  EXPECT_EQ(get_number(json_, "int", "f", {}), 7.0);
  EXPECT_EQ(get_string(json_, "text", "f", {}), "x");
  EXPECT_TRUE(get_bool(json_, "yes", "f", {}));
  EXPECT_NE(find_object(json_, "object", "f"), nullptr);
  EXPECT_EQ(find_ints(json_, "array", "f", 0, 5), (std::vector<int>{1, 2}));
  EXPECT_EQ(find_numbers(json_, "numbers", "f"), (std::vector<double>{1, 2.5}));
  EXPECT_EQ(find_strings(json_, "names", "f"), (std::vector<std::string>{"a", "b"}));
}

TEST_F(Getters, TakeTheFallbackForAbsentAndNull) {
  for (const char* key : {"absent", "none"}) {
    EXPECT_EQ(get_int(json_, key, "f", 5, 0, 10), 5);
    EXPECT_EQ(get_string(json_, key, "f", "fallback"), "fallback");
    EXPECT_EQ(find_object(json_, key, "f"), nullptr);
    EXPECT_EQ(find_strings(json_, key, "f"), std::nullopt);
    expect_bad_key([&] { get_int(json_, key, "f", {}, 0, 10); }, {"f: \"", key, "is missing"});
    expect_bad_key([&] { get_bool(json_, key, "f", {}); }, {"f: \"", key, "is missing"});
  }
}

TEST_F(Getters, NameTheKeyOfAnotherType) {
  expect_bad_key([&] { get_int(json_, "text", "f", 1, 0, 10); },
                 {"f: \"text\" is \"x\"", "an integer from 0 to 10"});
  expect_bad_key([&] { get_int(json_, "whole", "f", 1, 0, 10); }, {"\"whole\" is 2.0"});
  expect_bad_key([&] { get_int(json_, "int", "f", 1, 0, 6); }, {"\"int\" is 7", "0 to 6"});
  expect_bad_key([&] { get_int(json_, "negative", "f", 1, 0, 6); }, {"is -3"});
  expect_bad_key([&] { get_int(json_, "huge", "f", 1, -1, 6); }, {"is 18446744073709551615"});
  expect_bad_key([&] { get_int(json_, "wide", "f", 1, 0, 6); }, {"is 4294967297"});
  expect_bad_key([&] { get_number(json_, "text", "f", 1.0); }, {"\"text\"", "a number"});
  expect_bad_key([&] { get_bool(json_, "int", "f", false); }, {"\"int\" is 7", "true or false"});
  expect_bad_key([&] { get_string(json_, "array", "f", ""); }, {"is an array", "a string"});
  expect_bad_key([&] { find_object(json_, "array", "f"); }, {"is an array", "an object"});
  expect_bad_key([&] { find_array(json_, "text", "f"); }, {"is \"x\"", "an array"});
  expect_bad_key([&] { find_numbers(json_, "names", "f"); }, {"\"names[0]\" is \"a\""});
  expect_bad_key([&] { find_ints(json_, "array", "f", 0, 1); }, {"\"array[1]\" is 2"});
  expect_bad_key([&] { find_strings(json_, "array", "f"); }, {"\"array[0]\" is 1"});
  expect_bad_key([&] { require_object(json_["array"], "f"); }, {"f is an array", "an object"});
}

}  // namespace
}  // namespace pi0
