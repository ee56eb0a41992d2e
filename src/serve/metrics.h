// Counts of a server, as Prometheus reads them.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

namespace pi0 {

// Milliseconds, counted by upper bounds.
class Histogram {
 public:
  static constexpr std::array<double, 14> kBounds = {1,   2,   5,    10,   20,   50,    100,
                                                     200, 500, 1000, 2000, 5000, 10000, 30000};
  void add(double ms);
  // In the text exposition format, seconds; `labels` may be empty.
  std::string text(const std::string& name, const std::string& labels) const;

 private:
  std::array<std::uint64_t, kBounds.size()> counts_ = {};
  std::uint64_t count_ = 0;
  double sum_ms_ = 0;
};

struct Metrics {
  std::map<std::string, std::uint64_t> calls = {};  // by outcome: "ok", a CallError's code
  std::uint64_t connections = 0;                    // ever
  std::uint64_t refused_connections = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;
  Histogram total = {}, queue = {};
  std::map<std::string, Histogram> stages = {};

  // What is so now.
  struct Now {
    int clients = 0;
    std::size_t waiting = 0;
    int computing = 0;
    bool ready = false;
    std::uint64_t recorded = 0, not_recorded = 0;  // calls, so far
  };
  std::string text(const Now& now) const;
};

}  // namespace pi0
