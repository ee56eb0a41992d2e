#include "host/cores.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>

namespace pi0::cpu {
namespace {

namespace fs = std::filesystem;

// A root with files of its own; without any, a core is a core.
class CoresTest : public testing::Test {
 protected:
  CoresTest() { fs::remove_all(root_); }
  ~CoresTest() override { fs::remove_all(root_); }
  void put(const fs::path& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << '\n';
  }
  int cores() const { return usable_cores(root_); }
  static int allowed() {
    cpu_set_t set;
    CPU_ZERO(&set);
    EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    return CPU_COUNT(&set);
  }

 private:
  const fs::path root_ =
      fs::path(testing::TempDir()) / ("pi0_cores_test_" + std::to_string(getpid()));
};

TEST_F(CoresTest, OfThisMachine) {
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), allowed());
}

TEST_F(CoresTest, OneOfHardwareThreadsThatShareIt) {
  EXPECT_EQ(cores(), allowed());
  for (int cpu = 0; cpu < 1024; ++cpu) {
    put("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list",
        "0-1023");
  }
  EXPECT_EQ(cores(), 1);
}

TEST_F(CoresTest, OfAnAffinity) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu) {
      if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
    }
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(cores(), 1);
  }).join();
}

TEST_F(CoresTest, OfAControlGroupOfVersion2) {
  put("sys/fs/cgroup/cpu.max", "max 100000");
  EXPECT_EQ(cores(), allowed());
  put("sys/fs/cgroup/cpu.max", "100000 100000");
  EXPECT_EQ(cores(), 1);
  put("sys/fs/cgroup/cpu.max", "5000 100000");  // a twentieth of one
  EXPECT_EQ(cores(), 1);
  put("sys/fs/cgroup/cpu.max", "150000 100000");
  EXPECT_EQ(cores(), std::min(2, allowed()));
  put("sys/fs/cgroup/cpu.max", "9000000000000 1");
  EXPECT_EQ(cores(), allowed());
}

TEST_F(CoresTest, OfAControlGroupOfVersion1) {
  put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "50000");
  put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1");
  EXPECT_EQ(cores(), allowed());
  put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "40000");
  EXPECT_EQ(cores(), 1);
}

// A systemd unit with a CPUQuota, and a slice above it.
TEST_F(CoresTest, OfTheGroupsThatTheProcessIsIn) {
  put("proc/self/cgroup", "12:memory:/a\n4:cpu,cpuacct:/b/c\n0::/robot.slice/policy.service");
  put("sys/fs/cgroup/robot.slice/policy.service/cpu.max", "50000 100000");
  EXPECT_EQ(cores(), 1);
  put("sys/fs/cgroup/robot.slice/policy.service/cpu.max", "max 100000");
  EXPECT_EQ(cores(), allowed());
  put("sys/fs/cgroup/robot.slice/cpu.max", "50000 100000");
  EXPECT_EQ(cores(), 1);
  put("sys/fs/cgroup/robot.slice/cpu.max", "max 100000");
  put("sys/fs/cgroup/other.slice/cpu.max", "50000 100000");
  put("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000");
  put("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "50000");
  EXPECT_EQ(cores(), allowed());
  put("sys/fs/cgroup/cpu/b/cpu.cfs_period_us", "100000");
  put("sys/fs/cgroup/cpu/b/cpu.cfs_quota_us", "50000");
  EXPECT_EQ(cores(), 1);
}

TEST_F(CoresTest, OfFilesThatMakeNoSense) {
  for (const char* text : {"", "nonsense", "0 100000", "-5 100000", "100000", "100000 0"}) {
    put("sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(cores(), allowed()) << text;
  }
}

}  // namespace
}  // namespace pi0::cpu
