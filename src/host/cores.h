// How many threads are worth having.
#pragma once

#include <filesystem>

namespace pi0::cpu {

// Cores that the calling thread, and those that it starts, may use: at least 1, and no more than
// the control groups' quotas pay for (a container's `--cpus`, systemd's CPUQuota). A core's second
// hardware thread does not count, since it shares the units that the kernels fill. `root`: where
// /sys is; for tests.
int usable_cores(const std::filesystem::path& root = "/");

}  // namespace pi0::cpu
