#include "actions/action_plot.h"

#include <cmath>
#include <regex>

#include "base/test_support.h"
#include "files/file.h"
#include "report/svg_testing.h"

namespace pi0 {
namespace {

ActionChunk chunk_of(int horizon, int dims, float value = 0.5f) {
  ActionChunk chunk;
  chunk.horizon = horizon;
  chunk.dims = dims;
  chunk.n_action_steps = (horizon + 1) / 2;
  for (int dim = 0; dim < dims; ++dim) chunk.names.push_back("joint " + std::to_string(dim));
  chunk.actions.assign(static_cast<std::size_t>(horizon) * dims, value);
  return chunk;
}

RecordedActions motion_of(int rows, int dims, float value = 0.25f) {
  return {rows, dims, std::vector<float>(static_cast<std::size_t>(rows) * dims, value), {}};
}

struct Line {
  std::string classes;
  std::vector<std::pair<double, double>> points;
};

std::vector<Line> lines_of(const std::string& svg) {
  std::vector<Line> lines;
  const std::regex element("<polyline points=\"([^\"]*)\" class=\"([^\"]*)\"/>");
  const std::regex pair("([-0-9.]+),([-0-9.]+)");
  for (std::sregex_iterator i(svg.begin(), svg.end(), element), end; i != end; ++i) {
    Line line;
    line.classes = (*i)[2];
    const std::string points = (*i)[1];
    for (std::sregex_iterator p(points.begin(), points.end(), pair); p != end; ++p) {
      line.points.emplace_back(std::stod((*p)[1]), std::stod((*p)[2]));
    }
    lines.push_back(line);
  }
  return lines;
}

TEST(ActionPlot, DrawsWhatItIsGiven) {
  ActionChunk chunk = chunk_of(4, 1);
  chunk.n_action_steps = 2;
  chunk.actions = {0, 1, 2, 1};
  PlotOptions options;
  options.title = "open the drawer";
  options.subtitle = "pi0 on reference";
  options.other = motion_of(3, 1);
  options.other->values = {2, 1, 0};
  options.other_name = "expert";
  const std::string svg = plot_svg(chunk, options);
  expect_well_formed(svg);
  for (const char* text : {">open the drawer</text>", ">pi0 on reference</text>", ">joint 0</text>",
                           ">predicted</text>", ">expert (3 of 4 steps)</text>",
                           ">control step</text>", "(2 of 4 steps)"}) {
    EXPECT_EQ(count(svg, text), 1) << text;
  }

  const std::vector<Line> lines = lines_of(svg);
  ASSERT_EQ(lines.size(), 4u);  // two in the legend
  const auto& predicted = lines[2].points;
  const auto& other = lines[3].points;
  EXPECT_EQ(lines[2].classes, "line predicted");
  EXPECT_EQ(lines[3].classes, "line other dashed");
  ASSERT_EQ(predicted.size(), 4u);
  ASSERT_EQ(other.size(), 3u);
  // Steps go right in equal parts; larger values stand higher, in proportion, for both motions.
  const double step = predicted[1].first - predicted[0].first;
  const double one = predicted[0].second - predicted[1].second;
  EXPECT_GT(step, 10);
  EXPECT_GT(one, 10);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(predicted[i].first, predicted[0].first + i * step, 0.3);
    EXPECT_NEAR(predicted[i].second, predicted[0].second - chunk.actions[i] * one, 0.3);
  }
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(other[i].first, predicted[i].first, 0.3);
    EXPECT_NEAR(other[i].second, predicted[0].second - options.other->values[i] * one, 0.3);
  }
  // The band (the second, after the legend's) ends between the last executed step and the next.
  const std::regex band("<rect x=\"([0-9.]+)\" y=\"[0-9.]+\" width=\"([0-9.]+)\"[^>]*\"band\"");
  std::sregex_iterator rectangle(svg.begin(), svg.end(), band);
  ++rectangle;
  ASSERT_NE(rectangle, std::sregex_iterator());
  EXPECT_NEAR(std::stod((*rectangle)[1]) + std::stod((*rectangle)[2]),
              (predicted[1].first + predicted[2].first) / 2, 0.3);
}

