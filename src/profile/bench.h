// How long a call takes.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "profile/matrices.h"
#include "runtime/random_input.h"

namespace pi0 {

struct BenchOptions {
  std::optional<int> warmup;  // calls before the measured ones; else 5, or 1 where a call is long
  std::optional<int> runs;    // measured calls; else 100, or 3 where a call is long
  std::optional<double>
      seconds;  // measured calls for so long in all, at least one; not with `runs`
  std::function<void(const Progress&)> progress;  // may be empty
  // Measures what the machine could do at most, in operations a second; asked before the calls,
  // after the last, and between them once in a second of calls, since machines are shared. May be
  // empty.
  std::function<double()> peak;
};

struct BenchStage {
  std::string name;  // "vision", "prefix", "denoising", "host": what surrounds the network
  double ms = 0;     // mean
  double flops = 0;  // of one call
};

struct BenchResult {
  int warmup = 0;
  int runs = 0;
  double mean_ms = 0;
  double p50_ms = 0;
  double p95_ms = 0;
  double p99_ms = 0;
  double flops = 0;
  double peak_flops = 0;  // a second; the best reading, or 0 where none was asked for
  double load_ms = 0;     // before the first call, where the caller measured it
  std::vector<BenchStage> stages;
  std::uint64_t peak_rss_bytes = 0;   // of the process, when the last call was done
  std::vector<MatrixTimes> matrices;  // where the caller measured them
};

// A call that takes longer than this is measured a few times only.
inline constexpr double kLongCallMs = 2000;

// FLOPs in so many milliseconds as a fraction of what the machine could do; 0 without a peak.
double share_of_peak(const BenchResult& result, double flops, double ms);

// How many calls, as far as `total_ms`, those of the calls made so far, tell. The second decides:
// the first may compile kernels, for longer than thousands of calls take. A long second call is the
// first measured one, unless more warm-up is asked for. Under `seconds`, `runs` is those so far,
// and one more until they have taken so long.
struct BenchPlan {
  int warmup = 0;
  int runs = 0;
};
BenchPlan bench_plan(const BenchOptions& options, const std::vector<double>& total_ms);

// `config` is the network's.
BenchResult bench(const Network& network, const ModelConfig& config, const NetworkCall& call,
                  const BenchOptions& options);

// What the measured calls' times come to; `stages` then lack FLOPs. `times` is not empty.
BenchResult summarise_times(const std::vector<Timing>& times);

// The value below which `share` of the values lie, between two of them where it falls there (as
// numpy.quantile).
double quantile(std::vector<double> values, double share);

// The most memory that this process has had resident so far.
std::uint64_t peak_rss_bytes();

}  // namespace pi0
