#include "actions/action_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>

#include "base/text.h"
#include "files/file.h"
#include "report/axis.h"
#include "report/output_path.h"
#include "report/picture.h"

namespace pi0 {
namespace {

// Blue and vermilion of Okabe and Ito's palette, which the colour-blind tell apart; the other
// motion is dashed as well. Sizes are pixels.
constexpr std::string_view kRules = R"(.y{text-anchor:end}
.x{text-anchor:middle}
.grid{stroke:#e3e7ec;fill:none}
.zero{stroke:#aab4c0;fill:none}
.frame{stroke:#8c959f;fill:none}
.band{fill:#eaf2fb}
.beyond{fill:#d0d4d9;fill-opacity:.55}
.range{text-anchor:end}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.dots{fill:none;stroke-width:5;stroke-linecap:round}
.predicted{stroke:#0072b2}
.other{stroke:#d55e00}
.dashed{stroke-dasharray:6 4;stroke-linecap:butt}
)";

constexpr double kMargin = 28;
constexpr double kPictureSide = 216;
constexpr double kPictureGap = 36;  // between pictures and panels
constexpr int kStoredPictureSide = 256;
constexpr Font kTickFont{11};
constexpr double kNameHeight = 24;  // above a panel's frame
constexpr double kTickHeight = 22;  // below it
constexpr double kAxisNameHeight = 18;
constexpr double kPanelGap = 20;

// Fewer dimensions get larger panels; the page stays about as wide.
struct Grid {
  int columns;
  double width, height;  // of a panel's frame
};

Grid grid_for(int dims) {
  if (dims == 1) return {1, 640, 280};
  if (dims <= 4) return {2, 360, 180};
  if (dims <= 9) return {3, 250, 140};
  return {4, 200, 110};
}

struct Panel {
  std::string name;
  Axis axis;
  ActionRange range;  // training's
  std::vector<double> predicted;
  std::vector<double> other;
};

// Whether some of a panel lies beyond training's range.
bool shows_beyond(const Panel& panel) {
  return panel.range.known() &&
         (panel.axis.low < panel.range.low || panel.axis.high > panel.range.high);
}

class Plot {
 public:
  Plot(const ActionChunk& chunk, const PlotOptions& options)
      : chunk_(chunk), options_(options), grid_(grid_for(chunk.dims)) {
    make_panels();
    for (const Panel& panel : panels_) {
      for (const std::string& label : panel.axis.labels) {
        label_width_ = std::max(label_width_, text_width(label, kTickFont) + 10);
      }
    }
    left_ = kMargin + (options.images.empty() ? 0 : kPictureSide + kPictureGap);
    width_ = left_ + grid_.columns * (label_width_ + grid_.width) +
             (grid_.columns - 1) * kPanelGap + kMargin;
  }

  std::string draw() {
    double y = kMargin;
    draw_heading(y);
    const double top = y;
    const double below_pictures = draw_pictures(top);
    draw_legend(y);
    const double below_panels = draw_panels(y);
    const double height = std::max(below_pictures, below_panels) + kMargin;
    return svg_page(width_, height, title(), kRules, body_);
  }

 private:
  std::string title() const {
    const bool blank = options_.title.find_first_not_of(" \t\r\n") == std::string::npos;
    return blank ? "Predicted actions" : options_.title;
  }
  int executed() const { return std::clamp(chunk_.n_action_steps, 0, chunk_.horizon); }
  // Dots that would touch each other say no more than the line.
  bool has_dots() const { return grid_.width / chunk_.horizon >= 7; }
  int other_steps() const {
    return options_.other ? std::min(options_.other->rows, chunk_.horizon) : 0;
  }

  void make_panels() {
    for (int dim = 0; dim < chunk_.dims; ++dim) {
      Panel panel;
      panel.name = chunk_.names[dim];
      for (int step = 0; step < chunk_.horizon; ++step) {
        panel.predicted.push_back(chunk_.row(step)[dim]);
      }
      for (int step = 0; step < other_steps(); ++step) {
        panel.other.push_back(
            options_.other->values[static_cast<std::size_t>(step) * chunk_.dims + dim]);
      }
      std::vector<double> all = panel.predicted;
      all.insert(all.end(), panel.other.begin(), panel.other.end());
      const auto [low, high] = std::minmax_element(all.begin(), all.end());
      if (!chunk_.ranges.empty()) panel.range = chunk_.ranges[dim];
      const double range = double{panel.range.high} - panel.range.low;
      panel.axis = value_axis(*low, *high, static_cast<int>(grid_.height / 38), range / 5);
      panels_.push_back(std::move(panel));
    }
  }

  // Each of these draws from `y` downwards and moves it on.
  void draw_heading(double& y) {
    Point at{kMargin, y};
    body_ += svg_heading(at, width_ - 2 * kMargin, title(), options_.subtitle);
    y = at.y + 20;
  }

  // Returns where they end.
  double draw_pictures(double y) {
    for (const auto& [camera, image] : options_.images) {
      const Image small = reduced(image, kStoredPictureSide);
      const double scale = kPictureSide / std::max(small.width, small.height);
      const double width = std::max(1.0, small.width * scale);
      const double height = std::max(1.0, small.height * scale);
      y += kKeyFont.size;
      body_ += svg_text({kMargin, y}, fit_middle(camera, kPictureSide, kKeyFont), "class=\"key\"");
      y += 6;
      const std::string uri = png_data_uri(small);
      // Both spellings: `href` is SVG 2's, xlink:href what older programs know.
      body_ += fmt::format(
          "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" xlink:href=\"{}\"/>\n",
          coordinate(kMargin), coordinate(y), coordinate(width), coordinate(height), uri);
      y += height + 18;
    }
    return options_.images.empty() ? y : y - 18;
  }

  // A sample and its meaning; goes on in a new line where the page ends.
  template <typename DrawSample>
  void draw_key(Point& at, const std::string& meaning, DrawSample draw_sample) {
    constexpr double kSample = 34, kSpace = 8, kGap = 24;
    const double wanted = kSample + kSpace + text_width(meaning, kKeyFont);
    if (at.x > left_ && at.x + wanted > width_ - kMargin) at = {left_, at.y + 22};
    const double room = width_ - kMargin - at.x - kSample - kSpace;
    draw_sample(at.x, at.x + kSample, at.y - 4);
    body_ += svg_text({at.x + kSample + kSpace, at.y}, fit_end(meaning, room, kKeyFont),
                      "class=\"key\"");
    at.x += wanted + kGap;
  }

  void draw_legend(double& y) {
    Point at{left_, y + kKeyFont.size};
    draw_key(at, "predicted", [&](double from, double to, double middle) {
      const std::vector<Point> points = {{from, middle}, {to, middle}};
      body_ += svg_polyline(points, "class=\"line predicted\"");
      const std::vector<Point> dot = {{(from + to) / 2, middle}};
      if (has_dots()) body_ += svg_dots(dot, "class=\"dots predicted\"");
    });
    if (options_.other) {
      std::string meaning = options_.other_name;
      if (options_.other->rows != chunk_.horizon) {
        meaning += options_.other->rows > chunk_.horizon ? " (first " : " (";
        meaning += fmt::format("{} of {} steps)", other_steps(),
                               std::max(options_.other->rows, chunk_.horizon));
      }
      draw_key(at, meaning, [&](double from, double to, double middle) {
        const std::vector<Point> points = {{from, middle}, {to, middle}};
        body_ += svg_polyline(points, "class=\"line other dashed\"");
      });
    }
    if (executed() > 0) {
      std::string part = executed() == chunk_.horizon
                             ? "all steps"
                             : fmt::format("{} of {} steps", executed(), chunk_.horizon);
      if (options_.hz > 0) part += fmt::format(", {} s", short_text(executed() / options_.hz, 3));
      const std::string meaning = fmt::format("executed before it looks again ({})", part);
      draw_key(at, meaning, [&](double from, double to, double middle) {
        body_ += svg_rectangle({from, middle - 7}, to - from, 14, "class=\"band\"");
      });
    }
    if (std::any_of(panels_.begin(), panels_.end(), shows_beyond)) {
      draw_key(at, "beyond training's range", [&](double from, double to, double middle) {
        body_ += svg_rectangle({from, middle - 7}, to - from, 14, "class=\"beyond\"");
      });
    }
    y = at.y + 14;
  }

  // Returns where they end.
  double draw_panels(double y) {
    const double cell_width = label_width_ + grid_.width + kPanelGap;
    const double cell_height = kNameHeight + grid_.height + kTickHeight + kPanelGap / 2;
    const int count = static_cast<int>(panels_.size());
    for (int i = 0; i < count; ++i) {
      const int row = i / grid_.columns;
      const int column = i % grid_.columns;
      const Point corner{left_ + label_width_ + column * cell_width,
                         y + kNameHeight + row * cell_height};
      const bool lowest = i + grid_.columns >= count;
      draw_panel(panels_[i], corner, lowest);
    }
    const int rows = (count + grid_.columns - 1) / grid_.columns;
    y += rows * cell_height - kPanelGap / 2 + kAxisNameHeight + 22;
    std::string note = fmt::format("Each dimension on its own scale, in {}.", options_.units);
    if (!chunk_.ranges.empty()) {
      note += " Training: where most of its actions lay, by the checkpoint's statistics.";
    }
    for (const std::string& line : two_lines(note, width_ - kMargin - left_, kTickFont)) {
      body_ += svg_text({left_, y}, line, "");
      y += 15;
    }
    return y - 15;
  }

  // The dimension's name, and at the right training's range, where there is room for it.
  void draw_name(const Panel& panel, Point corner) {
    const std::string range = fmt::format("training {} … {}", short_text(panel.range.low, 3),
                                          short_text(panel.range.high, 3));
    const double room = grid_.width - text_width(range, kTickFont) - 10;
    const bool has_range = panel.range.known() && room >= text_width(panel.name, kNameFont);
    body_ += svg_text({corner.x, corner.y - 8}, fit_middle(panel.name, grid_.width, kNameFont),
                      "class=\"name\"");
    if (has_range) {
      body_ += svg_text({corner.x + grid_.width, corner.y - 8}, range, "class=\"range\"");
    }
  }

  void draw_panel(const Panel& panel, Point corner, bool name_axis) {
    const int wanted = static_cast<int>(grid_.width / 45);
    const bool timed = options_.hz > 0;
    const Axis steps =
        timed ? time_axis(chunk_.horizon, options_.hz, wanted) : step_axis(chunk_.horizon, wanted);
    const double bottom = corner.y + grid_.height;
    const double right = corner.x + grid_.width;
    const auto x_of = [&](double place) { return corner.x + steps.fraction(place) * grid_.width; };
    const auto x_of_step = [&](double step) { return x_of(timed ? step / options_.hz : step); };
    const auto y_of = [&](double value) {
      return bottom - panel.axis.fraction(value) * grid_.height;
    };

    draw_name(panel, corner);
    if (executed() > 0) {
      body_ += svg_rectangle(corner, x_of_step(executed() - 0.5) - corner.x, grid_.height,
                             "class=\"band\"");
    }
    if (panel.range.known()) {
      const double low = std::clamp(y_of(panel.range.low), corner.y, bottom);
      const double high = std::clamp(y_of(panel.range.high), corner.y, bottom);
      const auto grey = [&](double from, double to) {
        if (from >= to) return;
        body_ += svg_rectangle({corner.x, from}, grid_.width, to - from, "class=\"beyond\"");
      };
      grey(corner.y, high);
      grey(low, bottom);
    }
    for (std::size_t i = 0; i < panel.axis.ticks.size(); ++i) {
      const double tick = panel.axis.ticks[i];
      const double y = y_of(tick);
      body_ += svg_line({corner.x, y}, {right, y}, tick == 0 ? "class=\"zero\"" : "class=\"grid\"");
      body_ += svg_text({corner.x - 6, y + 4}, panel.axis.labels[i], "class=\"y\"");
    }
    body_ += svg_line({corner.x, bottom}, {right, bottom}, "class=\"frame\"");
    for (std::size_t i = 0; i < steps.ticks.size(); ++i) {
      const double x = x_of(steps.ticks[i]);
      body_ += svg_line({x, bottom}, {x, bottom + 4}, "class=\"frame\"");
      body_ += svg_text({x, bottom + 16}, steps.labels[i], "class=\"x\"");
    }
    if (name_axis) {
      body_ += svg_text({(corner.x + right) / 2, bottom + kTickHeight + 12},
                        timed ? "seconds" : "control step", "class=\"x\"");
    }

    const auto points_of = [&](const std::vector<double>& values) {
      std::vector<Point> points;
      for (std::size_t step = 0; step < values.size(); ++step) {
        points.push_back({x_of_step(static_cast<double>(step)), y_of(values[step])});
      }
      return points;
    };
    const std::vector<Point> predicted = points_of(panel.predicted);
    const std::vector<Point> other = points_of(panel.other);
    body_ += svg_polyline(predicted, "class=\"line predicted\"");
    if (has_dots()) body_ += svg_dots(predicted, "class=\"dots predicted\"");
    if (other.size() == 1) body_ += svg_dots(other, "class=\"dots other\"");
    if (other.size() > 1) body_ += svg_polyline(other, "class=\"line other dashed\"");
  }

  const ActionChunk& chunk_;
  const PlotOptions& options_;
  const Grid grid_;
  std::vector<Panel> panels_;
  double label_width_ = 0;  // of the widest tick's label, so that panels stand in columns
  double left_ = 0;         // where the panels' part of the page begins
  double width_ = 0;
  std::string body_;
};

}  // namespace

std::string plot_svg(const ActionChunk& chunk, const PlotOptions& options) {
  assert(chunk.horizon > 0 && chunk.dims > 0);
  assert(chunk.names.size() == static_cast<std::size_t>(chunk.dims));
  assert(chunk.ranges.empty() || chunk.ranges.size() == chunk.names.size());
  require_finite(chunk);
  if (options.other && options.other->dims != chunk.dims) {
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("the motion to draw beside the prediction ({}) has {} dimensions, expected {}",
                    options.other_name, options.other->dims, chunk.dims));
  }
  return Plot(chunk, options).draw();
}

void write_plot(const std::filesystem::path& path, const ActionChunk& chunk,
                const PlotOptions& options) {
  require_writable(path, kPlotExtensions);
  write_file(path, plot_svg(chunk, options));
}

}  // namespace pi0
