#include "report/svg.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace pi0 {
namespace {

constexpr std::string_view kCommonRules =
    R"(text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif;fill:#57606a;font-size:11px}
.title{font-size:22px;font-weight:600;fill:#1f2328}
.subtitle{font-size:13px}
.name{font-size:13px;font-weight:600;fill:#1f2328}
.key{font-size:12px;fill:#1f2328}
)";

// As a part of the font's size.
double character_width(char32_t c) {
  if (c >= U'0' && c <= U'9') return 0.64;
  if (c >= 0x80) return 0.66 * display_width(c);
  const auto is_one_of = [c](std::u32string_view set) { return set.find(c) != set.npos; };
  if (is_one_of(U" ijl.,:;'|!I")) return 0.33;
  if (is_one_of(U"frt()[]-/\\`\"")) return 0.41;
  if (is_one_of(U"mwMW@%")) return 0.95;
  return c >= U'A' && c <= U'Z' ? 0.7 : 0.61;
}

using Shorten = std::string (*)(std::string_view text, int columns);

std::string fit(std::string_view text, double width, const Font& font, Shorten shorten) {
  // No column is narrower than this, so that a long text is not tried at all its lengths.
  const int most = static_cast<int>(width / (0.33 * font.size));
  for (int columns = std::min(display_width(text), most); columns > 0; --columns) {
    std::string shortened = shorten(text, columns);
    if (text_width(shortened, font) <= width) return shortened;
  }
  return "";
}

std::string attribute(const char* name, double value) {
  return fmt::format(" {}=\"{}\"", name, coordinate(value));
}

}  // namespace

std::string xml_escape(std::string_view text) {
  std::u32string escaped;
  for (const char32_t c : characters(text)) {  // no control character is among them
    switch (c) {
      case U'&':
        escaped += U"&amp;";
        break;
      case U'<':
        escaped += U"&lt;";
        break;
      case U'>':
        escaped += U"&gt;";
        break;
      case U'"':
        escaped += U"&quot;";
        break;
      case U'\'':
        escaped += U"&#39;";
        break;
      case char32_t{0xFFFE}:
      case char32_t{0xFFFF}:
        escaped += U'\uFFFD';
        break;
      default:
        escaped += c;
    }
  }
  return to_utf8(escaped);
}

std::string coordinate(double value) {
  std::string text = fixed_text(value, 1);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

double text_width(std::string_view text, const Font& font) {
  double width = 0;
  for (const char32_t c : characters(text)) width += character_width(c);
  return width * font.size * (font.bold ? 1.1 : 1.0);
}

std::string fit_end(std::string_view text, double width, const Font& font) {
  return fit(text, width, font, shorten_end);
}

std::string fit_middle(std::string_view text, double width, const Font& font) {
  return fit(text, width, font, shorten_middle);
}

std::vector<std::string> two_lines(std::string_view text, double width, const Font& font) {
  if (text_width(text, font) <= width) return {fit_end(text, width, font)};
  std::size_t end = std::string_view::npos;  // of a first line that fits
  for (std::size_t space = text.find(' '); space != std::string_view::npos;
       space = text.find(' ', space + 1)) {
    if (text_width(text.substr(0, space), font) > width) break;
    end = space;
  }
  if (end == std::string_view::npos) return {fit_end(text, width, font)};
  return {fit_end(text.substr(0, end), width, font), fit_end(text.substr(end + 1), width, font)};
}

std::string svg_text(Point at, std::string_view text, std::string_view style) {
  return fmt::format("<text{}{} {}>{}</text>\n", attribute("x", at.x), attribute("y", at.y), style,
                     xml_escape(text));
}

std::string svg_line(Point from, Point to, std::string_view style) {
  return fmt::format("<path d=\"M{} {}L{} {}\" {}/>\n", coordinate(from.x), coordinate(from.y),
                     coordinate(to.x), coordinate(to.y), style);
}

std::string svg_rectangle(Point corner, double width, double height, std::string_view style) {
  return fmt::format("<rect{}{}{}{} {}/>\n", attribute("x", corner.x), attribute("y", corner.y),
                     attribute("width", width), attribute("height", height), style);
}

std::string svg_polyline(std::span<const Point> points, std::string_view style) {
  std::string text = "<polyline points=\"";
  for (std::size_t i = 0; i < points.size(); ++i) {
    text +=
        fmt::format("{}{},{}", i > 0 ? " " : "", coordinate(points[i].x), coordinate(points[i].y));
  }
  return fmt::format("{}\" {}/>\n", text, style);
}

std::string svg_dots(std::span<const Point> points, std::string_view style) {
  std::string text = "<path d=\"";
  for (const Point& point : points) {
    text += fmt::format("M{} {}h0", coordinate(point.x), coordinate(point.y));
  }
  return fmt::format("{}\" {}/>\n", text, style);
}

std::string svg_heading(Point& top_left, double width, std::string_view title,
                        std::string_view subtitle) {
  std::string text;
  auto& [x, y] = top_left;
  for (const std::string& line : two_lines(title, width, kTitleFont)) {
    y += kTitleFont.size;
    text += svg_text({x, y}, line, "class=\"title\"");
    y += 6;
  }
  if (!subtitle.empty()) {
    y += kSubtitleFont.size + 4;
    text += svg_text({x, y}, fit_end(subtitle, width, kSubtitleFont), "class=\"subtitle\"");
  }
  return text;
}

std::string svg_page(double width, double height, std::string_view title, std::string_view rules,
                     std::string_view body) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" "
      "role=\"img\"{}{} viewBox=\"0 0 {} {}\">\n<title>{}</title>\n<style>\n{}{}</style>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
      attribute("width", width), attribute("height", height), coordinate(width), coordinate(height),
      xml_escape(title), kCommonRules, rules, body);
}

}  // namespace pi0
