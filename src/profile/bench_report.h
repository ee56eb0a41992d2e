// Measured times as a table, and as JSON.
#pragma once

#include <optional>
#include <string>

#include "files/json.h"
#include "profile/bench.h"
#include "report/report.h"

namespace pi0 {

struct BenchSubject {
  std::string network;           // "pi0, 3 cameras, 48 tokens, 10 steps"
  std::string device;            // which, and why
  std::optional<HostPeak> peak;  // of a device that computes on the host
};

// `other`: another device's times for the same calls.
struct BenchOther {
  std::string device;
  BenchResult result;
  std::optional<HostPeak> peak = std::nullopt;
};

// "345.2 GFLOP/s"; empty where nothing was counted or timed.
std::string rate_text(double flops, double ms);
// Of a result with a peak: "1.23 TFLOP/s, vdpbf16ps on registers alone, 2 threads".
std::string peak_text(const BenchResult& result, const HostPeak& peak);

Report bench_report(const BenchSubject& subject, const BenchResult& result,
                    const std::optional<BenchOther>& other);

// Keys that scripts rely on: mean_ms, p50_ms, p95_ms, flops, stages (each name, ms, flops),
// peak_rss_bytes, load_ms; of a device on the host also isa, dtype, threads, peak_flops (a second),
// and share_of_peak, in all and in each stage; and where they were measured, matrices (each name,
// rows, depth, columns, flops_per_second, share_of_peak, and others: each library's
// flops_per_second).
Json bench_json(const BenchSubject& subject, const BenchResult& result,
                const std::optional<BenchOther>& other);

}  // namespace pi0
