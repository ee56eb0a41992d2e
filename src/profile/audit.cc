#include "profile/audit.h"

#include <algorithm>
#include <utility>

#include "device/registry/registry.h"
#include "model/random_weights.h"
#include "pi0/error.h"
#include "runtime/loaded_network.h"
#include "runtime/memory.h"
#include "runtime/random_input.h"

namespace pi0 {
namespace {

// Keeps what is recorded from begin() on.
class CallLog final : public OperationLog {
 public:
  void mark(const Component& component, int index) override {
    component_ = component;
    index_ = index;
  }
  void record(OperationRecord operation) override {
    live_ = operation.live_tensors;
    if (!recording_) return;
    operation.component = component_;
    operation.index = index_;
    operations_.push_back(std::move(operation));
  }

  void begin() {
    recording_ = true;
    live_before_ = live_;
  }
  std::vector<OperationRecord> take() {
    recording_ = false;
    return std::move(operations_);
  }
  std::int64_t live_before() const { return live_before_; }

 private:
  bool recording_ = false;
  Component component_;
  int index_ = 0;
  std::int64_t live_ = 0;
  std::int64_t live_before_ = 0;
  std::vector<OperationRecord> operations_;
};

void add(const OperationRecord& operation, AuditShare& share) {
  const bool on_device = operation.where == Where::kDevice;
  ++share.operations;
  share.on_device += on_device ? 1 : 0;
  share.flops += operation.flops;
  share.flops_on_device += on_device ? operation.flops : 0;
  share.bytes += operation.bytes;
}

AuditShare& stage_named(const std::string& name, std::vector<AuditShare>& stages) {
  for (AuditShare& stage : stages) {
    if (stage.name == name) return stage;
  }
  stages.push_back({});
  stages.back().name = name;
  return stages.back();
}

std::vector<LiveTensors> live_tensors(const std::vector<OperationRecord>& operations) {
  std::vector<LiveTensors> live;
  std::int64_t dram = 0, l1 = 0;  // the most since the present layer began
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const OperationRecord& last = operations[i];
    dram = std::max(dram, last.memory_bytes);
    l1 = std::max(l1, last.core_bytes + last.core_scratch_bytes);
    const bool ends = i + 1 == operations.size() || operations[i + 1].component != last.component ||
                      operations[i + 1].index != last.index;
    if (!ends) continue;
    const std::int64_t layer_dram = std::exchange(dram, 0), layer_l1 = std::exchange(l1, 0);
    if (last.component == Component{}) continue;
    auto found = std::find_if(live.begin(), live.end(), [&](const LiveTensors& one) {
      return one.component == last.component.name;
    });
    if (found == live.end()) {
      found =
          live.insert(found, {last.component.name, 0, last.live_tensors, last.live_tensors, 0, 0});
    }
    ++found->count;
    found->least = std::min(found->least, last.live_tensors);
    found->most = std::max(found->most, last.live_tensors);
    found->peak_memory_bytes = std::max(found->peak_memory_bytes, layer_dram);
    found->peak_core_bytes = std::max(found->peak_core_bytes, layer_l1);
  }
  return live;
}

}  // namespace

Audit summarise(std::vector<OperationRecord> operations, std::int64_t live_before,
                const CostModel& machine) {
  Audit audit;
  audit.live_before = live_before;
  audit.total.name = "call";
  for (const OperationRecord& operation : operations) {
    audit.peak_memory_bytes = std::max(audit.peak_memory_bytes, operation.memory_bytes);
    audit.peak_core_scratch_bytes =
        std::max(audit.peak_core_scratch_bytes, operation.core_scratch_bytes);
    audit.peak_core_bytes =
        std::max(audit.peak_core_bytes, operation.core_bytes + operation.core_scratch_bytes);
    if (operation.where == Where::kTransfer || !does_work(operation)) continue;
    add(operation, stage_named(operation.component.stage, audit.stages));
    add(operation, audit.total);
  }
  audit.live = live_tensors(operations);
  audit.live_after =
      (operations.empty() ? live_before : operations.back().live_tensors) - live_before;
  audit.roofline = roofline(machine, operations);
  audit.operations = std::move(operations);
  return audit;
}

AuditRun run_audit(const CheckpointData& checkpoint, const NetworkCall& call, DeviceRequest request,
                   const std::string& machine,
                   const std::function<void(const Progress&)>& progress) {
  CallLog log;
  request.log = &log;
  OpenDevice opened = open_device(request);
  if (request.arithmetic) require_memory(checkpoint, opened, 0);
  AuditRun result;
  result.subject.device = opened.description;
  result.subject.own_memory = opened.holding.own_memory;
  result.subject.settings = opened.settings;
  result.subject.network = network_name(checkpoint.model) + ", " + describe(checkpoint.model, call);
  const std::string of = !machine.empty()            ? machine
                         : result.subject.own_memory ? result.subject.own_memory->of
                                                     : modelled_machines().front();
  const std::unique_ptr<CostModel> model = cost_model(of);
  if (model == nullptr) throw Error(ErrorCode::kUnsupported, of + ": no roofline is known of it");
  const Network network = load_network(checkpoint, std::move(opened), progress);
  SampleOptions options = call.options;
  options.progress = progress;
  network.sample_actions(call.input, options);
  log.begin();
  network.sample_actions(call.input, options);
  result.audit = summarise(log.take(), log.live_before(), *model);
  return result;
}

std::vector<AuditShare> count_flops(const ModelConfig& config, const NetworkCall& call) {
  CheckpointData checkpoint;
  checkpoint.model = config;
  checkpoint.weights = make_weight_shapes(config);
  DeviceRequest request;
  request.name = "reference";
  request.arithmetic = false;
  return run_audit(checkpoint, call, request, {}, {}).audit.stages;
}

}  // namespace pi0
