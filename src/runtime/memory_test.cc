// How much memory there is, by files as Linux has them; what a network needs is tested with the
// devices and the policy.
#include "runtime/memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>

#include "base/test_support.h"
#include "device/registry/registry.h"
#include "runtime/session.h"

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

CheckpointData golden(const char* name) {
  return open_checkpoint(fs::path(PI0_SOURCE_DIR) / "testdata/golden" / name);
}

// A chunk's own size counts: a mistyped horizon is refused, and not met in the middle of a call.
TEST(MemoryNeedTest, OfAChunk) {
  CheckpointData checkpoint = golden("pi0_tiny");
  const MemoryNeed before = memory_need(checkpoint, {});
  checkpoint.model.action_horizon = 16'000'000;
  const MemoryNeed after = memory_need(checkpoint, {});
  EXPECT_EQ(after.weight_bytes, before.weight_bytes);
  const std::uint64_t noise = std::uint64_t{4} * 16'000'000 * checkpoint.model.action_dim;
  EXPECT_GT(after.activation_bytes, before.activation_bytes + 2 * noise);
}

// Nor a prompt as long as that tried, in memory that is then refused.
TEST(MemoryNeedTest, OfAPrompt) {
  CheckpointData checkpoint = golden("pi0_tiny");
  checkpoint.model.max_tokens = 20'000'000;
  const Holding cpu = open_device({.name = "cpu"}).holding;
  const auto most_resident = [] {  // KiB
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const auto before = most_resident();
  const MemoryNeed need = memory_need(checkpoint, cpu);
  const auto rows = std::uint64_t{20'000'000};
  EXPECT_GT(need.activation_bytes, 4 * rows * checkpoint.model.language.width);
  EXPECT_LT(most_resident() - before, 100 << 10);
}

// The tensor that is being merged is held beside those that are being prepared.
TEST(MemoryNeedTest, OfAdapters) {
  const Holding cpu = open_device({.name = "cpu"}).holding;
  const MemoryNeed base = memory_need(golden("pi0_tiny"), cpu);
  const MemoryNeed adapted = memory_need(golden("../adapters/lerobot_default"), cpu);
  EXPECT_EQ(adapted.total(), base.total());
  EXPECT_EQ(adapted.host_bytes, base.host_bytes + std::uint64_t{4} * 64 * 3 * 14 * 14);
}

// What is said is what is allocated then, to the byte.
class MemoryOfDevice : public testing::TestWithParam<const char*> {};

void expect_as_said(const CheckpointData& checkpoint, const char* name) {
  OpenDevice opened = open_device({.name = name});
  const MemoryNeed need = memory_need(checkpoint, opened.holding);
  Pi0 model(checkpoint.model, checkpoint.weights, std::move(opened.device), {});
  const std::int64_t loaded = model.device().memory().bytes;
  EXPECT_GT(loaded, 0);
  EXPECT_EQ(need.weight_bytes, static_cast<std::uint64_t>(loaded));
  const ModelConfig& config = checkpoint.model;
  Pi0Input input;
  input.cameras = config.num_cameras;
  input.images.resize(static_cast<std::size_t>(config.num_cameras) * config.image_size *
                      config.image_size * 3);
  input.tokens.resize(static_cast<std::size_t>(config.max_tokens));
  if (config.kind == ModelKind::kPi0) {
    input.state.resize(static_cast<std::size_t>(config.state_dim));
  }
  input.noise.resize(static_cast<std::size_t>(config.action_horizon) * config.action_dim);
  input.steps = config.num_steps;
  Pi0Session session(model);
  for (int call = 0; call < 4; ++call) session.sample_actions(input);
  EXPECT_EQ(need.activation_bytes,
            static_cast<std::uint64_t>(model.device().memory().peak_bytes - loaded));
}

TEST_P(MemoryOfDevice, IsWhatWasSaid) {
  for (const char* const name : {"pi0_tiny", "pi05_tiny"}) expect_as_said(golden(name), GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, MemoryOfDevice,
                         testing::Values("cpu", "cpu:int8", "cpu:fp32", "ttnn-emulated",
                                         "ttnn-emulated:p150", "ttnn-emulated,projections=float32"),
                         [](const auto& info) { return std::to_string(info.index); });

// A device as one of so many bytes would be.
OpenDevice with_memory(const char* name, std::int64_t bytes, bool on_host) {
  OpenDevice opened = open_device({.name = name});
  opened.holding.own_memory->bytes = bytes;
  opened.holding.on_host = on_host;
  return opened;
}

TEST(MemoryNeedTest, ACardThatIsTooSmallIsRefused) {
  const CheckpointData checkpoint = golden("pi0_tiny");
  const char* const bfp8 = "ttnn-emulated,projections=bfloat8_b";
  const char* const fp32 = "ttnn-emulated,projections=float32";
  constexpr std::int64_t kMuch = std::int64_t{1} << 33;
  require_memory(checkpoint, with_memory(bfp8, kMuch, false), 0);
  expect_error(ErrorCode::kOutOfMemory, {"pi0_tiny", "the card (n150)", "bfloat8_b", "more memory"},
               [&] { require_memory(checkpoint, with_memory(bfp8, 1 << 16, false), 0); });
  // One that would do in bfloat8_b, but not in the precision that was chosen.
  const MemoryNeed need = memory_need(checkpoint, open_device({.name = bfp8}).holding);
  const auto enough = static_cast<std::int64_t>(need.total()) + (1 << 16);
  require_memory(checkpoint, with_memory(bfp8, enough, false), 0);
  expect_error(ErrorCode::kOutOfMemory, {"float32", "projections=bfloat8_b"},
               [&] { require_memory(checkpoint, with_memory(fp32, enough, false), 0); });
  // A card's memory is not the host's; an emulated card's is.
  const OpenDevice card = with_memory(bfp8, kMuch, false);
  const std::uint64_t little = memory_need(checkpoint, card.holding).host_bytes;
  require_memory(checkpoint, card, little);
  expect_error(ErrorCode::kOutOfMemory, {"ttnn-emulated", "allowed"},
               [&] { require_memory(checkpoint, with_memory(bfp8, kMuch, true), little); });
}

}  // namespace
}  // namespace pi0
