// Measured times as a table, and as JSON.
#pragma once

#include <optional>
#include <string>

#include "check/bench.h"
#include "check/report.h"
#include "files/json.h"

namespace pi0 {

struct BenchSubject {
  std::string network;  // "pi0, 3 cameras, 48 tokens, 10 steps"
  std::string device;   // which, and why
};

// `other`: another device's times for the same calls.
struct BenchOther {
  std::string device;
  BenchResult result;
};
Report bench_report(const BenchSubject& subject, const BenchResult& result,
                    const std::optional<BenchOther>& other);

// Keys that scripts rely on: mean_ms, p50_ms, p95_ms, flops, stages (each name, ms, flops),
// peak_rss_bytes.
Json bench_json(const BenchSubject& subject, const BenchResult& result,
                const std::optional<BenchOther>& other);

}  // namespace pi0
