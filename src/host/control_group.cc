#include "host/control_group.h"

#include <fstream>
#include <sstream>

namespace pi0::cpu {
namespace {

namespace fs = std::filesystem;

// Of /proc/self/cgroup, whose lines are "4:cpu,cpuacct:/path", or "0::/path" of version 2, for
// which `controller` is empty; "/" where there is none.
std::string group_name(const fs::path& root, const std::string& controller) {
  std::ifstream file(root / "proc/self/cgroup");
  std::string controllers, name;
  while (std::getline(file, name, ':') && std::getline(file, controllers, ':') &&
         std::getline(file, name)) {
    std::istringstream list(controllers + ',');  // of nothing: one that is empty
    for (std::string one; std::getline(list, one, ',');) {
      if (one == controller) return name;
    }
  }
  return "/";
}

}  // namespace

std::vector<fs::path> control_groups(const fs::path& root, const std::string& controller) {
  std::vector<fs::path> groups;
  const fs::path top = root / "sys/fs/cgroup";
  for (const bool version_2 : {true, false}) {
    const fs::path hierarchy = version_2 ? top : top / controller;
    fs::path name = fs::path(group_name(root, version_2 ? "" : controller)).relative_path();
    for (; !name.empty(); name = name.parent_path()) groups.push_back(hierarchy / name);
    groups.push_back(hierarchy);
  }
  return groups;
}

}  // namespace pi0::cpu
