// What a device would take of its memory, and what there is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "device/ttnn/policies.h"
#include "policy/devices.h"

namespace pi0 {

// What loading and running would hold at its peak, by device.
struct MemoryNeed {
  std::string device;
  std::string dtype;                   // of the weights, as held
  std::uint64_t weight_bytes = 0;      // computed with; the embedding table stays in its file
  std::uint64_t activation_bytes = 0;  // one call, all cameras, the longest prompt
  std::uint64_t host_bytes = 0;        // of the host's memory, where the above is a card's
  std::uint64_t total() const { return weight_bytes + activation_bytes; }
};
// `policies`: of the cards, which say how weights are held there; else the default ones.
// `cpu_type`: the same of the CPU device.
std::vector<MemoryNeed> memory_needs(const Checkpoint& checkpoint,
                                     const std::optional<Policies>& policies = {},
                                     CpuType cpu_type = CpuType::kBf16);

// What this process may still take: the machine's available memory, or less where a control group
// or a limit of the process says so. What only caches files counts as available. None where the
// system does not tell. `root`: where /proc and /sys are; for tests.
std::optional<std::uint64_t> available_memory(const std::filesystem::path& root = "/");

// Throws Error (kOutOfMemory) when a device needs more of the host than `limit` bytes (0:
// available_memory()), or more of its card than that has.
void require_memory(const Checkpoint& checkpoint, const ChosenDevice& chosen, std::uint64_t limit);

}  // namespace pi0
