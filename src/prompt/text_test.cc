#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/utf8.h"
#include "prompt/python_text.h"

namespace pi0 {
namespace {

using namespace std::string_view_literals;

TEST(Utf8, WellFormed) {
  for (const std::string_view text :
       {""sv, "plain"sv, "\0"sv, "\x7f"sv, "\u0080"sv, "\u07ff"sv, "\u0800"sv, "\ud7ff"sv,
        "\ue000"sv, "\uffff"sv, "\U00010000"sv, "\U0010ffff"sv, "caf\u00e9 \u6771\U0001f916"sv}) {
    EXPECT_FALSE(find_invalid_utf8(text).has_value()) << text;
  }
}

TEST(Utf8, TheFirstByteThatIsNotPartOfACharacter) {
  const std::pair<std::string_view, std::size_t> cases[] = {
      {"\x80", 0},                // a continuation with nothing to continue
      {"ab\xff", 2},              // never a byte of UTF-8
      {"a\xc3", 1},               // cut short
      {"\u00e9\xe6\x9d", 2},      // cut short, later
      {"\xc3\x28", 0},            // not continued
      {"\xc0\x80", 0},            // overlong NUL
      {"\xc1\xbf", 0},            // overlong 0x7f
      {"\xe0\x9f\xbf", 0},        // overlong U+07FF
      {"\xf0\x8f\xbf\xbf", 0},    // overlong U+FFFF
      {"\xed\xa0\x80", 0},        // a surrogate
      {"\xed\xbf\xbf", 0},        // the last surrogate
      {"ab\xf4\x90\x80\x80", 2},  // beyond U+10FFFF
      {"\xf5\x80\x80\x80", 0},    // far beyond
  };
  for (const auto& [text, offset] : cases) {
    const auto found = find_invalid_utf8(text);
    ASSERT_TRUE(found.has_value()) << testing::PrintToString(text);
    EXPECT_EQ(*found, offset) << testing::PrintToString(text);
  }
}

TEST(Utf8, Characters) {
  EXPECT_EQ(first_character("\u00e9x").code_point, U'\u00e9');
  EXPECT_EQ(first_character("\u00e9x").length, 2u);
  EXPECT_EQ(first_character("\U0001f916").code_point, U'\U0001f916');
  EXPECT_EQ(first_character("\u6771").code_point, U'\u6771');
}

// All characters for which Python 3.12's str.isspace() holds, and neighbours for which it does not.
TEST(PythonText, StripTakesWhatPythonTakes) {
  for (const std::string_view space :
       {"\t",     "\n",     "\v",     "\f",     "\r",     "\x1c",   "\x1d",   "\x1e",
        "\x1f",   " ",      "\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002",
        "\u2003", "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
        "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"}) {
    const std::string one(space);
    const std::string text = one + 'a' + one + 'b' + one + one;
    EXPECT_EQ(python_strip(text), text.substr(one.size(), 2 + one.size()));
  }
  for (const std::string_view other : {"\b"sv, "\x0e"sv, "\x1b"sv, "\0"sv, "\u0084"sv, "\u180e"sv,
                                       "\u200b"sv, "\u2060"sv, "\ufeff"sv, "\u2800"sv}) {
    const std::string one(other);
    const std::string text = one + 'a' + one;
    EXPECT_EQ(python_strip(text), text);
  }
  EXPECT_EQ(python_strip(""), "");
  EXPECT_EQ(python_strip(" \u3000\n"), "");
  EXPECT_EQ(python_strip("  \u6771\u4eac \u00e9 "), "\u6771\u4eac \u00e9");
}

}  // namespace
}  // namespace pi0
