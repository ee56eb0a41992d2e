// What ran where: the operations of a warm call, and what they add up to.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "device/backend.h"
#include "device/operations.h"
#include "profile/roofline.h"
#include "runtime/random_input.h"

namespace pi0 {

// Of a stage, or of a call. Operations are those that compute or move data on one side: transfers,
// frees and views are not among them.
struct AuditShare {
  std::string name;
  std::int64_t operations = 0;
  std::int64_t on_device = 0;
  double flops = 0;
  double flops_on_device = 0;
  std::int64_t bytes = 0;

  double operations_share() const {
    return operations == 0 ? 1 : static_cast<double>(on_device) / static_cast<double>(operations);
  }
  double flops_share() const { return flops == 0 ? 1 : flops_on_device / flops; }
};

// Tensors alive after each layer or step of a part of the network, and its fullest moment.
struct LiveTensors {
  std::string component;
  std::int64_t count = 0;  // layers or steps
  std::int64_t least = 0;
  std::int64_t most = 0;
  std::int64_t peak_memory_bytes = 0;
  std::int64_t peak_core_bytes = 0;  // tensors and circular buffers
};

struct Audit {
  std::vector<OperationRecord> operations;  // of the call, in order, frees included
  std::int64_t live_before = 0;             // tensors

  std::vector<AuditShare> stages;  // that have operations, in order
  AuditShare total;
  std::int64_t peak_core_bytes = 0;  // tensors and circular buffers
  std::int64_t peak_core_scratch_bytes = 0;
  std::int64_t peak_memory_bytes = 0;
  std::vector<LiveTensors> live;
  std::int64_t live_after = 0;  // those alive after the call less those before it
  Roofline roofline;
};

// What the records of a call add up to; the roofline is of `machine`.
Audit summarise(std::vector<OperationRecord> operations, std::int64_t live_before,
                const CostModel& machine);

struct AuditSubject {
  std::string network;                  // "pi0, 3 cameras, 48 tokens, 10 steps"
  std::string device;                   // which, and why
  std::optional<OwnMemory> own_memory;  // of that device; without one it has the host's
  std::vector<SettingTable> settings;   // of that device
};

// Prepares the network on a device and calls it twice: the second call is audited.
// `request.log` is not looked at. `machine`: whose roofline; empty: the device's own, else the
// first that can be modelled.
struct AuditRun {
  AuditSubject subject;
  Audit audit;
};
AuditRun run_audit(const CheckpointData& checkpoint, const NetworkCall& call, DeviceRequest request,
                   const std::string& machine,
                   const std::function<void(const Progress&)>& progress);

// FLOPs of one call by stage, counted from the operations of device.h; nothing is computed.
std::vector<AuditShare> count_flops(const ModelConfig& config, const NetworkCall& call);

}  // namespace pi0