TEST(ActionPlot, HasAPanelADimension) {
  for (const int dims : {1, 2, 4, 5, 9, 10, 32}) {
    const std::string svg = plot_svg(chunk_of(50, dims), {});
    expect_well_formed(svg);
    EXPECT_EQ(count(svg, "class=\"name\""), dims);
    EXPECT_EQ(lines_of(svg).size(), dims + 1u);
    // All of them on the page.
    std::smatch size;
    ASSERT_TRUE(std::regex_search(svg, size, std::regex("viewBox=\"0 0 ([0-9.]+) ([0-9.]+)\"")));
    for (const Line& line : lines_of(svg)) {
      for (const auto& [x, y] : line.points) {
        EXPECT_TRUE(x > 0 && x < std::stod(size[1]) && y > 0 && y < std::stod(size[2]));
      }
    }
  }
}

TEST(ActionPlot, DrawsDegenerateChunks) {
  for (const float value : {0.0f, 1e-45f, -3e38f, 1.0f}) {
    for (const int horizon : {1, 2, 1000}) {
      PlotOptions options;
      options.other = motion_of(1, 2, -value);
      expect_well_formed(plot_svg(chunk_of(horizon, 2, value), options));
    }
  }
  ActionChunk chunk = chunk_of(4, 1);
  for (const int executed : {-1, 0, 4, 9}) {
    chunk.n_action_steps = executed;
    const std::string svg = plot_svg(chunk, {});
    EXPECT_EQ(count(svg, "\"band\""), executed > 0 ? 2 : 0);
    EXPECT_EQ(count(svg, "(all steps)"), executed > 0 ? 1 : 0);
  }
}

TEST(ActionPlot, GivesEachPanelItsOwnDimension) {
  ActionChunk chunk = chunk_of(2, 2);
  chunk.actions = {0, 1, 1, 0};  // the first dimension rises, the second falls
  PlotOptions options;
  options.other = motion_of(2, 2);
  options.other->values = {1, 0, 0, 1};  // the other way round
  const std::vector<Line> lines = lines_of(plot_svg(chunk, options));
  ASSERT_EQ(lines.size(), 6u);
  const auto rises = [&](int i) { return lines[i].points[1].second < lines[i].points[0].second; };
  EXPECT_TRUE(rises(2));
  EXPECT_FALSE(rises(3));
  EXPECT_FALSE(rises(4));
  EXPECT_TRUE(rises(5));
}

// How many pixels the prediction rises and falls in the first panel.
double height_of(const ActionChunk& chunk) {
  const std::vector<Line> lines = lines_of(plot_svg(chunk, {}));
  const auto& points = lines.at(1).points;  // after the legend's
  const auto [top, bottom] =
      std::minmax_element(points.begin(), points.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; });
  return bottom->second - top->second;
}

constexpr double kFrame = 280;  // of the panel of one dimension, pixels

TEST(ActionPlot, NoiseLooksSmallBesideTrainingsRange) {
  ActionChunk chunk = chunk_of(3, 1);
  chunk.actions = {-0.01f, 0.01f, 0};
  EXPECT_GT(height_of(chunk), 0.8 * kFrame);  // nothing is known
  chunk.ranges = {{0, 0}};
  EXPECT_GT(height_of(chunk), 0.8 * kFrame);
  chunk.ranges = {{-1, 1}};  // a fifth of which is 0.4
  EXPECT_NEAR(height_of(chunk), kFrame * 0.02 / 0.4, 0.2);
  chunk.ranges = {{99, 101}};
  EXPECT_NEAR(height_of(chunk), kFrame * 0.02 / 0.4, 0.2);
  // A motion that is larger than that decides itself.
  chunk.actions = {-0.9f, 0.9f, 0};
  EXPECT_GT(height_of(chunk), 0.8 * kFrame);
  // The other motion counts as well, and so does a small one far from 0.
  chunk.actions = {1000, 1000.4f, 1000};
  chunk.ranges = {{999, 1001}};
  EXPECT_GT(height_of(chunk), 0.8 * kFrame);
}

