// How much memory there is, by files as Linux has them; what a network needs is tested with the
// devices and the policy.
#include "policy/memory.h"

#include <gtest/gtest.h>

#include <fstream>

#include "files/test_support.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

class AvailableMemoryTest : public testing::Test {
 protected:
  void put(const fs::path& path, const std::string& text) const {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  }
  TemporaryDirectory directory;
  fs::path root = directory / "root";
};

TEST_F(AvailableMemoryTest, OfThisMachine) {
  EXPECT_GT(available_memory(), 1u << 20);
  EXPECT_EQ(available_memory(root), std::nullopt);  // no file tells
}

TEST_F(AvailableMemoryTest, OfTheWholeMachine) {
  put("proc/meminfo",
      "MemTotal:       24000000 kB\nMemFree:         1000000 kB\nMemAvailable:   20000000 kB\n");
  EXPECT_EQ(available_memory(root), 20000000u * std::uint64_t{1024});
}

TEST_F(AvailableMemoryTest, OfTheGroupThatTheProcessIsIn) {
  put("proc/meminfo", "MemAvailable:   20000000 kB\n");
  put("proc/self/cgroup", "0::/robot.slice/policy.service\n");
  put("sys/fs/cgroup/robot.slice/policy.service/memory.max", "8000000000\n");
  put("sys/fs/cgroup/robot.slice/policy.service/memory.current", "1000000000\n");
  EXPECT_EQ(available_memory(root), 7000000000u);
  put("sys/fs/cgroup/robot.slice/memory.max", "9000000000\n");  // which another unit takes too
  put("sys/fs/cgroup/robot.slice/memory.current", "5000000000\n");
  EXPECT_EQ(available_memory(root), 4000000000u);
}

// A group's file pages give way: a checkpoint that was read once does not refuse the next start.
TEST_F(AvailableMemoryTest, OfAControlGroup) {
  put("proc/meminfo", "MemAvailable:   20000000 kB\n");
  put("sys/fs/cgroup/memory.max", "max\n");
  put("sys/fs/cgroup/memory.current", "11000000000\n");
  EXPECT_EQ(available_memory(root), 20000000u * std::uint64_t{1024});
  put("sys/fs/cgroup/memory.max", "12000000000\n");
  EXPECT_EQ(available_memory(root), 1000000000u);
  put("sys/fs/cgroup/memory.stat",
      "anon 1000000000\nfile 10000000000\ninactive_anon 7\nactive_anon 8\n"
      "inactive_file 8000000000\nactive_file 2000000000\n");
  EXPECT_EQ(available_memory(root), 11000000000u);
  put("sys/fs/cgroup/memory.max", "5\n");  // less than is in use
  EXPECT_EQ(available_memory(root), 0u);
}

TEST_F(AvailableMemoryTest, OfAControlGroupOfVersion1) {
  put("sys/fs/cgroup/memory/memory.limit_in_bytes", "6000000000\n");
  put("sys/fs/cgroup/memory/memory.usage_in_bytes", "5000000000\n");
  EXPECT_EQ(available_memory(root), 1000000000u);
  put("sys/fs/cgroup/memory/memory.stat",
      "cache 4000000000\nactive_file 1\ninactive_file 2\n"
      "total_inactive_file 3000000000\ntotal_active_file 500000000\n");
  EXPECT_EQ(available_memory(root), 4500000000u);
}

// A chunk's own size counts: a mistyped horizon is refused, and not met in the middle of a call.
TEST(MemoryNeedTest, OfAChunk) {
  Checkpoint checkpoint = open_checkpoint(fs::path(PI0_SOURCE_DIR) / "testdata/golden/pi0_tiny");
  const MemoryNeed before = memory_needs(checkpoint).back();
  checkpoint.model.action_horizon = 16'000'000;
  const MemoryNeed after = memory_needs(checkpoint).back();
  EXPECT_EQ(after.weight_bytes, before.weight_bytes);
  const std::uint64_t noise = std::uint64_t{4} * 16'000'000 * checkpoint.model.action_dim;
  EXPECT_GT(after.activation_bytes, before.activation_bytes + 2 * noise);
}

}  // namespace
}  // namespace pi0
