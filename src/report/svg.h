// The elements of SVG that a plot is made of: https://www.w3.org/TR/SVG11/
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pi0 {

// What a drawing can be written as; for require_writable().
inline constexpr std::array<std::string_view, 1> kPlotExtensions = {".svg"};

struct Point {
  double x = 0;
  double y = 0;
};

// For text and attributes of XML; what XML 1.0 cannot hold becomes U+FFFD or a space.
std::string xml_escape(std::string_view text);

// A coordinate to a tenth of a pixel: "12", "12.3".
std::string coordinate(double value);

struct Font {
  double size = 12;  // pixels
  bool bold = false;
};

// Of the classes "title", "subtitle", "name" and "key" on a svg_page(); other text has 11 pixels.
inline constexpr Font kTitleFont{22, true};
inline constexpr Font kSubtitleFont{13};
inline constexpr Font kNameFont{13, true};
inline constexpr Font kKeyFont{12};

// About how wide `text` is in DejaVu Sans, which is wider than most sans-serif fonts: which one
// will draw it is not known here.
double text_width(std::string_view text, const Font& font);

// `text`, shortened by shorten_end() or shorten_middle() where it is wider than `width` pixels.
std::string fit_end(std::string_view text, double width, const Font& font);
std::string fit_middle(std::string_view text, double width, const Font& font);
// Breaks `text` between words into at most two lines of `width` pixels.
std::vector<std::string> two_lines(std::string_view text, double width, const Font& font);

// Elements; `style` is what else stands in the tag, such as class="label".
std::string svg_text(Point at, std::string_view text, std::string_view style);
std::string svg_line(Point from, Point to, std::string_view style);
std::string svg_rectangle(Point corner, double width, double height, std::string_view style);
std::string svg_polyline(std::span<const Point> points, std::string_view style);
// One path of dots: a stroke of no length with round ends is one.
std::string svg_dots(std::span<const Point> points, std::string_view style);

// A title and, unless it is empty, a subtitle from `top_left` downwards, `width` pixels wide; moves
// `top_left` below them.
std::string svg_heading(Point& top_left, double width, std::string_view title,
                        std::string_view subtitle);

// The file: `body` on a white page, since a viewer's own background may be dark. `rules` are those
// of CSS beyond the common ones.
std::string svg_page(double width, double height, std::string_view title, std::string_view rules,
                     std::string_view body);

}  // namespace pi0
