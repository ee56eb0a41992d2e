#include "profile/bench_plot.h"

#include <map>

#include "base/test_support.h"
#include "files/file.h"
#include "report/svg.h"
#include "report/svg_testing.h"

namespace pi0 {
namespace {

BenchSubject subject() {
  return {"pi0, 3 cameras, 48 tokens, 10 steps", "cpu (bf16 on amx, 2 threads; named)",
          HostPeak{"amx", "bf16", 2, "tdpbf16ps", {}}};
}

// 100 ms in all at half of 2 TFLOP/s, but for the host's 10.
BenchResult result_of(double factor = 1, double peak_flops = 2e12) {
  BenchResult result;
  result.runs = 7;
  result.stages = {{"vision", 20 * factor, 20e9},
                   {"prefix", 40 * factor, 10e9},
                   {"denoising", 30 * factor, 45e9},
                   {"host", 10 * factor, 0}};
  result.mean_ms = 100 * factor;
  result.flops = 75e9;
  result.peak_flops = peak_flops;
  return result;
}

struct Rectangle {
  double x, y, width, height;
};

// Those of a class.
std::vector<Rectangle> rectangles(const std::string& svg, const std::string& classes) {
  std::vector<Rectangle> found;
  const std::regex element(
      "<rect x=\"([-0-9.]+)\" y=\"([-0-9.]+)\" width=\"([-0-9.]+)\" height=\"([-0-9.]+)\" "
      "class=\"" +
      classes + "\"/>");
  for (std::sregex_iterator i(svg.begin(), svg.end(), element), end; i != end; ++i) {
    found.push_back(
        {std::stod((*i)[1]), std::stod((*i)[2]), std::stod((*i)[3]), std::stod((*i)[4])});
  }
  return found;
}

// Every bar and every text on the page, and no text in another's place.
void expect_on_the_page(const std::string& svg) {
  std::smatch size;
  ASSERT_TRUE(std::regex_search(svg, size, std::regex("viewBox=\"0 0 ([0-9.]+) ([0-9.]+)\"")));
  const double width = std::stod(size[1]), height = std::stod(size[2]);
  for (const Rectangle& r : rectangles(svg, "[a-z0-9]+")) {
    EXPECT_GE(r.x, 0);
    EXPECT_GE(r.width, 0);
    EXPECT_LE(r.x + r.width, width);
    EXPECT_LE(r.y + r.height, height);
  }
  const std::map<std::string, Font> fonts = {
      {"title", kTitleFont}, {"subtitle", kSubtitleFont}, {"name", kNameFont}, {"key", kKeyFont}};
  const std::regex element(
      "<text x=\"([-0-9.]+)\" y=\"([-0-9.]+)\" class=\"([a-z]+)\">([^<]*)</text>");
  std::map<double, double> ends;  // of the text that a line already has
  int texts = 0;
  for (std::sregex_iterator i(svg.begin(), svg.end(), element), end; i != end; ++i, ++texts) {
    const double x = std::stod((*i)[1]), y = std::stod((*i)[2]);
    const double right = x + text_width((*i)[4].str(), fonts.at((*i)[3]));
    EXPECT_LE(right, width) << (*i)[4];
    EXPECT_LT(y, height) << (*i)[4];
    EXPECT_EQ(ends.count(y), 0u) << (*i)[4];
    ends[y] = right;
  }
  EXPECT_EQ(texts, count(svg, "<text "));
}

TEST(BenchPlot, DrawsABarAStageInProportion) {
  const std::string svg = bench_plot_svg(subject(), result_of(), std::nullopt);
  expect_well_formed(svg);
  expect_on_the_page(svg);
  for (const char* text :
       {">Times of pi0, 3 cameras, 48 tokens, 10 steps</text>",
        ">cpu (bf16 on amx, 2 threads; named): 100 ms a call, mean of 7</text>", ">vision</text>",
        ">prefix</text>", ">denoising</text>", ">host</text>", ">20.00 ms, 50.00 % of peak</text>",
        ">40.00 ms, 12.50 % of peak</text>", ">30.00 ms, 75.00 % of peak</text>",
        ">10.00 ms</text>", ">measured: 100 ms, 75.0 GFLOP at 750 GFLOP/s</text>",
        ">its work at the machine&#39;s peak: 2.00 TFLOP/s, tdpbf16ps on registers alone, 2 "
        "threads</text>"}) {
    EXPECT_EQ(count(svg, text), 1) << text;
  }
  EXPECT_EQ(rectangles(svg, ".*1").size(), 0u);  // of another device

  // The first of each is the legend's.
  const std::vector<Rectangle> bars = rectangles(svg, "bar0"), peaks = rectangles(svg, "peak0");
  ASSERT_EQ(bars.size(), 5u);
  ASSERT_EQ(peaks.size(), 4u);
  EXPECT_GT(bars[2].width, 300);  // the longest
  const double ms[] = {20, 40, 30, 10}, at_peak[] = {10, 5, 22.5};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(bars[i + 1].width, bars[2].width * ms[i] / 40, 0.2);
    EXPECT_EQ(bars[i + 1].x, bars[1].x);
    if (i > 0) {
      EXPECT_GT(bars[i + 1].y, bars[i].y + bars[i].height);
    }
  }
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(peaks[i + 1].width, bars[2].width * at_peak[i] / 40, 0.2);
    EXPECT_EQ(peaks[i + 1].x, bars[i + 1].x);
    EXPECT_EQ(peaks[i + 1].y, bars[i + 1].y);
    EXPECT_EQ(peaks[i + 1].height, bars[i + 1].height);
  }
}

