#include "serve/metrics.h"

#include <fmt/format.h>

namespace pi0 {
namespace {

std::string metric(const char* name, const char* type, const char* help, double value) {
  return fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
}

}  // namespace

void Histogram::add(double ms) {
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    if (ms <= kBounds[i]) ++counts_[i];
  }
  ++count_;
  sum_ms_ += ms;
}

std::string Histogram::text(const std::string& name, const std::string& labels) const {
  const std::string more = labels.empty() ? "" : labels + ",";
  const std::string all = labels.empty() ? "" : "{" + labels + "}";
  std::string text;
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    text += fmt::format("{}_bucket{{{}le=\"{}\"}} {}\n", name, more, kBounds[i] / 1000, counts_[i]);
  }
  text += fmt::format("{}_bucket{{{}le=\"+Inf\"}} {}\n", name, more, count_);
  text += fmt::format("{}_sum{} {}\n{}_count{} {}\n", name, all, sum_ms_ / 1000, name, all, count_);
  return text;
}

std::string Metrics::text(const Now& now) const {
  std::string text =
      "# HELP pi0_calls_total Calls of the policy, by outcome.\n"
      "# TYPE pi0_calls_total counter\n";
  for (const auto& [outcome, count] : calls) {
    text += fmt::format("pi0_calls_total{{outcome=\"{}\"}} {}\n", outcome, count);
  }
  text += metric("pi0_connections_total", "counter", "Connections that were taken.",
                 static_cast<double>(connections));
  text += metric("pi0_connections_refused_total", "counter",
                 "Connections that were refused, there being too many or for want of a key.",
                 static_cast<double>(refused_connections));
  text += metric("pi0_received_bytes_total", "counter", "Bytes of requests.",
                 static_cast<double>(bytes_in));
  text += metric("pi0_sent_bytes_total", "counter", "Bytes of answers.",
                 static_cast<double>(bytes_out));
  text += metric("pi0_recorded_calls_total", "counter", "Calls that were recorded.",
                 static_cast<double>(now.recorded));
  text += metric("pi0_unrecorded_calls_total", "counter",
                 "Calls that --record left out: they came too fast, or it has ended.",
                 static_cast<double>(now.not_recorded));
  text += metric("pi0_clients", "gauge", "Clients that are connected.", now.clients);
  text += metric("pi0_queue_calls", "gauge", "Calls that wait.", static_cast<double>(now.waiting));
  text += metric("pi0_computing_calls", "gauge", "Calls that are computed.", now.computing);
  text += metric("pi0_ready", "gauge", "1 once every device has its policy and is warm.",
                 now.ready ? 1 : 0);
  text +=
      "# HELP pi0_call_seconds From a request's last byte to its answer.\n"
      "# TYPE pi0_call_seconds histogram\n" +
      total.text("pi0_call_seconds", "");
  text +=
      "# HELP pi0_queue_seconds From a request's last byte until it is computed.\n"
      "# TYPE pi0_queue_seconds histogram\n" +
      queue.text("pi0_queue_seconds", "");
  text += "# HELP pi0_stage_seconds Stages of a call.\n# TYPE pi0_stage_seconds histogram\n";
  for (const auto& [stage, histogram] : stages) {
    text += histogram.text("pi0_stage_seconds", fmt::format("stage=\"{}\"", stage));
  }
  return text;
}

}  // namespace pi0
