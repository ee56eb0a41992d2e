#include "wire/value.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/test_support.h"
#include "wire/wire_testing.h"

namespace pi0 {
namespace {

void expect_refused(const std::vector<std::string>& words, const std::function<void()>& call) {
  expect_error(ErrorCode::kInvalidInput, words, call);
}

Value text(std::string_view value) { return {value}; }
Value list(ValueList values) { return {std::move(values)}; }
Value bytes(std::string_view value) { return {std::as_bytes(std::span(value))}; }

class GoldenValueTest : public testing::Test {
 protected:
  const Value& at(std::string_view key) const { return *find_value(map_, key); }
  const Value& typed(std::string_view key) const { return *find_value(types_, key); }

 private:
  GoldenMessages golden_;
  ValueMap map_ = golden_.map("values");
  ValueMap types_ = golden_.map("types");
};

TEST_F(GoldenValueTest, NumbersComeOfArraysListsAndNumbers) {
  EXPECT_EQ(to_floats({2.5}, ""), (std::vector<float>{2.5}));
  EXPECT_EQ(to_floats({std::int64_t{-3}}, ""), (std::vector<float>{-3}));
  EXPECT_EQ(to_floats(list({{true}, list({{1.5}}), {std::uint64_t{7}}}), ""),
            (std::vector<float>{1, 1.5, 7}));
  EXPECT_EQ(to_floats(typed("nothing"), ""), std::vector<float>());
  EXPECT_TRUE(std::isnan(to_floats(at("nan"), "")[0]));
  expect_refused({"state: 1e+300 is beyond float32"}, [&] { to_floats(at("beyond"), "state"); });
  expect_refused({"state: is \"Öffne die 🤖\", expected numbers"},
                 [&] { to_floats(at("text"), "state"); });
  expect_refused({"state: is an array <U11 [], expected numbers"},
                 [&] { to_floats(at("texts little"), "state"); });
  expect_refused({"state: is nothing (nil)"}, [&] { to_floats(list({{}}), "state"); });

  EXPECT_EQ(to_number(typed("no sides"), ""), 2.5);
  EXPECT_EQ(to_number(at("uint64"), ""), 18446744073709551615.0);
  expect_refused({"seed: is an array <f4 [2, 3], expected a number"},
                 [&] { to_number(typed("<f4"), "seed"); });
  expect_refused({"seed: is an array <U1 [], expected a number"},
                 [&] { to_number(at("no text"), "seed"); });
}

TEST_F(GoldenValueTest, IntegersAreWholeAndInTheirRange) {
  EXPECT_EQ(to_integer({std::int64_t{7}}, "", 0, 7), 7);
  EXPECT_EQ(to_integer({7.0}, "", 0, 7), 7);
  const auto refused = [](const Value& value, const std::string& found) {
    expect_refused({"delay: is " + found + ", expected a whole number from 0 to 7"},
                   [&value] { to_integer(value, "delay", 0, 7); });
  };
  refused({std::int64_t{8}}, "8");
  refused({std::int64_t{-1}}, "-1");
  refused({0.5}, "0.5");
  refused({8.0}, "8");
  refused({std::nan("")}, "nan");
  refused(at("uint64"), "18446744073709551615");
  const std::int64_t most = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(to_integer({most}, "", 0, most), most);  // a double would round it
  expect_refused({"is 9.22337204e+18, expected a whole number"},
                 [most] { to_integer({9223372036854775808.0}, "", 0, most); });
}

TEST_F(GoldenValueTest, OnlyTruthsAreTruths) {
  EXPECT_TRUE(to_bool({true}, ""));
  expect_refused({"rtc: is 1, expected true or false"}, [] { to_bool({std::int64_t{1}}, "rtc"); });
  expect_refused({"rtc: is an array |b1 [2, 3]"}, [&] { to_bool(typed("|b1"), "rtc"); });
}

TEST_F(GoldenValueTest, TextsAreUtf8) {
  EXPECT_EQ(to_text(text("öffne"), ""), "öffne");
  EXPECT_EQ(to_text(bytes("open"), ""), "open");
  EXPECT_EQ(to_text(at("task"), ""), "fold the shirt");
  expect_refused({"prompt: is no UTF-8 at byte 2"}, [] { to_text(bytes("ab\xff"), "prompt"); });
  expect_refused({"prompt: is no UTF-8 at byte 0"},
                 [] { to_text(text("\xed\xa0\x80"), "prompt"); });
  expect_refused({"prompt: is an array <U1 [2], expected a text"},
                 [&] { to_text(at("two texts"), "prompt"); });
  expect_refused({"prompt: is a list of 2"}, [] { to_text(list({{}, {}}), "prompt"); });
  expect_refused({"prompt: is 0.1"}, [&] { to_text(at("float"), "prompt"); });
  expect_refused({"prompt: is a map"}, [&] { to_text(at("map"), "prompt"); });

  const auto numpy = [](const std::u32string& characters) {
    return Value{NumpyArray{{NumpyKind::kText, static_cast<int>(4 * characters.size())},
                            {},
                            std::as_bytes(std::span(characters))}};
  };
  const std::u32string inner = {U'a', 0, U'b', 0};  // the last alone is numpy's
  EXPECT_EQ(to_text(numpy(inner), ""), (std::string{'a', 0, 'b'}));
  for (const char32_t character : {char32_t{0x110000}, char32_t{0xd800}}) {
    const std::u32string characters(1, character);
    expect_refused({"prompt: has a character that Unicode does not"},
                   [&] { to_text(numpy(characters), "prompt"); });
  }
}

TEST_F(GoldenValueTest, AreDescribedInALine) {
  EXPECT_EQ(describe(at("none")), "nothing (nil)");
  EXPECT_EQ(describe(at("bytes")), "2 bytes");
  EXPECT_EQ(describe(at("texts big")), "an array >U9 []");
  EXPECT_EQ(describe(text("two\nlines")), "\"two lines\"");
  EXPECT_LT(describe(at("long text")).size(), 60u);
  expect_refused({"pi0: is 0.1, expected a map"}, [&] { to_map(at("float"), "pi0"); });
  EXPECT_EQ(find_value(to_map(at("map"), ""), "b"), nullptr);
}

}  // namespace
}  // namespace pi0
