#include "replay/replay_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"

namespace pi0 {
namespace {

constexpr std::size_t kWorst = 10;

std::size_t count(const std::vector<PlayedCall>& calls, Verdict verdict) {
  return static_cast<std::size_t>(
      std::count_if(calls.begin(), calls.end(),
                    [verdict](const PlayedCall& call) { return call.verdict == verdict; }));
}

// P50, P95, P99, the longest; of none: "-".
std::vector<std::string> percentiles(std::vector<double> ms) {
  std::sort(ms.begin(), ms.end());
  std::vector<std::string> cells;
  for (const double share : {0.5, 0.95, 0.99, 1.0}) {
    const double at = share * (static_cast<double>(ms.size()) - 1) + 0.5;
    cells.push_back(ms.empty() ? "-" : ms_text(ms[static_cast<std::size_t>(at)]));
  }
  return cells;
}

std::vector<std::string> latency_row(const std::string& when, const std::string& device,
                                     const std::vector<PlayedCall>& calls,
                                     std::optional<double> PlayedCall::*ms) {
  std::vector<double> values;
  for (const PlayedCall& call : calls) {
    if (call.*ms) values.push_back(*(call.*ms));
  }
  std::vector<std::string> row = {when, device.empty() ? "-" : device};
  for (std::string& cell : percentiles(std::move(values))) row.push_back(std::move(cell));
  return row;
}

std::string correlation_text(const std::optional<double>& correlation) {
  return correlation ? fixed_text(*correlation, 6) : "-";
}
std::string difference_text(const std::optional<double>& difference) {
  return difference ? scientific_text(*difference, 1) : "-";
}

ReportSection worst(std::vector<PlayedCall> calls) {
  std::erase_if(calls, [](const PlayedCall& call) { return call.verdict != Verdict::kDiffers; });
  // What gave no actions to compare first, then by correlation.
  std::stable_sort(calls.begin(), calls.end(), [](const PlayedCall& a, const PlayedCall& b) {
    return a.correlation.value_or(-2) < b.correlation.value_or(-2);
  });
  ReportSection section{calls.empty() ? "" : "Calls that differ", {}, {}};
  if (calls.empty()) return section;
  if (calls.size() > kWorst) section.title += fmt::format(", the worst {}", kWorst);
  section.table.columns = {">call", ">client", ">PCC", ">largest", "why"};
  for (const PlayedCall& call : calls) {
    if (section.table.rows.size() == kWorst) break;
    section.table.rows.push_back({std::to_string(call.number), std::to_string(call.client),
                                  correlation_text(call.correlation),
                                  difference_text(call.largest_difference), printable(call.why)});
  }
  return section;
}

}  // namespace

bool all_agree(const std::vector<PlayedCall>& calls) {
  return count(calls, Verdict::kDiffers) == 0 && count(calls, Verdict::kNotCompared) < calls.size();
}

Report replay_report(const std::vector<PlayedCall>& calls, const std::string& then,
                     const std::string& now) {
  std::optional<double> least, largest;
  std::map<std::string, std::size_t> not_compared;
  for (const PlayedCall& call : calls) {
    if (call.correlation) least = std::min(least.value_or(*call.correlation), *call.correlation);
    if (call.largest_difference) {
      largest = std::max(largest.value_or(0), *call.largest_difference);
    }
    if (call.verdict == Verdict::kNotCompared) ++not_compared[call.why];
  }
  Report report;
  ReportSection all{"Actions", {}, {}};
  all.table.columns = {">calls",        ">equal",     ">close",  ">differ",
                       ">not compared", ">least PCC", ">largest"};
  all.table.rows = {{std::to_string(calls.size()), std::to_string(count(calls, Verdict::kEqual)),
                     std::to_string(count(calls, Verdict::kClose)),
                     std::to_string(count(calls, Verdict::kDiffers)),
                     std::to_string(count(calls, Verdict::kNotCompared)), correlation_text(least),
                     difference_text(largest)}};
  ReportSection latency{"Latency", {}, {}};
  latency.table.columns = {"", "device", ">P50 ms", ">P95 ms", ">P99 ms", ">longest ms"};
  latency.table.rows = {latency_row("then", then, calls, &PlayedCall::then_ms),
                        latency_row("now", now, calls, &PlayedCall::now_ms)};
  report.sections = {std::move(all), std::move(latency)};
  if (!not_compared.empty()) report.sections.emplace_back();
  for (const auto& [why, times] : not_compared) {
    report.sections.back().lines.push_back(
        fmt::format("{} not compared: {}", times, printable(why)));
  }
  if (ReportSection differing = worst(calls); !differing.title.empty()) {
    report.sections.push_back(std::move(differing));
  }
  return report;
}

}  // namespace pi0