TEST(BenchPlot, DrawsAnotherDevicesBarsOnTheSameScale) {
  const BenchOther other{"ttnn (n150; named)", result_of(2, 0)};
  const std::string svg = bench_plot_svg(subject(), result_of(), other);
  expect_well_formed(svg);
  expect_on_the_page(svg);
  EXPECT_EQ(count(svg, ">ttnn (n150; named): 200 ms, 75.0 GFLOP at 375 GFLOP/s</text>"), 1);
  EXPECT_EQ(count(svg, ">cpu (bf16 on amx, 2 threads; named): 100 ms, 75.0 GFLOP at 750 GFLOP/s<"),
            1);
  EXPECT_EQ(count(svg, ">80.00 ms</text>"), 1);  // it has no peak, hence no share
  const std::vector<Rectangle> ours = rectangles(svg, "bar0"), others = rectangles(svg, "bar1");
  ASSERT_EQ(ours.size(), 5u);
  ASSERT_EQ(others.size(), 5u);
  for (std::size_t i = 1; i < 5; ++i) {
    EXPECT_NEAR(others[i].width, 2 * ours[i].width, 0.2);
    EXPECT_GE(others[i].y, ours[i].y + ours[i].height);
    if (i > 1) {
      EXPECT_GT(ours[i].y, others[i - 1].y + others[i - 1].height);
    }
  }
  EXPECT_EQ(rectangles(svg, "peak0").size(), 4u);
  EXPECT_EQ(rectangles(svg, "peak1").size(), 0u);

  const BenchOther with_peak{"cpu (fp32)", result_of(2, 1e12),
                             HostPeak{"avx2", "fp32", 1, "fma", {}}};
  const std::string both = bench_plot_svg(subject(), result_of(), with_peak);
  expect_on_the_page(both);
  EXPECT_EQ(rectangles(both, "peak1").size(), 4u);
  EXPECT_EQ(count(both, "1.00 TFLOP/s, fma on registers alone, 1 thread<"), 1);
}

TEST(BenchPlot, FindsStagesByName) {
  BenchOther other{"b", result_of()};
  std::swap(other.result.stages[0], other.result.stages[3]);
  other.result.stages.erase(other.result.stages.begin() + 1);  // prefix
  const std::string svg = bench_plot_svg(subject(), result_of(), other);
  const std::vector<Rectangle> ours = rectangles(svg, "bar0"), others = rectangles(svg, "bar1");
  ASSERT_EQ(others.size(), 4u);
  EXPECT_EQ(others[1].width, ours[1].width);
  EXPECT_EQ(others[2].width, ours[3].width);
  EXPECT_EQ(others[3].width, ours[4].width);
}

TEST(BenchPlot, SaysNothingOfAPeakThatWasNotMeasured) {
  const std::string svg = bench_plot_svg(subject(), result_of(1, 0), std::nullopt);
  expect_well_formed(svg);
  expect_on_the_page(svg);
  EXPECT_EQ(rectangles(svg, "peak0").size(), 0u);
  EXPECT_EQ(count(svg, "peak:") + count(svg, "of peak"), 0);
  EXPECT_EQ(count(svg, ">20.00 ms</text>"), 1);
}