TEST(ActionPlot, WhatIsBeyondTrainingsRangeIsGrey) {
  ActionChunk chunk = chunk_of(5, 1);
  chunk.actions = {0, 1, 2, 3, 4};
  chunk.ranges = {{1, 3}};
  const std::string svg = plot_svg(chunk, {});
  expect_well_formed(svg);
  EXPECT_EQ(count(svg, ">training 1 … 3</text>"), 1);
  EXPECT_EQ(count(svg, ">beyond training&#39;s range</text>"), 1);
  EXPECT_EQ(count(svg, "statistics.</text>"), 1);
  const std::regex grey("y=\"([0-9.]+)\" width=\"640\" height=\"([0-9.]+)\" class=\"beyond\"");
  std::vector<std::pair<double, double>> areas;
  for (std::sregex_iterator i(svg.begin(), svg.end(), grey), end; i != end; ++i) {
    areas.emplace_back(std::stod((*i)[1]), std::stod((*i)[1]) + std::stod((*i)[2]));
  }
  const auto points = lines_of(svg).at(1).points;
  ASSERT_EQ(areas.size(), 2u);
  EXPECT_NEAR(areas[0].second, points[3].second, 0.2);  // above it
  EXPECT_LT(areas[0].first, points[4].second);
  EXPECT_NEAR(areas[1].first, points[1].second, 0.2);  // below it
  EXPECT_GT(areas[1].second, points[0].second);

  chunk.ranges = {{-50, 50}};
  EXPECT_EQ(count(plot_svg(chunk, {}), "\"beyond\""), 0);
  chunk.ranges = {{50, 60}};  // all of the panel is beyond it
  EXPECT_EQ(count(plot_svg(chunk, {}), "\"beyond\""), 2);
  for (const std::vector<ActionRange>& none : {std::vector<ActionRange>{}, {ActionRange{}}}) {
    chunk.ranges = none;
    EXPECT_EQ(count(plot_svg(chunk, {}), "\"beyond\""), 0);
    EXPECT_EQ(count(plot_svg(chunk, {}), ">training "), 0);
  }
}

TEST(ActionPlot, LeavesOutARangeThatHasNoRoom) {
  ActionChunk chunk = chunk_of(2, 2);
  chunk.names[0] = std::string(60, 'x');
  chunk.ranges = {{-1, 1}, {-2, 2}};
  const std::string svg = plot_svg(chunk, {});
  EXPECT_EQ(count(svg, ">training -1 … 1</text>"), 0);
  EXPECT_EQ(count(svg, ">training -2 … 2</text>"), 1);
}

TEST(ActionPlot, HasSecondsWhereTheRateIsKnown) {
  ActionChunk chunk = chunk_of(4, 1);
  chunk.n_action_steps = 2;
  chunk.actions = {0, 1, 2, 1};
  PlotOptions options;
  const std::string steps = plot_svg(chunk, options);
  options.hz = 20;
  const std::string seconds = plot_svg(chunk, options);
  expect_well_formed(seconds);
  EXPECT_EQ(count(seconds, ">seconds</text>"), 1);
  EXPECT_EQ(count(seconds, ">control step</text>"), 0);
  EXPECT_EQ(count(seconds, "(2 of 4 steps, 0.1 s)"), 1);
  EXPECT_EQ(lines_of(seconds).at(1).points, lines_of(steps).at(1).points);
  // Step 2 is a tenth of a second after the first.
  const std::regex tick("<text x=\"([0-9.]+)\" y=\"[0-9.]+\" class=\"x\">0.10</text>");
  std::smatch match;
  ASSERT_TRUE(std::regex_search(seconds, match, tick));
  EXPECT_NEAR(std::stod(match[1]), lines_of(seconds)[1].points[2].first, 0.2);
}

