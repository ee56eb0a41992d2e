#include "verify/comparison_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"

namespace pi0 {
namespace {

constexpr std::size_t kWorstOperations = 5;

std::string pcc_text(double pcc) { return fixed_text(pcc, 6); }

// What a table calls a part: "gemma_layer 3", "projector". An expert layer's index counts layers
// and steps; its row is the layer's.
class RowNames {
 public:
  RowNames(const Comparison& comparison, int expert_depth) : expert_depth_(expert_depth) {
    for (const ComparedComponent& component : comparison.components()) {
      if (component.last.index > 0) numbered_.insert(component.last.component.name);
    }
  }

  std::string operator()(const ComparedOperation& operation) const {
    const std::string name = operation.component.name;
    switch (operation.component.index) {
      case Component::Index::kLayerOfStep:
        return fmt::format("{} {}", name, operation.index % expert_depth_);
      case Component::Index::kLayer:
        return numbered(operation) ? fmt::format("{} {}", name, operation.index) : name;
      default:
        return name;
    }
  }
  std::string with_step(const ComparedOperation& operation) const {
    const bool both = operation.component.index == Component::Index::kLayerOfStep;
    const bool has_step = both || operation.component.index == Component::Index::kStep;
    if (!has_step || !numbered(operation)) return (*this)(operation);
    const int step = both ? operation.index / expert_depth_ : operation.index;
    return fmt::format("{}, step {}", (*this)(operation), step);
  }

 private:
  bool numbered(const ComparedOperation& operation) const {
    return numbered_.count(operation.component.name) > 0;
  }

  int expert_depth_;
  std::set<std::string> numbered_;  // of which there is more than one
};

struct Row {
  std::string name;
  ComparedComponent component;
  int steps = 0;  // over which it is the worst
};

std::vector<Row> rows_of(const Comparison& comparison, const RowNames& row_name) {
  std::vector<Row> rows;
  for (const ComparedComponent& component : comparison.components()) {
    const std::string name = row_name(component.last);
    auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return r.name == name; });
    if (row == rows.end()) {
      rows.push_back({name, component, 1});
      continue;
    }
    ++row->steps;
    ComparedComponent& kept = row->component;
    if (component.last.difference.correlation < kept.last.difference.correlation) {
      kept.last = component.last;
    }
    if (component.worst.difference.correlation < kept.worst.difference.correlation) {
      kept.worst = component.worst;
    }
  }
  return rows;
}

ReportSection worst_operations(const Comparison& comparison, const RowNames& row_name) {
  std::multimap<double, ComparedOperation> worst;  // by correlation; equal ones in the call's order
  for (const ComparedComponent& component : comparison.components()) {
    worst.emplace(component.worst.difference.correlation, component.worst);
  }
  ReportSection section{"Worst operations, the worst first", {}, {}};
  section.table.columns = {"operation", "of", "shape", ">PCC", ">largest difference", ">magnitude"};
  for (const auto& [correlation, one] : worst) {
    if (section.table.rows.size() == kWorstOperations) break;
    section.table.rows.push_back({one.operation, row_name.with_step(one), shape_text(one.shape),
                                  pcc_text(correlation), scientific_text(one.difference.largest, 2),
                                  scientific_text(one.difference.magnitude, 2)});
  }
  return section;
}

}  // namespace

Report comparison_report(const ComparisonSubject& subject, const ModelConfig& config,
                         const Comparison& comparison) {
  Report report;
  report.title = "Comparison of " + subject.network;
  report.lines = {subject.devices.device, "against " + subject.devices.against};
  const RowNames row_name(comparison, config.expert.depth);
  report.sections.push_back(worst_operations(comparison, row_name));

  ReportSection parts{"Parts of the network, by their last operation", {}, {}};
  parts.table.columns = {"part",     ">PCC", ">largest difference", ">magnitude", "worst inside",
                         ">its PCC", ""};
  for (const Row& row : rows_of(comparison, row_name)) {
    const ComparedOperation& last = row.component.last;
    const ComparedOperation& worst = row.component.worst;
    const std::string name =
        row.steps > 1 ? fmt::format("{}, worst of {} steps", row.name, row.steps) : row.name;
    const bool passed = last.difference.correlation >= subject.pcc;
    const bool all = worst.difference.correlation >= subject.pcc;
    parts.table.rows.push_back({name, pcc_text(last.difference.correlation),
                                scientific_text(last.difference.largest, 2),
                                scientific_text(last.difference.magnitude, 2), worst.operation,
                                pcc_text(worst.difference.correlation),
                                !passed ? "DIFFERS"
                                : all   ? ""
                                        : "below inside"});
  }
  const bool passed = comparison.actions_pcc() >= subject.pcc;
  parts.table.rows.push_back({"actions - noise", pcc_text(comparison.actions_pcc()),
                              scientific_text(comparison.actions().largest, 2),
                              scientific_text(comparison.actions().magnitude, 2), "", "",
                              passed ? "" : "DIFFERS"});
  report.sections.push_back(std::move(parts));
  return report;
}

std::string comparison_verdict(const ComparisonSubject& subject, const ModelConfig& config,
                               const Comparison& comparison) {
  std::string verdict = fmt::format(
      "{}: PCC of the parts at least {}, of actions - noise {}, asked for {}\n",
      comparison.passed(subject.pcc) ? "the same" : "DIFFERENT", pcc_text(comparison.worst_pcc()),
      pcc_text(comparison.actions_pcc()), pcc_text(subject.pcc));
  int parts = 0;
  const ComparedOperation* worst = nullptr;
  for (const ComparedComponent& component : comparison.components()) {
    const double correlation = component.worst.difference.correlation;
    if (correlation >= subject.pcc || component.last.difference.correlation < subject.pcc) continue;
    ++parts;
    if (worst == nullptr || correlation < worst->difference.correlation) worst = &component.worst;
  }
  if (worst != nullptr) {
    verdict += fmt::format(
        "below it inside {}: {} of {} at {}\n",
        parts == 1 ? "a part that passed" : fmt::format("{} parts that passed, the worst", parts),
        worst->operation, RowNames(comparison, config.expert.depth).with_step(*worst),
        pcc_text(worst->difference.correlation));
  }
  return verdict;
}

Json comparison_json(const ComparisonSubject& subject, const Comparison& comparison) {
  Json components = Json::array();
  for (const ComparedComponent& component : comparison.components()) {
    const ComparedOperation& last = component.last;
    const ComparedOperation& worst = component.worst;
    components.push_back({{"component", last.component.name},
                          {"index", last.index},
                          {"operation", last.operation},
                          {"shape", last.shape},
                          {"pcc", last.difference.correlation},
                          {"largest_difference", last.difference.largest},
                          {"magnitude", last.difference.magnitude},
                          {"worst_operation", worst.operation},
                          {"worst_operation_pcc", worst.difference.correlation}});
  }
  return {{"network", subject.network},
          {"device", subject.devices.device},
          {"against", subject.devices.against},
          {"pcc", subject.pcc},
          {"passed", comparison.passed(subject.pcc)},
          {"worst_pcc", comparison.worst_pcc()},
          {"actions_pcc", comparison.actions_pcc()},
          {"actions_largest_difference", comparison.actions().largest},
          {"components", std::move(components)}};
}

}  // namespace pi0
