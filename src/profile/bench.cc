#include "profile/bench.h"

#include <sys/resource.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numeric>

#include "profile/audit.h"

namespace pi0 {
namespace {

constexpr int kWarmup = 5, kRuns = 100;
constexpr int kLongWarmup = 1, kLongRuns = 3;
constexpr double kMsBetweenPeaks = 1000;

}  // namespace

double quantile(std::vector<double> values, double share) {
  assert(!values.empty());
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  const double fraction = place - std::floor(place);
  return values[below] + fraction * (values[above] - values[below]);
}

BenchResult summarise_times(const std::vector<Timing>& times) {
  BenchResult result;
  result.runs = static_cast<int>(times.size());
  std::vector<double> totals;
  Timing sum;
  for (const Timing& time : times) {
    totals.push_back(time.total_ms);
    sum.vision_ms += time.vision_ms;
    sum.prefix_ms += time.prefix_ms;
    sum.denoise_ms += time.denoise_ms;
    sum.total_ms += time.total_ms;
  }
  const double count = static_cast<double>(times.size());
  result.mean_ms = sum.total_ms / count;
  result.p50_ms = quantile(totals, 0.5);
  result.p95_ms = quantile(totals, 0.95);
  result.p99_ms = quantile(totals, 0.99);
  const double inside = sum.vision_ms + sum.prefix_ms + sum.denoise_ms;
  result.stages = {{"vision", sum.vision_ms / count, 0},
                   {"prefix", sum.prefix_ms / count, 0},
                   {"denoising", sum.denoise_ms / count, 0},
                   {"host", std::max(0.0, sum.total_ms - inside) / count, 0}};
  return result;
}

BenchPlan bench_plan(const BenchOptions& options, const std::vector<double>& total_ms) {
  const bool is_long = total_ms.size() > 1 && total_ms[1] > kLongCallMs;
  const int warmup = options.warmup.value_or(is_long ? kLongWarmup : kWarmup);
  if (!options.seconds) return {warmup, options.runs.value_or(is_long ? kLongRuns : kRuns)};
  const auto first = std::min(total_ms.size(), static_cast<std::size_t>(warmup));
  const double ms =
      std::accumulate(total_ms.begin() + static_cast<std::ptrdiff_t>(first), total_ms.end(), 0.0);
  const auto done = static_cast<int>(total_ms.size() - first);
  return {warmup, done > 0 && ms >= *options.seconds * 1e3 ? done : done + 1};
}

BenchResult bench(const Network& network, const ModelConfig& config, const NetworkCall& call,
                  const BenchOptions& options) {
  std::vector<Timing> times;
  double peak = options.peak ? options.peak() : 0;
  double ms_since_peak = 0;
  std::vector<double> totals;
  BenchPlan plan = bench_plan(options, totals);
  for (int done = 0; done < plan.warmup + plan.runs; ++done) {
    if (options.progress) {
      const bool warm = done >= plan.warmup;
      options.progress({warm ? "measuring" : "warming up",
                        static_cast<std::size_t>(warm ? done - plan.warmup : done),
                        static_cast<std::size_t>(warm ? plan.runs : plan.warmup)});
    }
    network.sample_actions(call.input, call.options, &times.emplace_back());
    totals.push_back(times.back().total_ms);
    plan = bench_plan(options, totals);
    ms_since_peak += totals.back();
    const bool last = done + 1 == plan.warmup + plan.runs;
    if (options.peak && (last || ms_since_peak >= kMsBetweenPeaks)) {
      peak = std::max(peak, options.peak());
      ms_since_peak = 0;
    }
  }
  times.erase(times.begin(), times.begin() + plan.warmup);
  BenchResult result = summarise_times(times);
  result.warmup = plan.warmup;
  result.peak_flops = peak;
  result.peak_rss_bytes = peak_rss_bytes();
  for (const AuditShare& share : count_flops(config, call)) {
    result.flops += share.flops;
    for (BenchStage& stage : result.stages) {
      if (stage.name == share.name) stage.flops += share.flops;
    }
  }
  return result;
}

double share_of_peak(const BenchResult& result, double flops, double ms) {
  return result.peak_flops == 0 || ms == 0 ? 0 : flops / (ms / 1e3) / result.peak_flops;
}

std::uint64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;  // in KiB on Linux
}

}  // namespace pi0