TEST(ActionPlot, SaysWhatTheActionsAreIn) {
  PlotOptions options;
  EXPECT_EQ(count(plot_svg(chunk_of(2, 1), options), "scale, in the robot&#39;s own units.<"), 1);
  options.units = "radians";
  EXPECT_EQ(count(plot_svg(chunk_of(2, 1), options), "scale, in radians.<"), 1);
}

TEST(ActionPlot, CutsALongerMotionAndSaysSo) {
  PlotOptions options;
  options.other = motion_of(300, 2);
  options.other_name = "recorded";
  const std::string svg = plot_svg(chunk_of(16, 2), options);
  EXPECT_EQ(count(svg, "recorded (first 16 of 300 steps)"), 1);
  EXPECT_EQ(lines_of(svg).back().points.size(), 16u);
}

TEST(ActionPlot, EscapesWhatOthersWrote) {
  ActionChunk chunk = chunk_of(2, 1);
  chunk.names = {"a<b>&\x01\xff"};
  PlotOptions options;
  options.title = "</title><script>alert(\"1\")</script>";
  options.subtitle = "<&>";
  options.other = motion_of(2, 1);
  options.other_name = "\"<x>\"";
  options.images = {{"<img src='x'>", Image{1, 1, {1, 2, 3}}}};
  const std::string svg = plot_svg(chunk, options);
  expect_well_formed(svg);
  EXPECT_EQ(count(svg, "<script"), 0);
  EXPECT_EQ(count(svg, "\x01"), 0);
}

TEST(ActionPlot, HasATitleWithoutAnInstruction) {
  PlotOptions options;
  options.title = " \n";
  EXPECT_EQ(count(plot_svg(chunk_of(2, 1), options), ">Predicted actions</text>"), 1);
}

TEST(ActionPlot, WrapsALongInstruction) {
  PlotOptions options;
  for (int i = 0; i < 100; ++i) options.title += "word ";
  const std::string svg = plot_svg(chunk_of(2, 2), options);
  EXPECT_EQ(count(svg, "class=\"title\""), 2);
  EXPECT_EQ(count(svg, "…</text>"), 1);
  options.title = std::string(10000, 'x');
  EXPECT_EQ(count(plot_svg(chunk_of(2, 2), options), "class=\"title\""), 1);
}

TEST(ActionPlot, EmbedsWhatTheRobotSaw) {
  PlotOptions options;
  options.images = {{"front", Image{480, 640, std::vector<std::uint8_t>(480 * 640 * 3, 9)}},
                    {"wrist", Image{1000, 1, std::vector<std::uint8_t>(3000, 9)}}};
  const std::string svg = plot_svg(chunk_of(2, 1), options);
  expect_well_formed(svg);
  EXPECT_EQ(count(svg, "<image "), 2);
  EXPECT_EQ(count(svg, "width=\"216\" height=\"162\" xlink:href=\"data:image/png;base64,"), 1);
  EXPECT_EQ(count(svg, ">front</text>") + count(svg, ">wrist</text>"), 2);
  EXPECT_LT(svg.size(), 20000u);  // reduced, and flat colours
}

TEST(ActionPlot, RefusesWhatCannotBeDrawn) {
  PlotOptions options;
  options.other = motion_of(2, 3);
  options.other_name = "expert.csv";
  expect_error(ErrorCode::kInvalidInput, {"expert.csv", "3 dimensions, expected 2"},
               [&] { plot_svg(chunk_of(2, 2), options); });
  expect_error(ErrorCode::kInvalidInput, {"step 0, dimension 0 (joint 0), is nan"},
               [&] { plot_svg(chunk_of(2, 2, std::nanf("")), {}); });
}

TEST(ActionPlot, WritesTheFile) {
  const TemporaryDirectory folder;
  const ActionChunk chunk = chunk_of(2, 2);
  write_plot(folder / "plot.svg", chunk, {});
  EXPECT_EQ(read_file(folder / "plot.svg"), plot_svg(chunk, {}));
  expect_error(ErrorCode::kInvalidInput, {"plot.png", ".svg"},
               [&] { write_plot(folder / "plot.png", chunk, {}); });
}

}  // namespace
}  // namespace pi0
