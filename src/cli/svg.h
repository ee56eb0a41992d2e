// The elements of SVG that a plot is made of: https://www.w3.org/TR/SVG11/
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace pi0 {

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

// About how wide `text` is in DejaVu Sans, which is wider than most sans-serif fonts: which one
// will draw it is not known here.
double text_width(std::string_view text, const Font& font);

// `text`, shortened by shorten_end() or shorten_middle() where it is wider than `width` pixels.
std::string fit_end(std::string_view text, double width, const Font& font);
std::string fit_middle(std::string_view text, double width, const Font& font);

// Elements; `style` is what else stands in the tag, such as class="label".
std::string svg_text(Point at, std::string_view text, std::string_view style);
std::string svg_line(Point from, Point to, std::string_view style);
std::string svg_rectangle(Point corner, double width, double height, std::string_view style);
std::string svg_polyline(std::span<const Point> points, std::string_view style);
// One path of dots: a stroke of no length with round ends is one.
std::string svg_dots(std::span<const Point> points, std::string_view style);

}  // namespace pi0
