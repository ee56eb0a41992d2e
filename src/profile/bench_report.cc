#include "profile/bench_report.h"

#include <fmt/format.h>

#include "base/text.h"
#include "base/unit_text.h"

namespace pi0 {
namespace {

Json json_of(const BenchResult& result) {
  Json stages = Json::array();
  for (const BenchStage& stage : result.stages) {
    stages.push_back({{"name", stage.name}, {"ms", stage.ms}, {"flops", stage.flops}});
    if (result.peak_flops != 0) {
      stages.back()["share_of_peak"] = share_of_peak(result, stage.flops, stage.ms);
    }
  }
  Json json{{"warmup", result.warmup}, {"runs", result.runs},       {"mean_ms", result.mean_ms},
            {"p50_ms", result.p50_ms}, {"p95_ms", result.p95_ms},   {"p99_ms", result.p99_ms},
            {"flops", result.flops},   {"load_ms", result.load_ms}, {"stages", std::move(stages)}};
  if (result.peak_flops != 0) {
    json["peak_flops"] = result.peak_flops;
    json["share_of_peak"] = share_of_peak(result, result.flops, result.mean_ms);
  }
  return json;
}

std::string giga_text(double rate) { return fixed_text(rate / 1e9, 0); }

ReportSection matrices_section(const std::vector<MatrixTimes>& matrices) {
  ReportSection section{
      "Matrices",
      {"rows x depth x columns, GFLOP/s (of integers Gop/s); ours with packing of the activations "
       "and finished rows, others the product alone"},
      {{"shape", ">ours", ">of peak"}, {}}};
  const std::vector<OtherRate>& libraries = matrices.front().others;
  if (libraries.empty()) {
    section.lines.push_back("built without libxsmm and oneDNN; `make bench` builds with them");
  }
  for (const OtherRate& library : libraries) {
    section.table.columns.push_back(fmt::format(">{} {}", library.name, library.version));
  }
  for (const MatrixTimes& time : matrices) {
    const MatrixShape& shape = time.shape;
    std::vector<std::string> row{
        fmt::format("{} {} x {} x {}", shape.name, shape.rows, shape.depth, shape.columns),
        giga_text(time.flops_per_second), share_text(time.share_of_peak)};
    for (const OtherRate& other : time.others) {
      row.push_back(other.flops_per_second ? giga_text(*other.flops_per_second) : "none");
    }
    section.table.rows.push_back(std::move(row));
  }
  return section;
}

Json matrices_json(const std::vector<MatrixTimes>& matrices) {
  Json json = Json::array();
  for (const MatrixTimes& time : matrices) {
    Json others = Json::object();
    for (const OtherRate& other : time.others) {
      if (other.flops_per_second) others[other.name] = *other.flops_per_second;
    }
    json.push_back({{"name", time.shape.name},
                    {"rows", time.shape.rows},
                    {"depth", time.shape.depth},
                    {"columns", time.shape.columns},
                    {"flops_per_second", time.flops_per_second},
                    {"share_of_peak", time.share_of_peak},
                    {"others", std::move(others)}});
  }
  return json;
}

double stage_ms(const BenchResult& result, const std::string& name) {
  for (const BenchStage& stage : result.stages) {
    if (stage.name == name) return stage.ms;
  }
  return 0;
}

}  // namespace

std::string rate_text(double flops, double ms) {
  if (flops == 0 || ms == 0) return "";
  return flops_text(flops / ms * 1e3) + "/s";
}

std::string peak_text(const BenchResult& result, const HostPeak& peak) {
  return fmt::format("{}/s, {} on registers alone, {}{}", flops_text(result.peak_flops),
                     peak.instruction, peak.threads, peak.threads == 1 ? " thread" : " threads");
}

Report bench_report(const BenchSubject& subject, const BenchResult& result,
                    const std::optional<BenchOther>& other) {
  Report report;
  report.title = "Times of " + subject.network;
  report.lines = {fmt::format("on {}: {} calls after {} to warm up", subject.device, result.runs,
                              result.warmup)};
  if (other) {
    report.lines.push_back(fmt::format("against {}: {} after {}", other->device, other->result.runs,
                                       other->result.warmup));
  }
  ReportSection times{"Milliseconds of a call", {}, {}};
  times.table.columns = {"", ">ms", ">FLOPs", ">rate"};
  const bool peak = result.peak_flops != 0;
  if (peak) times.table.columns.push_back(">of peak");
  if (other) times.table.columns.insert(times.table.columns.end(), {">other ms", ">times faster"});
  const auto add = [&](const std::string& name, double ms, double flops, double other_ms) {
    std::vector<std::string> row{name, ms_text(ms), flops == 0 ? "" : flops_text(flops),
                                 rate_text(flops, ms)};
    if (peak) row.push_back(flops == 0 ? "" : share_text(share_of_peak(result, flops, ms)));
    if (other) {
      row.push_back(ms_text(other_ms));
      row.push_back(ms == 0 ? "" : fixed_text(other_ms / ms, 2));
    }
    times.table.rows.push_back(std::move(row));
  };
  for (const BenchStage& stage : result.stages) {
    add(stage.name, stage.ms, stage.flops, other ? stage_ms(other->result, stage.name) : 0);
  }
  add("mean", result.mean_ms, result.flops, other ? other->result.mean_ms : 0);
  add("P50", result.p50_ms, 0, other ? other->result.p50_ms : 0);
  add("P95", result.p95_ms, 0, other ? other->result.p95_ms : 0);
  add("P99", result.p99_ms, 0, other ? other->result.p99_ms : 0);
  report.sections.push_back(std::move(times));
  if (peak && subject.peak) {
    report.lines.push_back("peak: " + peak_text(result, *subject.peak) +
                           "; the best of readings before, between and after the calls");
  }
  if (!result.matrices.empty()) report.sections.push_back(matrices_section(result.matrices));
  report.sections.push_back({"Memory and loading",
                             {"peak resident: " + bytes_text(result.peak_rss_bytes),
                              fmt::format("loading: {} ms", ms_text(result.load_ms))},
                             {}});
  return report;
}

Json bench_json(const BenchSubject& subject, const BenchResult& result,
                const std::optional<BenchOther>& other) {
  Json json{{"network", subject.network}, {"device", subject.device}};
  json.update(json_of(result));
  if (subject.peak) {
    json["isa"] = subject.peak->isa;
    json["dtype"] = subject.peak->dtype;
    json["threads"] = subject.peak->threads;
  }
  json["peak_rss_bytes"] = result.peak_rss_bytes;  // before the other device was there
  if (!result.matrices.empty()) json["matrices"] = matrices_json(result.matrices);
  if (other) {
    json["against"] = {{"device", other->device}};
    json["against"].update(json_of(other->result));
    json["times_faster"] = result.mean_ms == 0 ? 0 : other->result.mean_ms / result.mean_ms;
  }
  return json;
}

}  // namespace pi0
