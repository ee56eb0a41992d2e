#include "base/text.h"

#include <gtest/gtest.h>

#include <cmath>

namespace pi0 {
namespace {

TEST(Text, DecodesAndEncodesUtf8) {
  EXPECT_EQ(characters("aπ折🤖"), U"aπ折🤖");
  EXPECT_EQ(to_utf8(U"aπ折🤖"), "aπ折🤖");
}

TEST(Text, ReplacesWhatIsNoUtf8) {
  EXPECT_EQ(characters("a\xff"
                       "b"),
            U"a\uFFFDb");
  EXPECT_EQ(characters("\xcf"), U"\uFFFD");                      // cut
  EXPECT_EQ(characters("\xc0\xaf"), U"\uFFFD\uFFFD");            // overlong '/'
  EXPECT_EQ(characters("\xed\xa0\x80"), U"\uFFFD\uFFFD\uFFFD");  // a surrogate
  EXPECT_EQ(characters("\xf4\x90\x80\x80").size(), 4u);          // beyond U+10FFFF
}

TEST(Text, KeepsControlCharactersFromATerminal) {
  EXPECT_EQ(to_utf8(characters("a\x1b[2Jb\n\x7f")), "a [2Jb  ");
  EXPECT_EQ(to_utf8(characters("a\xe2\x80\xae"
                               "b")),
            "a b");  // U+202E turns what follows
}

TEST(Text, MeasuresColumns) {
  EXPECT_EQ(display_width("hand x"), 6);
  EXPECT_EQ(display_width("π0"), 2);
  EXPECT_EQ(display_width("折叠"), 4);
  EXPECT_EQ(display_width("e\xcc\x81"), 1);  // e and a combining accent
}

TEST(Text, ShortensToTheWidth) {
  EXPECT_EQ(shorten_end("shoulder", 8), "shoulder");
  EXPECT_EQ(shorten_end("shoulder", 5), "shou…");
  EXPECT_EQ(shorten_middle("shoulder_pan.pos", 9), "shou….pos");
  EXPECT_EQ(shorten_middle("shoulder_pan.pos", 8), "shou…pos");
  EXPECT_EQ(shorten_middle("abc", 1), "…");
  EXPECT_EQ(shorten_middle("abc", 2), "a…");
  EXPECT_EQ(shorten_end("折叠毛巾", 6), "折叠…");  // five columns: a third would take seven
  EXPECT_EQ(shorten_end("abc", 0), "");
}

TEST(Text, WritesNumbers) {
  EXPECT_EQ(fixed_text(1.005, 1), "1.0");
  EXPECT_EQ(fixed_text(-0.04, 1), "0.0");
  EXPECT_EQ(fixed_text(-0.06, 1), "-0.1");
  EXPECT_EQ(fixed_text(-0.0, 0), "0");
  EXPECT_EQ(scientific_text(0.0000125, 2), "1.25e-05");
  EXPECT_EQ(scientific_text(-0.0, 2), "0.00e+00");
  EXPECT_EQ(scientific_text(-1e10, 0), "-1e+10");
  EXPECT_EQ(short_text(0.8333, 3), "0.833");
  EXPECT_EQ(short_text(2, 3), "2");
  EXPECT_EQ(short_text(-0.0, 3), "0");
  EXPECT_EQ(short_text(-1234567, 3), "-1.23e+06");
}

TEST(Text, ReadsNumbersAsPeopleWriteThem) {
  EXPECT_EQ(parse_number("0.1"), 0.1f);
  EXPECT_EQ(parse_number(" +2 "), 2.0f);
  EXPECT_EQ(parse_number("-1e-3\r"), -0.001f);
  EXPECT_EQ(parse_number(".5"), 0.5f);
  EXPECT_TRUE(std::isinf(*parse_number("inf")));
  for (const char* text : {"", " ", "x", "1x", "1 2", "+", "+-1", "--1", "0x10", "1e39", "1e999"}) {
    EXPECT_FALSE(parse_number(text)) << text;
  }
}

}  // namespace
}  // namespace pi0
