#include "runtime/devices.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "base/test_support.h"
#include "device/backend.h"

namespace pi0 {
namespace {

using Names = std::vector<std::string>;

TEST(DeviceNamesTest, AreTakenApart) {
  EXPECT_EQ(device_names("auto"), Names{"auto"});
  EXPECT_EQ(device_names("ttnn:1,hidden=dram"), Names{"ttnn:1,hidden=dram"});
  EXPECT_EQ(device_names("ttnn:0,ttnn:1"), (Names{"ttnn:0", "ttnn:1"}));
  EXPECT_EQ(device_names("ttnn,ttnn:1,ttnn:2,hidden=dram,norms=HiFi2"),
            (Names{"ttnn,hidden=dram,norms=HiFi2", "ttnn:1,hidden=dram,norms=HiFi2",
                   "ttnn:2,hidden=dram,norms=HiFi2"}));
  // What is wrong with one name is for its device to say.
  for (const char* const name : {"", ",", "ttnn,", "cpu,,", "ttnn,="}) {
    EXPECT_EQ(device_names(name), Names{name});
  }
  expect_error(ErrorCode::kUnsupported, {"ttnn:0,hidden=dram,ttnn:1", "ttnn:1 after a setting"},
               [] { device_names("ttnn:0,hidden=dram,ttnn:1"); });
  expect_error(ErrorCode::kUnsupported, {"cpu beside ttnn:0", "one kind"},
               [] { device_names("ttnn:0,cpu"); });
}

TEST(EachDeviceTest, HasItsShare) {
  const DeviceOptions both{
      .device = "cpu,cpu", .dtype = "int8", .affinity = {4, 5, 6, 7}, .memory_limit_bytes = 1000};
  const std::vector<DeviceOptions> each = each_device(both);
  ASSERT_EQ(each.size(), 2u);
  EXPECT_EQ(each[0].affinity, (std::vector{4, 5}));
  EXPECT_EQ(each[1].affinity, (std::vector{6, 7}));
  for (const DeviceOptions& device : each) {
    EXPECT_EQ(device.device, "cpu");
    EXPECT_EQ(device.dtype, "int8");
    EXPECT_EQ(device.memory_limit_bytes, 500u);
  }
  DeviceOptions least = both;
  least.memory_limit_bytes = 1;  // half of which must not be 0, for no limit
  EXPECT_EQ(each_device(least)[1].memory_limit_bytes, 1u);
  EXPECT_EQ(each_device({.device = "cpu,cpu"})[1].memory_limit_bytes, 0u);
  DeviceOptions odd = both;
  odd.affinity.pop_back();
  expect_error(ErrorCode::kInvalidInput, {"affinity", "3 cores for 2 devices"},
               [&] { each_device(odd); });
  EXPECT_EQ(each_device({.device = "cpu,hidden=dram"}).front().device, "cpu,hidden=dram");
}

std::vector<DeviceOptions> devices(std::size_t count) {
  return std::vector<DeviceOptions>(count, {.device = "cpu"});
}

TEST(ShareOutThreadsTest, EachCallIsComputedOnceAndToldBefore) {
  for (const std::size_t count : {1, 2, 3, 5}) {
    for (const std::size_t calls : {0, 1, 2, 3, 7, 40}) {
      std::mutex mutex;
      std::multiset<std::size_t> computed;
      std::map<std::size_t, std::thread::id> threads;
      std::map<std::size_t, std::optional<std::size_t>> told;
      share_out(calls, devices(count), [&](const SharedCall& shared) {
        const std::lock_guard lock(mutex);
        computed.insert(shared.call);
        // A device's calls are on one thread, each as it was told with the one before.
        EXPECT_EQ(threads.emplace(shared.device, std::this_thread::get_id()).first->second,
                  std::this_thread::get_id());
        const auto [before, first] = told.emplace(shared.device, shared.next);
        if (first) {
          EXPECT_EQ(shared.call, shared.device);
        } else {
          EXPECT_EQ(before->second, shared.call);
          before->second = shared.next;
        }
      });
      ASSERT_EQ(computed.size(), calls);
      for (std::size_t call = 0; call < calls; ++call) EXPECT_EQ(computed.count(call), 1u);
      EXPECT_EQ(threads.size(), std::min(count, calls));
      EXPECT_TRUE(calls == 0 || threads.at(0) == std::this_thread::get_id());
    }
  }
}

// Two wait for each other, which one after the other would do for ever.
TEST(ShareOutThreadsTest, IsSideBySide) {
  std::atomic<int> there = 0;
  share_out(2, devices(2), [&](const SharedCall&) {
    const auto late = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    ++there;
    while (there < 2 && std::chrono::steady_clock::now() < late) std::this_thread::yield();
    EXPECT_EQ(there, 2);
  });
}

// The other call is stopped on its way, and what it throws for that is not what comes out.
TEST(ShareOutThreadsTest, TheFirstFailureComesOut) {
  std::atomic<int> begun = 0;
  const auto fail = [&](const SharedCall& shared) {
    ++begun;
    while (begun < 2) std::this_thread::yield();
    if (shared.call == 1) throw std::runtime_error("call 1");
    for (;;) shared.stopped();
  };
  try {
    share_out(100, devices(2), fail);
    ADD_FAILURE();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "call 1");
  }
  EXPECT_EQ(begun, 2);
}

TEST(ShareOutThreadsTest, ThreadsRunWhereTheyAreTold) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  int core = 0;
  while (!CPU_ISSET(core, &allowed)) ++core;
  std::vector<DeviceOptions> two = devices(2);
  two[0].affinity = two[1].affinity = {core};
  share_out(2, two, [&](const SharedCall& shared) {
    cpu_set_t now;
    ASSERT_EQ(sched_getaffinity(0, sizeof now, &now), 0);
    if (shared.device == 0) {
      EXPECT_TRUE(CPU_EQUAL(&now, &allowed));  // the caller's own thread stays where it was
    } else {
      EXPECT_TRUE(CPU_COUNT(&now) == 1 && CPU_ISSET(core, &now));
    }
  });
  two[1].affinity = {CPU_SETSIZE};
  expect_error(ErrorCode::kInvalidInput, {"affinity", "core " + std::to_string(CPU_SETSIZE)},
               [&] { share_out(2, two, [](const SharedCall&) {}); });
}

}  // namespace
}  // namespace pi0
