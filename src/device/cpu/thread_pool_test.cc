// The pool of threads; `make threads` runs this under the thread sanitizer.
#include "device/cpu/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "pi0/error.h"

namespace pi0::cpu {
namespace {

#if defined(__clang__)
constexpr bool kThreadSanitizer = __has_feature(thread_sanitizer);
constexpr bool kAddressSanitizer = __has_feature(address_sanitizer);
#else  // the presets sanitize with clang
constexpr bool kThreadSanitizer = false, kAddressSanitizer = false;
#endif

// How often each item was done; plain numbers, so that a second thread on one is a race.
void expect_each_once(ThreadPool& pool, std::int64_t count) {
  std::vector<int> done(static_cast<std::size_t>(count));
  std::atomic<bool> wrong_thread = false;
  pool.run(count, [&](std::int64_t item, int thread) {
    ++done[static_cast<std::size_t>(item)];
    if (thread < 0 || thread >= pool.size()) wrong_thread = true;
  });
  for (std::size_t i = 0; i < done.size(); ++i) ASSERT_EQ(done[i], 1) << i << " of " << count;
  EXPECT_FALSE(wrong_thread);
}

TEST(PoolThreads, DoEachItemOnce) {
  for (const int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (const std::int64_t count : {0, 1, 2, 3, 8, 1000}) expect_each_once(pool, count);
  }
}

TEST(PoolThreads, DoManyRounds) {
  ThreadPool pool(3);
  std::vector<std::int64_t> sums(5);
  for (int round = 0; round < 3000; ++round) {
    pool.run(5, [&](std::int64_t item, int) { sums[static_cast<std::size_t>(item)] += round; });
  }
  for (const std::int64_t sum : sums) EXPECT_EQ(sum, 3000 * 2999 / 2);
}

// Workers sleep when nothing comes for a while, and wake up.
TEST(PoolThreads, WakeUp) {
  ThreadPool pool(3);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    expect_each_once(pool, 100);
  }
}

// The numbers of threads that are at work at one time differ: each has memory of its own.
TEST(PoolThreads, AreNumberedApart) {
  ThreadPool pool(3);
  std::vector<int> own(3);
  for (int round = 0; round < 300; ++round) {
    pool.run(12, [&](std::int64_t, int thread) { ++own[static_cast<std::size_t>(thread)]; });
  }
  EXPECT_EQ(own[0] + own[1] + own[2], 300 * 12);
}

// Two callers, as two networks of a process are: one has the pool, the other does its work alone.
TEST(PoolThreads, ServeTwoCallers) {
  const std::shared_ptr<ThreadPool> pool = ThreadPool::of_size(3);
  const auto work = [&] {
    for (int round = 0; round < 500; ++round) expect_each_once(*pool, 9);
  };
  std::thread other(work);
  work();
  other.join();
}

TEST(PoolThreads, ACallerDoesItsOwnWhileThePoolIsBusy) {
  ThreadPool pool(2);
  std::atomic<bool> begun = false, over = false;
  std::thread other([&] {
    pool.run(2, [&](std::int64_t, int) {
      begun = true;
      while (!over) std::this_thread::yield();
    });
  });
  while (!begun) std::this_thread::yield();
  const auto here = std::this_thread::get_id();
  std::int64_t items = 0;
  pool.run(100, [&](std::int64_t, int thread) {
    EXPECT_EQ(std::this_thread::get_id(), here);
    EXPECT_EQ(thread, 0);
    ++items;
  });
  EXPECT_EQ(items, 100);
  over = true;
  other.join();
}

// Work that asks for the pool that it is done by: its caller does that alone.
TEST(PoolThreads, WorkWithinWork) {
  ThreadPool pool(3);
  std::atomic<int> done = 0;
  for (int round = 0; round < 100; ++round) {
    pool.run(4, [&](std::int64_t, int) { pool.run(5, [&](std::int64_t, int) { ++done; }); });
  }
  EXPECT_EQ(done, 100 * 4 * 5);
}

TEST(PoolThreads, OnePoolOfASize) {
  const std::shared_ptr<ThreadPool> two = ThreadPool::of_size(2), three = ThreadPool::of_size(3);
  EXPECT_EQ(two, ThreadPool::of_size(2));
  EXPECT_NE(two, three);
  EXPECT_EQ(three->size(), 3);
}

TEST(PoolThreads, GoWithThePool) {
  for (int i = 0; i < 50; ++i) {
    ThreadPool pool(4);
    if (i % 2 == 0) expect_each_once(pool, 10);
  }
}

// Whoever throws, the caller hears of it, when no thread is at work any more; then the pool serves
// on.
TEST(PoolThreads, PassOnWhatIsThrown) {
  ThreadPool pool(3);
  const auto caller = std::this_thread::get_id();
  for (int round = 0; round < 200; ++round) {
    const bool by_caller = round % 2 == 0;
    std::atomic<int> at_work = 0;
    std::atomic<bool> thrown = false;
    const auto work = [&](std::int64_t, int) {
      ++at_work;
      if ((std::this_thread::get_id() == caller) == by_caller) {
        thrown = true;
        --at_work;
        throw std::runtime_error("no room");
      }
      while (!thrown) std::this_thread::yield();  // so that each kind has its turn
      --at_work;
    };
    EXPECT_THROW(pool.run(100, work), std::runtime_error);
    EXPECT_EQ(at_work, 0);
    expect_each_once(pool, 9);
  }
  EXPECT_THROW(pool.run(1, [](std::int64_t, int) { throw std::bad_alloc(); }), std::bad_alloc);
  expect_each_once(pool, 9);
}

int exit_status_of_child(const std::function<bool()>& succeeds) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(succeeds() ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

// A child has no thread but the one that forked; what it was given computes all the same.
TEST(PoolThreads, AForkedChildGoesOnAlone) {
  if (kThreadSanitizer) {
    GTEST_SKIP() << "NOT RUN: the thread sanitizer does not follow a fork of several threads";
  }
  auto pool = std::make_unique<ThreadPool>(3);
  const std::shared_ptr<ThreadPool> shared = ThreadPool::of_size(2);
  expect_each_once(*pool, 9);
  EXPECT_EQ(exit_status_of_child([&] {
              int items = 0;
              const auto caller = std::this_thread::get_id();
              bool here = true;
              pool->run(100, [&](std::int64_t, int thread) {
                ++items;
                here = here && thread == 0 && std::this_thread::get_id() == caller;
              });
              pool.reset();
              return items == 100 && here && ThreadPool::of_size(2) != shared;
            }),
            0);
  expect_each_once(*pool, 9);
}

// More threads than the system starts: a refusal, and none is left.
TEST(PoolThreads, AreRefusedWhereTheyDoNotStart) {
  if (kThreadSanitizer || kAddressSanitizer) {
    GTEST_SKIP() << "NOT RUN: sanitizers need more memory than this limit leaves";
  }
  EXPECT_EQ(exit_status_of_child([] {
              const rlimit limit{std::size_t{200} << 20, std::size_t{200} << 20};
              if (setrlimit(RLIMIT_AS, &limit) != 0) return false;
              try {
                ThreadPool pool(10000);
              } catch (const Error& error) {
                const std::string text = error.what();
                return error.code() == ErrorCode::kUnsupported &&
                       text.find("10000 threads: the system starts ") == 0;
              }
              return false;
            }),
            0);
}

}  // namespace
}  // namespace pi0::cpu