TEST(BenchPlot, ShowsWhatTookLittle) {
  BenchResult result = result_of();
  result.stages[3].ms = 1e-4;
  result.stages[0].ms = 1e-3;
  result.stages[0].flops = 1e6;
  const std::string svg = bench_plot_svg(subject(), result, std::nullopt);
  expect_on_the_page(svg);
  const std::vector<Rectangle> bars = rectangles(svg, "bar0"), peaks = rectangles(svg, "peak0");
  EXPECT_EQ(bars[4].width, 3);
  EXPECT_EQ(bars[1].width, 3);
  EXPECT_NEAR(peaks[1].width, 1.5, 0.01);  // the share of it, which is half
  EXPECT_EQ(count(svg, ">0.00 ms, 50.00 % of peak</text>"), 1);
}

TEST(BenchPlot, DrawsWhatTookNoTime) {
  BenchResult result = result_of(0);
  const std::string svg = bench_plot_svg(subject(), result, std::nullopt);
  expect_well_formed(svg);
  expect_on_the_page(svg);
  EXPECT_EQ(count(svg, ">0.00 ms</text>"), 4);
  EXPECT_EQ(rectangles(svg, "bar0")[1].width, 0);
  result.stages.clear();
  expect_well_formed(bench_plot_svg(subject(), result, std::nullopt));
}

TEST(BenchPlot, StaysOnThePage) {
  // Faster than the peak that was read: the bar's whole length, no more.
  const std::string fast = bench_plot_svg(subject(), result_of(1, 1e9), std::nullopt);
  expect_on_the_page(fast);
  const std::vector<Rectangle> bars = rectangles(fast, "bar0"), peaks = rectangles(fast, "peak0");
  for (std::size_t i = 1; i < 4; ++i) EXPECT_EQ(peaks[i].width, bars[i].width);
  EXPECT_EQ(count(fast, "100 % of peak"), 3);

  const std::string word(300, 'W');
  for (const double factor : {1e-9, 1e4, 1e300}) {
    BenchResult result = result_of(factor);
    result.stages[1].name = word;
    const BenchSubject all_long{word + " " + word, word, HostPeak{word, word, 2, word, {}}};
    const BenchOther other{word, result, all_long.peak};
    const std::string svg = bench_plot_svg(all_long, result, other);
    expect_well_formed(svg);
    expect_on_the_page(svg);
    EXPECT_GT(rectangles(svg, "bar0")[2].width, 300);
    if (factor == 1e4) {  // the device gives way, not the times
      EXPECT_GE(count(svg, "1000000 ms"), 2);
    }
  }
}

TEST(BenchPlot, EscapesWhatOthersWrote) {
  BenchSubject hostile{"</title><script>", "<&>", HostPeak{"", "", 1, "<img src='x'>\x01\xff", {}}};
  BenchResult result = result_of();
  result.stages[0].name = "a<b>&\"c\"";
  const std::string svg = bench_plot_svg(hostile, result, BenchOther{"\"<x>\"", result});
  expect_well_formed(svg);
  EXPECT_EQ(count(svg, "<script"), 0);
  EXPECT_EQ(count(svg, "\x01"), 0);
  EXPECT_EQ(count(svg, ">a&lt;b&gt;&amp;&quot;c&quot;</text>"), 1);
}

TEST(BenchPlot, IsWhiteInADarkViewer) {
  EXPECT_EQ(count(bench_plot_svg(subject(), result_of(), std::nullopt),
                  "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"),
            1);
}

TEST(BenchPlot, WritesTheFile) {
  const TemporaryDirectory folder;
  write_bench_plot(folder / "plot.svg", subject(), result_of(), std::nullopt);
  EXPECT_EQ(read_file(folder / "plot.svg"), bench_plot_svg(subject(), result_of(), std::nullopt));
  expect_error(ErrorCode::kInvalidInput, {"plot.png", ".svg"}, [&] {
    write_bench_plot(folder / "plot.png", subject(), result_of(), std::nullopt);
  });
}

}  // namespace
}  // namespace pi0
