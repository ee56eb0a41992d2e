#include "profile/audit_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "base/unit_text.h"

namespace pi0 {
namespace {

const char* where_text(Where where) {
  return where == Where::kDevice ? "device" : where == Where::kHost ? "host" : "transfer";
}

// What stands for an operation in a table: its first result, or what it reads where it has none.
const OperandRecord& operand_of(const OperationRecord& operation) {
  static const OperandRecord kNone;
  if (!operation.outputs.empty()) return operation.outputs.front();
  return operation.inputs.empty() ? kNone : operation.inputs.front();
}

ReportSection shares(const Audit& audit) {
  ReportSection section{"Operations and FLOPs on the device", {}, {}};
  section.table.columns = {"stage",  ">operations",    ">on the device", ">share",
                           ">FLOPs", ">on the device", ">bytes"};
  std::vector<AuditShare> rows = audit.stages;
  rows.push_back(audit.total);
  for (const AuditShare& share : rows) {
    section.table.rows.push_back({share.name, std::to_string(share.operations),
                                  std::to_string(share.on_device),
                                  share_text(share.operations_share()), flops_text(share.flops),
                                  share_text(share.flops_share()), bytes_text(share.bytes)});
  }
  return section;
}

ReportSection memory(const AuditRun& run) {
  const Audit& audit = run.audit;
  ReportSection section{"Memory", {}, {{"", ">peak", ">of"}, {}}};
  const auto row = [&](const std::string& what, std::int64_t peak, std::int64_t all) {
    section.table.rows.push_back({what, bytes_text(peak), all == 0 ? "" : bytes_text(all)});
  };
  if (run.subject.own_memory) {
    const OwnMemory& own = *run.subject.own_memory;
    // TTNN itself does not tell how large its circular buffers were; the emulated card does.
    const bool told = audit.peak_core_scratch_bytes > 0;
    row(told ? "L1 per core, with circular buffers" : "L1 per core, tensors alone",
        audit.peak_core_bytes, own.bytes_per_core);
    if (told) {
      row("circular buffers of one operation, per core", audit.peak_core_scratch_bytes,
          own.bytes_per_core);
    }
    row("DRAM, weights included", audit.peak_memory_bytes, own.bytes);
  } else {
    section.lines.push_back("The device has the host's memory: `pi0 bench` tells its peak.");
  }
  section.lines.push_back(fmt::format("Live tensors: {} before the call, {} more after it.",
                                      audit.live_before, audit.live_after));
  return section;
}

ReportSection live(const Audit& audit) {
  constexpr std::int64_t kBar = 30;
  ReportSection section{
      "Live tensors beyond those before the call, after each layer or step, and its peaks",
      {},
      {{"part", ">times", ">least", ">most", ">L1 per core", ">DRAM", ""}, {}}};
  std::int64_t most = 1;
  for (const LiveTensors& one : audit.live) most = std::max(most, one.most - audit.live_before);
  for (const LiveTensors& one : audit.live) {
    const std::int64_t high = one.most - audit.live_before;
    const auto bar = static_cast<std::size_t>(std::max<std::int64_t>(0, high) * kBar / most);
    section.table.rows.push_back({one.component, std::to_string(one.count),
                                  std::to_string(one.least - audit.live_before),
                                  std::to_string(high), bytes_text(one.peak_core_bytes),
                                  bytes_text(one.peak_memory_bytes), std::string(bar, '#')});
  }
  return section;
}

ReportSection on_the_host(const Audit& audit) {
  ReportSection section{"On the host, and why", {}, {{"what", "when", "why"}, {}}};
  section.table.rows = {
      {"weight preparation", "at load",
       "once a checkpoint: converted, padded and laid out as the device reads them"},
      {"time encoding", "at load",
       "sines and cosines of ten numbers, for each number of steps once"},
      {"image decode and resize", "before the call", "bytes of files and cameras, no tensors"},
      {"tokenising", "before the call", "text"},
      {"normalisation, noise", "around the call", "as many numbers as the robot has joints; drawn"},
      {"masks and positions", "before the call",
       "masked cameras and padded tokens are left out, so positions count on without gaps"},
      {"embedding rows", "before the call",
       "a row a token, read where the file is mapped; the whole table would be a gigabyte"},
  };
  std::map<std::string, std::int64_t> counts;
  for (const OperationRecord& operation : audit.operations) {
    if (operation.where == Where::kHost && does_work(operation)) ++counts[operation.name];
  }
  for (const auto& [name, count] : counts) {
    section.table.rows.push_back({fmt::format("{} ({})", name, count), "IN THE CALL",
                                  "the device does not do it elsewhere"});
  }
  return section;
}

ReportSection settings(const SettingTable& table) {
  ReportSection section{table.title, {}, {{"row", "what", "choice", "why"}, {}}};
  for (const SettingRow& row : table.rows) {
    section.table.rows.push_back({row.name, row.what, row.choice, row.reason});
  }
  return section;
}

// Those alike taken together: 27 layers are one row an operation.
ReportSection operations(const Audit& audit) {
  using Key =
      std::tuple<std::string, std::string, std::string, std::string, std::string, std::string>;
  struct Group {
    Key key;
    std::int64_t count = 0;
    double flops = 0;
    std::int64_t bytes = 0;
  };
  std::vector<Group> groups;
  std::map<Key, std::size_t> places;
  for (const OperationRecord& operation : audit.operations) {
    if (!does_work(operation)) continue;
    const OperandRecord& operand = operand_of(operation);
    const Key key{operation.component.name,
                  operation.name,
                  where_text(operation.where),
                  shape_text(operand.shape),
                  operand.dtype + ", " + operand.layout,
                  operand.placement};
    const auto [place, is_new] = places.try_emplace(key, groups.size());
    if (is_new) groups.push_back({key, 0, 0, 0});
    Group& group = groups[place->second];
    ++group.count;
    group.flops += operation.flops;
    group.bytes += operation.bytes;
  }
  ReportSection section{"Operations, those alike taken together", {}, {}};
  section.table.columns = {"part",      "operation", "where",  "shape", "type",
                           "placement", ">times",    ">FLOPs", ">bytes"};
  for (const Group& group : groups) {
    const auto& [component, name, where, shape, type, placement] = group.key;
    section.table.rows.push_back({component, name, where, shape, type, placement,
                                  std::to_string(group.count), flops_text(group.flops),
                                  bytes_text(group.bytes)});
  }
  return section;
}

ReportSection roofline_section(const Audit& audit) {
  const Roofline& roofline = audit.roofline;
  ReportSection section{"Roofline of " + roofline.card, {}, {}};
  section.lines = {
      fmt::format("A model, not a measurement: no card has run this. Each operation takes as long "
                  "as its FLOPs, DRAM bytes or L1 bytes at the card's published peak, whichever is "
                  "longest, and the time to launch it: {} ms in all.",
                  fixed_text(roofline.total_ms, 1)),
      "Below the stages, the five operations that bound it."};
  section.table.columns = {"stage", "operation", "shape", ">times", ">ms", ">share", "bound"};
  const auto share = [&](double ms) {
    return share_text(roofline.total_ms == 0 ? 0 : ms / roofline.total_ms);
  };
  for (const RooflineStage& stage : roofline.stages) {
    section.table.rows.push_back({stage.name, "all", "", std::to_string(stage.operations),
                                  fixed_text(stage.ms, 3), share(stage.ms), ""});
  }
  for (const RooflineGroup& group : longest_operations(audit, 5)) {
    section.table.rows.push_back({group.component, group.operation, shape_text(group.shape),
                                  std::to_string(group.count), fixed_text(group.ms, 3),
                                  share(group.ms), group.bound});
  }
  return section;
}

Json json_of(const AttributeValue& value) {
  return std::visit([](const auto& held) { return Json(held); }, value);
}

Json json_of(const OperandRecord& operand) {
  return {{"id", operand.id},
          {"buffer", operand.buffer},
          {"shape", operand.shape},
          {"padded_shape", operand.padded_shape},
          {"dtype", operand.dtype},
          {"layout", operand.layout},
          {"placement", operand.placement},
          {"bytes", operand.bytes}};
}

Json json_of(const std::vector<OperandRecord>& operands) {
  Json list = Json::array();
  for (const OperandRecord& operand : operands) list.push_back(json_of(operand));
  return list;
}

Json json_of(const OperationRecord& operation) {
  const OperandRecord& operand = operand_of(operation);
  Json attributes = Json::object();
  for (const auto& [key, value] : operation.attributes) attributes[key] = json_of(value);
  return {{"name", operation.name},
          {"where", where_text(operation.where)},
          {"component", operation.component.name},
          {"index", operation.index},
          {"shape", operand.shape},
          {"dtype", operand.dtype},
          {"layout", operand.layout},
          {"placement", operand.placement},
          {"flops", operation.flops},
          {"bytes", operation.bytes},
          {"inputs", json_of(operation.inputs)},
          {"outputs", json_of(operation.outputs)},
          {"attributes", std::move(attributes)},
          {"circular_buffer_bytes", operation.core_scratch_bytes},
          {"l1_bytes_per_core", operation.core_bytes},
          {"dram_bytes", operation.memory_bytes},
          {"live_tensors", operation.live_tensors}};
}

Json json_of(const AuditShare& share) {
  return {{"name", share.name},
          {"operations", share.operations},
          {"operations_on_device", share.on_device},
          {"operations_on_device_share", share.operations_share()},
          {"flops", share.flops},
          {"flops_on_device_share", share.flops_share()},
          {"bytes", share.bytes}};
}

Json json_of(const Audit& audit) {
  const Roofline& roofline = audit.roofline;
  Json stages = Json::array(), operations = Json::array();
  for (const RooflineStage& stage : roofline.stages) {
    stages.push_back({{"name", stage.name}, {"operations", stage.operations}, {"ms", stage.ms}});
  }
  for (const RooflineOperation& one : roofline.operations) {
    const OperationRecord& record = audit.operations[one.record];
    operations.push_back({{"operation", one.record},
                          {"name", record.name},
                          {"component", record.component.name},
                          {"index", record.index},
                          {"ms", one.ms},
                          {"bound", one.bound}});
  }
  return {{"card", roofline.card},
          {"total_ms", roofline.total_ms},
          {"stages", std::move(stages)},
          {"operations", std::move(operations)}};
}

}  // namespace

std::vector<RooflineGroup> longest_operations(const Audit& audit, std::size_t count) {
  using Key = std::tuple<std::string, std::string, Shape>;
  std::map<Key, RooflineGroup> groups;
  for (const RooflineOperation& one : audit.roofline.operations) {
    const OperationRecord& record = audit.operations[one.record];
    const Shape& shape = operand_of(record).shape;
    RooflineGroup& group = groups[{record.name, record.component.name, shape}];
    group.operation = record.name;
    group.component = record.component.name;
    group.bound = one.bound;
    group.shape = shape;
    ++group.count;
    group.ms += one.ms;
  }
  std::multimap<double, RooflineGroup, std::greater<>> by_time;  // equal ones as in `groups`
  for (auto& [key, group] : groups) by_time.emplace(group.ms, std::move(group));
  std::vector<RooflineGroup> longest;
  for (auto& [ms, group] : by_time) {
    if (longest.size() == count) break;
    longest.push_back(std::move(group));
  }
  return longest;
}

Report audit_report(const AuditRun& run) {
  const Audit& audit = run.audit;
  Report report;
  report.title = "Audit of " + run.subject.network;
  report.lines = {fmt::format(
      "On {}. The second call is audited: the first prepares what later calls keep. Operations are "
      "those from the uploaded images, embedding rows, state and noise to the downloaded actions; "
      "transfers, frees and views are not counted as operations.",
      run.subject.device)};
  report.sections = {shares(audit), memory(run), live(audit)};

  ReportSection transfers{
      "Between host and device", {}, {{"operation", "shape", "type", ">bytes"}, {}}};
  for (const OperationRecord& operation : audit.operations) {
    if (operation.where != Where::kTransfer || !does_work(operation)) continue;
    const OperandRecord& operand = operand_of(operation);
    transfers.table.rows.push_back(
        {operation.name, shape_text(operand.shape), operand.dtype, bytes_text(operand.bytes)});
  }
  report.sections.push_back(std::move(transfers));
  report.sections.push_back(on_the_host(audit));
  for (const SettingTable& table : run.subject.settings) {
    report.sections.push_back(settings(table));
  }
  report.sections.push_back(operations(audit));
  report.sections.push_back(roofline_section(audit));
  return report;
}

Json audit_json(const AuditRun& run) {
  const Audit& audit = run.audit;
  Json stages = Json::array(), operations = Json::array(), live = Json::array();
  for (const AuditShare& stage : audit.stages) stages.push_back(json_of(stage));
  for (const OperationRecord& operation : audit.operations) {
    operations.push_back(json_of(operation));
  }
  for (const LiveTensors& one : audit.live) {
    live.push_back({{"component", one.component},
                    {"count", one.count},
                    {"least", one.least - audit.live_before},
                    {"most", one.most - audit.live_before},
                    {"peak_l1_bytes_per_core", one.peak_core_bytes},
                    {"peak_dram_bytes", one.peak_memory_bytes}});
  }
  return {{"network", run.subject.network},
          {"device", run.subject.device},
          {"device_card", run.subject.own_memory ? Json(run.subject.own_memory->of) : Json()},
          {"flops", audit.total.flops},
          {"flops_on_device_share", audit.total.flops_share()},
          {"operations_on_device_share", audit.total.operations_share()},
          {"stages", std::move(stages)},
          {"peak_l1_bytes_per_core", audit.peak_core_bytes},
          {"peak_circular_buffer_bytes", audit.peak_core_scratch_bytes},
          {"peak_dram_bytes", audit.peak_memory_bytes},
          {"live_tensors_before", audit.live_before},
          {"live_tensors_after", audit.live_after},
          {"live_tensors", std::move(live)},
          {"operations", std::move(operations)},
          {"roofline", json_of(audit)}};
}

}  // namespace pi0
