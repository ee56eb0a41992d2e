#include "host/cores.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "host/control_group.h"

namespace pi0::cpu {
namespace {

namespace fs = std::filesystem;

// By the calling thread's affinity.
int allowed_cores(const fs::path& root) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
    return static_cast<int>(std::thread::hardware_concurrency());
  }
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    std::ifstream file(root / "sys/devices/system/cpu" / ("cpu" + std::to_string(cpu)) /
                       "topology/thread_siblings_list");
    std::string siblings;
    cores.insert(std::getline(file, siblings) ? siblings : std::to_string(cpu));
  }
  return static_cast<int>(cores.size());
}

// What the control groups pay for, in whole cores; 0 where none sets a limit.
int quota_cores(const fs::path& root) {
  double least = 0;
  for (const fs::path& group : control_groups(root, "cpu")) {
    double quota = 0, period = 0;
    std::ifstream both(group / "cpu.max");  // "max 100000" where there is no limit
    if (!(both >> quota >> period)) {
      std::ifstream(group / "cpu.cfs_quota_us") >> quota;  // -1 where there is none
      std::ifstream(group / "cpu.cfs_period_us") >> period;
    }
    if (!(quota > 0 && period > 0)) continue;
    const double cores = std::ceil(std::min(quota / period, 1e6));
    least = least == 0 ? cores : std::min(least, cores);
  }
  return static_cast<int>(least);
}

}  // namespace

int usable_cores(const fs::path& root) {
  const int allowed = allowed_cores(root), quota = quota_cores(root);
  return std::max(1, quota > 0 ? std::min(allowed, quota) : allowed);
}

}  // namespace pi0::cpu
