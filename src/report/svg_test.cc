#include "report/svg.h"

#include <gtest/gtest.h>

#include <array>

#include "base/text.h"

namespace pi0 {
namespace {

using namespace std::string_view_literals;

TEST(Svg, EscapesWhatXmlCannotHold) {
  EXPECT_EQ(xml_escape("a<b>&\"c\"'d'"), "a&lt;b&gt;&amp;&quot;c&quot;&#39;d&#39;");
  EXPECT_EQ(xml_escape("a\0b\x01"
                       "c\nd"sv),
            "a b c d");
  EXPECT_EQ(xml_escape("\xff"
                       "a\xef\xbf\xbf"),
            "\uFFFDa\uFFFD");  // no UTF-8; U+FFFF
  EXPECT_EQ(xml_escape("π 折"), "π 折");
}

TEST(Svg, CoordinatesAreShort) {
  EXPECT_EQ(coordinate(12), "12");
  EXPECT_EQ(coordinate(12.34), "12.3");
  EXPECT_EQ(coordinate(-0.01), "0");
  EXPECT_EQ(coordinate(100), "100");
}

TEST(Svg, MakesElements) {
  EXPECT_EQ(svg_text({1, 2.5}, "<x>", "class=\"y\""),
            "<text x=\"1\" y=\"2.5\" class=\"y\">&lt;x&gt;</text>\n");
  EXPECT_EQ(svg_line({1, 2}, {3, 4}, "id=\"a\""), "<path d=\"M1 2L3 4\" id=\"a\"/>\n");
  EXPECT_EQ(svg_rectangle({1, 2}, 3, 4, "id=\"a\""),
            "<rect x=\"1\" y=\"2\" width=\"3\" height=\"4\" id=\"a\"/>\n");
  const std::array<Point, 2> points = {Point{1, 2}, Point{3, 4}};
  EXPECT_EQ(svg_polyline(points, "id=\"a\""), "<polyline points=\"1,2 3,4\" id=\"a\"/>\n");
  EXPECT_EQ(svg_dots(points, "id=\"a\""), "<path d=\"M1 2h0M3 4h0\" id=\"a\"/>\n");
}

// Widths as rsvg-convert 2.54 drew them in DejaVu Sans.
TEST(Svg, GuessesWidthsOfText) {
  EXPECT_NEAR(text_width("executed before it looks again (25 of 50 steps)", {12}), 280, 28);
  EXPECT_NEAR(text_width("observation.images.front_camera", {12}), 202, 20);
  EXPECT_GT(text_width("name", {13, true}), text_width("name", {13}));
}

TEST(Svg, FitsText) {
  EXPECT_EQ(fit_end("short", 100, {12}), "short");
  const std::string name = "a_very_long_joint_name_that_fits_nowhere.pos";
  for (const double width : {30.0, 80.0, 150.0}) {
    for (const std::string& fitted : {fit_end(name, width, {12}), fit_middle(name, width, {12})}) {
      EXPECT_LE(text_width(fitted, {12}), width);
      // One character more would not fit.
      EXPECT_GT(text_width(fitted, {12}) + 12, width);
      EXPECT_NE(fitted.find("…"), std::string::npos);
    }
  }
  EXPECT_EQ(fit_end("abc", 1, {12}), "");
}

TEST(Svg, BreaksTextIntoTwoLines) {
  using Lines = std::vector<std::string>;
  EXPECT_EQ(two_lines("one two", 100, {12}), Lines({"one two"}));
  EXPECT_EQ(two_lines("one two three", 60, {12}), Lines({"one two", "three"}));
  const Lines lines = two_lines("one two three four five", 60, {12});
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_TRUE(lines[1].ends_with("…")) << lines[1];
}

TEST(Svg, MakesAPage) {
  Point at{10, 20};
  const std::string heading = svg_heading(at, 500, "a & b", "");
  EXPECT_EQ(heading, "<text x=\"10\" y=\"42\" class=\"title\">a &amp; b</text>\n");
  EXPECT_EQ(at.x, 10);
  EXPECT_EQ(at.y, 48);
  EXPECT_NE(svg_heading(at, 500, "a", "b < c").find("class=\"subtitle\">b &lt; c</text>"),
            std::string::npos);
  EXPECT_EQ(at.y, 93);
  const std::string page = svg_page(100, 50.5, "a & b", ".x{}\n", heading);
  for (const char* part : {"width=\"100\" height=\"50.5\" viewBox=\"0 0 100 50.5\"",
                           "<title>a &amp; b</title>", ".x{}\n</style>", "fill=\"#ffffff\""}) {
    EXPECT_NE(page.find(part), std::string::npos) << part;
  }
  EXPECT_TRUE(page.ends_with(heading + "</svg>\n"));
}

}  // namespace
}  // namespace pi0
