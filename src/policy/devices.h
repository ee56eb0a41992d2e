// Choosing a device by name, and what it would take.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "device/device.h"
#include "pi0/device.h"

namespace pi0 {

struct ChosenDevice {
  std::unique_ptr<Device> device;
  std::string description;  // its name, and why it: "reference (named)"
};

// Throws Error (kUnsupported) when there is no such device here, naming those there are.
ChosenDevice choose_device(const std::string& name);

// What loading and running would hold in memory at its peak, by device.
struct MemoryNeed {
  std::string device;
  std::string dtype;                   // of the weights, as held
  std::uint64_t weight_bytes = 0;      // computed with; the embedding table stays in its file
  std::uint64_t activation_bytes = 0;  // one call, all cameras, the longest prompt
  std::uint64_t total() const { return weight_bytes + activation_bytes; }
};
std::vector<MemoryNeed> memory_needs(const Checkpoint& checkpoint);

// What this process may still take: the machine's available memory, or less where a control group
// or a limit of the process says so. 0 where the system does not tell.
std::uint64_t available_memory();

// Throws Error (kOutOfMemory) when `device` needs more than `limit` bytes (0: available_memory()).
void require_memory(const Checkpoint& checkpoint, const std::string& device, std::uint64_t limit);

}  // namespace pi0
