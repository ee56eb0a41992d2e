#include "profile/bench_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "files/file.h"
#include "report/output_path.h"
#include "report/svg.h"

namespace pi0 {
namespace {

// Blue and vermilion of Okabe and Ito's palette, which the colour-blind tell apart, and tints.
constexpr std::string_view kRules = R"(.axis{stroke:#8c959f;fill:none}
.bar0{fill:#9bc9e8}
.peak0{fill:#0072b2}
.bar1{fill:#f6c29c}
.peak1{fill:#d55e00}
)";

// Pixels.
constexpr double kWidth = 820;
constexpr double kMargin = 28;
constexpr double kRoom = kWidth - 2 * kMargin;
constexpr double kMostName = 120;   // of a stage
constexpr double kMostLabel = 240;  // at a bar's end
constexpr double kBar = 24;         // its height
constexpr double kBarGap = 3;       // between the two of a stage
constexpr double kStageGap = 18;
constexpr double kLeastBar = 3;  // what took any time is seen to

struct Series {
  std::string device;
  const BenchResult& result;
  std::optional<HostPeak> peak;
};

// `device` with `rest`, of which the device is shortened where they are too long.
std::string with_device(const std::string& device, const std::string& rest, double width,
                        const Font& font) {
  return fit_middle(device, std::max(0.0, width - text_width(rest, font)), font) + rest;
}

const BenchStage* find_stage(const BenchResult& result, const std::string& name) {
  for (const BenchStage& stage : result.stages) {
    if (stage.name == name) return &stage;
  }
  return nullptr;
}

bool has_share(const BenchResult& result, const BenchStage& stage) {
  return result.peak_flops > 0 && stage.flops > 0 && stage.ms > 0;
}

std::string label_of(const BenchResult& result, const BenchStage& stage) {
  std::string label = ms_text(stage.ms) + " ms";
  if (has_share(result, stage)) {
    label += fmt::format(", {} of peak", share_text(share_of_peak(result, stage.flops, stage.ms)));
  }
  return fit_end(label, kMostLabel, kKeyFont);
}

class BenchPlot {
 public:
  BenchPlot(const BenchSubject& subject, const BenchResult& result,
            const std::optional<BenchOther>& other)
      : network_(subject.network), series_{{subject.device, result, subject.peak}} {
    if (other) series_.push_back({other->device, other->result, other->peak});
    double name_width = 0, label_width = 0;
    for (const Series& series : series_) {
      for (const BenchStage& stage : series.result.stages) {
        longest_ms_ = std::max(longest_ms_, stage.ms);
        name_width = std::max(name_width, text_width(stage.name, kNameFont));
        label_width = std::max(label_width, text_width(label_of(series.result, stage), kKeyFont));
      }
    }
    name_width_ = std::min(name_width, kMostName);
    left_ = kMargin + name_width_ + 12;
    longest_ = kWidth - kMargin - 8 - label_width - left_;
  }

  std::string draw() {
    Point at{kMargin, kMargin};
    const BenchResult& result = series_[0].result;
    const std::string title = "Times of " + network_;
    const std::string mean =
        fmt::format(": {} ms a call, mean of {}", ms_text(result.mean_ms), result.runs);
    body_ +=
        svg_heading(at, kRoom, title, with_device(series_[0].device, mean, kRoom, kSubtitleFont));
    at.y += 20;
    draw_legend(at.y);
    draw_stages(at.y);
    return svg_page(kWidth, at.y + kMargin, title, kRules, body_);
  }

 private:
  // Each of these draws from `y` downwards and moves it on.
  void draw_legend(double& y) {
    constexpr double kSample = 28, kSpace = 8, kLine = 20;
    const double room = kRoom - kSample - kSpace;
    const auto draw_key = [&](const std::string& text, const std::string& style) {
      body_ += svg_rectangle({kMargin, y}, kSample, 14, style);
      body_ += svg_text({kMargin + kSample + kSpace, y + 11}, text, "class=\"key\"");
      y += kLine;
    };
    for (std::size_t i = 0; i < series_.size(); ++i) {
      const BenchResult& result = series_[i].result;
      std::string measured = fmt::format(": {} ms", ms_text(result.mean_ms));
      const std::string rate = rate_text(result.flops, result.mean_ms);
      if (!rate.empty()) measured += fmt::format(", {} at {}", flops_text(result.flops), rate);
      const std::string who = series_.size() == 1 ? "measured" : series_[i].device;
      draw_key(with_device(who, measured, room, kKeyFont), style_of("bar", i));
      if (result.peak_flops > 0) {
        std::string peak = "its work at the machine's peak: ";
        peak += series_[i].peak ? peak_text(result, *series_[i].peak)
                                : flops_text(result.peak_flops) + "/s";
        draw_key(fit_end(peak, room, kKeyFont), style_of("peak", i));
      }
    }
  }

  void draw_stages(double& y) {
    y += 6;
    const double top = y;
    y += kStageGap / 2;
    for (const BenchStage& named : series_[0].result.stages) {
      const double count = static_cast<double>(series_.size());
      const double height = count * kBar + (count - 1) * kBarGap;
      body_ += svg_text({kMargin, y + height / 2 + 5},
                        fit_middle(named.name, name_width_, kNameFont), "class=\"name\"");
      for (std::size_t i = 0; i < series_.size(); ++i) {
        const BenchStage* stage = find_stage(series_[i].result, named.name);
        if (stage != nullptr) draw_bar(*stage, i, y + static_cast<double>(i) * (kBar + kBarGap));
      }
      y += height + kStageGap;
    }
    y -= kStageGap / 2;
    body_ += svg_line({left_, top}, {left_, y}, "class=\"axis\"");
  }

  void draw_bar(const BenchStage& stage, std::size_t series, double y) {
    const BenchResult& result = series_[series].result;
    const double width = stage.ms > 0 ? std::max(kLeastBar, stage.ms / longest_ms_ * longest_) : 0;
    body_ += svg_rectangle({left_, y}, width, kBar, style_of("bar", series));
    if (has_share(result, stage)) {
      // A machine may have been faster during the calls than when its peak was read.
      const double share = std::min(1.0, share_of_peak(result, stage.flops, stage.ms));
      body_ += svg_rectangle({left_, y}, width * share, kBar, style_of("peak", series));
    }
    body_ +=
        svg_text({left_ + width + 8, y + kBar / 2 + 4}, label_of(result, stage), "class=\"key\"");
  }

  static std::string style_of(const char* part, std::size_t series) {
    return fmt::format("class=\"{}{}\"", part, series);
  }

  std::string network_;
  std::vector<Series> series_;  // one or two
  double longest_ms_ = 0;
  double name_width_ = 0;  // room for the stages' names
  double left_ = 0;        // where the bars begin
  double longest_ = 0;     // bar
  std::string body_;
};

}  // namespace

std::string bench_plot_svg(const BenchSubject& subject, const BenchResult& result,
                           const std::optional<BenchOther>& other) {
  return BenchPlot(subject, result, other).draw();
}

void write_bench_plot(const std::filesystem::path& path, const BenchSubject& subject,
                      const BenchResult& result, const std::optional<BenchOther>& other) {
  require_writable(path, kPlotExtensions);
  write_file(path, bench_plot_svg(subject, result, other));
}

}  // namespace pi0
