// The control groups of this process: what a container, or a systemd unit, may take.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace pi0::cpu {

// The folders under `root`/sys/fs/cgroup of the group that this process is in and of those above
// it, whose limits hold too, the root of the hierarchy last; of version 2, or of version 1's
// `controller` ("cpu", "memory"). In a container the group's own files are often at that root,
// whatever name it has outside.
std::vector<std::filesystem::path> control_groups(const std::filesystem::path& root,
                                                  const std::string& controller);

}  // namespace pi0::cpu
