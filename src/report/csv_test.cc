#include "report/csv.h"

#include "base/test_support.h"

namespace pi0 {
namespace {

std::vector<CsvRow> parse(std::string_view text) { return parse_csv(text, "a.csv"); }

TEST(Csv, QuotesOnlyWhatNeedsIt) {
  EXPECT_EQ(csv_field("hand x"), "hand x");
  EXPECT_EQ(csv_field("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_field("5\" reach"), "\"5\"\" reach\"");
  EXPECT_EQ(csv_field("two\nlines"), "\"two\nlines\"");
}

// The examples of RFC 4180, section 2.
TEST(Csv, ReadsTheExamplesOfTheRfc) {
  const std::vector<CsvRow> rows = {{"aaa", "bbb", "ccc"}, {"zzz", "yyy", "xxx"}};
  EXPECT_EQ(parse("aaa,bbb,ccc\r\nzzz,yyy,xxx\r\n"), rows);
  EXPECT_EQ(parse("aaa,bbb,ccc\r\nzzz,yyy,xxx"), rows);
  EXPECT_EQ(parse("\"aaa\",\"bbb\",\"ccc\"\r\nzzz,yyy,xxx"), rows);
  EXPECT_EQ(parse("\"aaa\",\"b\r\nbb\",\"ccc\"\r\n"),
            (std::vector<CsvRow>{{"aaa", "b\r\nbb", "ccc"}}));
  EXPECT_EQ(parse("\"aaa\",\"b\"\"bb\",\"ccc\""), (std::vector<CsvRow>{{"aaa", "b\"bb", "ccc"}}));
}

TEST(Csv, PassesOverByteOrderMarkAndEmptyLines) {
  EXPECT_EQ(parse("\xef\xbb\xbf"
                  "a,b\n\n1,2\n\r\n"),
            (std::vector<CsvRow>{{"a", "b"}, {"1", "2"}}));
  EXPECT_EQ(parse(""), std::vector<CsvRow>{});
}

TEST(Csv, KeepsEmptyFields) {
  EXPECT_EQ(parse(",\na,,b\n"), (std::vector<CsvRow>{{"", ""}, {"a", "", "b"}}));
}

TEST(Csv, RefusesQuotesThatDoNotMatch) {
  const auto refused = [](std::string_view text, const std::string& words) {
    expect_error(ErrorCode::kInvalidInput, {"a.csv: line", words}, [&] { parse(text); });
  };
  refused("1,2\n\"3,4\n", "line 2 has a quoted field that does not end");
  refused("1,2\n3\"4\n", "line 2 has a quote within a field");
  refused("\"1\"2\n", "line 1 has text after a quoted field");
}

}  // namespace
}  // namespace pi0
