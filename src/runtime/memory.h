// What a device would take of its memory, and what there is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "device/backend.h"

namespace pi0 {

// What loading and running would hold at its peak.
struct MemoryNeed {
  std::string dtype;                   // of the weights, as held
  std::uint64_t weight_bytes = 0;      // computed with; the embedding table stays in its file
  std::uint64_t activation_bytes = 0;  // one call, all cameras, the longest prompt
  std::uint64_t host_bytes = 0;        // of the host's memory
  std::uint64_t total() const { return weight_bytes + activation_bytes; }
};
// As the device's own code has it: it is asked for the weights' shapes and for two calls, computes
// nothing, and says what it would have allocated. Of a device whose weights stay in their file,
// activations are reckoned up.
MemoryNeed memory_need(const CheckpointData& checkpoint, const Holding& holding);

// What this process may still take: the machine's available memory, or less where a control group
// or a limit of the process says so. What only caches files counts as available. None where the
// system does not tell. `root`: where /proc and /sys are; for tests.
std::optional<std::uint64_t> available_memory(const std::filesystem::path& root = "/");

// Throws Error (kOutOfMemory) when a device needs more of the host than `limit` bytes (0:
// available_memory()), or more of its own memory than it has.
void require_memory(const CheckpointData& checkpoint, const OpenDevice& opened,
                    std::uint64_t limit);

}  // namespace pi0
