// The pool of threads; `make threads` runs this under the thread sanitizer.
#include "host/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <new>
#include <optional>
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

// What it says.
template <typename Call>
std::string refusal(ErrorCode code, const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "not refused";
  return "";
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

// Yields until it is so, for a while: work may be its caller's alone.
template <typename Condition>
bool soon(const Condition& is_so) {
  const auto late = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
  while (!is_so() && std::chrono::steady_clock::now() < late) std::this_thread::yield();
  return is_so();
}

// Of the workers, once there was a round in which all threads did an item at the same time.
std::vector<pthread_t> workers_of(ThreadPool& pool) {
  std::vector<pthread_t> threads(static_cast<std::size_t>(pool.size()));
  std::atomic<int> here = 0;
  while (here < pool.size()) {
    here = 0;
    pool.run(pool.size(), [&](std::int64_t, int thread) {
      threads[static_cast<std::size_t>(thread)] = pthread_self();
      ++here;
      if (!soon([&] { return here >= pool.size(); })) here = -pool.size();  // again
    });
  }
  threads.erase(threads.begin());
  return threads;
}

// Keeps a thread from running, as a busy machine does, from starve() to the end.
class Starving {
 public:
  Starving() {
    struct sigaction action {};
    action.sa_handler = [](int) {
      ++starved_;
      while (starving_) {
      }
      --starved_;
    };
    sigaction(SIGUSR1, &action, &before_);
    starving_ = true;
  }
  ~Starving() {
    starving_ = false;
    while (starved_ != 0) std::this_thread::yield();
    sigaction(SIGUSR1, &before_, nullptr);
  }
  static void starve(pthread_t thread) {
    const int before = starved_;
    pthread_kill(thread, SIGUSR1);
    while (starved_ == before) std::this_thread::yield();
  }

 private:
  struct sigaction before_ {};
  static inline std::atomic<bool> starving_ = false;
  static inline std::atomic<int> starved_ = 0;
};

// On a machine whose cores others want, a worker may not run for long: work goes on without it.
TEST(PoolThreads, WorkDoesNotWaitForAThreadThatDoesNotRun) {
  if (kThreadSanitizer) {
    GTEST_SKIP() << "NOT RUN: the thread sanitizer holds a signal back, which starves the worker";
  }
  EXPECT_EQ(exit_status_of_child([] {  // which ends by itself where the work waits for ever
              ThreadPool pool(3);
              const std::vector<pthread_t> workers = workers_of(pool);
              std::atomic<bool> others_help = false;
              {
                const Starving starving;
                starving.starve(workers[0]);
                for (int round = 0; round < 1000 || !others_help; ++round) {
                  std::atomic<int> done = 0;
                  pool.run(20, [&](std::int64_t, int thread) {
                    ++done;
                    if (thread == 1) std::abort();
                    if (thread == 2) others_help = true;
                  });
                  if (done != 20) return false;
                }
                starving.starve(workers[1]);
                std::atomic<int> done = 0;
                pool.run(20, [&](std::int64_t, int thread) { done += thread == 0 ? 1 : 100; });
                if (done != 20) return false;
              }
              return workers_of(pool).size() == 2;  // which waits for all three
            }),
            0);
}

// One item for each of two threads, at the same time; the worker's goes on long after the caller's,
// as one does whose thread loses its core.
void stall(ThreadPool& pool) {
  std::atomic<int> here = 0;
  pool.run(2, [&](std::int64_t, int thread) {
    ++here;
    soon([&] { return here == 2; });
    if (thread != 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  });
}

// After stalls short work is its caller's alone, though the worker has nothing else to do; long
// work is shared. On a busy machine a stall may not come off, or the worker be late: once is
// enough.
TEST(PoolThreads, ShareOnlyLongWorkAfterStalls) {
  ThreadPool pool(2);
  const auto helped = [&](auto duration) {  // whether the worker did any of eight items
    std::atomic<bool> helped = false;
    pool.run(8, [&](std::int64_t, int thread) {
      if (thread != 0) helped = true;
      std::this_thread::sleep_for(duration);
    });
    return helped.load();
  };
  for (int in_a_row = 0, round = 0; in_a_row < 3; ++round) {
    ASSERT_LT(round, 400) << "never three times in a row";
    for (int i = 0; i < 3; ++i) stall(pool);
    const bool alone = !helped(std::chrono::microseconds(100));
    in_a_row = alone && helped(std::chrono::milliseconds(3)) ? in_a_row + 1 : 0;
  }
}

// Who comes late to a round, or sleeps in it, does no item twice and none of another round.
TEST(PoolThreads, MayComeAndStopAtAnyTime) {
  ThreadPool pool(4);
  for (int round = 0; round < 2000; ++round) {
    std::vector<int> done(static_cast<std::size_t>(round % 7 + 2));
    pool.run(static_cast<std::int64_t>(done.size()), [&](std::int64_t item, int thread) {
      if ((round + thread) % 5 == 0) std::this_thread::sleep_for(std::chrono::microseconds(30));
      done[static_cast<std::size_t>(item)] += round + 1;
    });
    for (const int times : done) ASSERT_EQ(times, round + 1);
  }
}

TEST(PoolThreads, OfTheHostComeAndGo) {
  const std::shared_ptr<ThreadPool> pool = ThreadPool::of_lent(3);
  EXPECT_EQ(pool->size(), 3);
  expect_each_once(*pool, 50);  // by the caller alone
  for (int time = 0; time < 3; ++time) {
    std::atomic<bool> one_left = false;
    std::jthread one([&](const std::stop_token& stop) {
      pool->lend(stop);
      one_left = true;
    });
    std::jthread two([&](const std::stop_token& stop) { pool->lend(stop); });
    EXPECT_EQ(workers_of(*pool).size(), 2u);  // both compute
    const std::string text = refusal(ErrorCode::kInvalidInput, [&] { pool->lend({}); });
    EXPECT_NE(text.find("3 threads compute at most"), std::string::npos) << text;
    for (int round = 0; round < 100; ++round) {
      expect_each_once(*pool, 20);
      if (round == 50) one.request_stop();  // at work or not
    }
    one.join();
    EXPECT_TRUE(one_left);
  }
  expect_each_once(*pool, 50);
  std::stop_source stopped;
  stopped.request_stop();
  pool->lend(stopped.get_token());  // returns
}

std::vector<int> cores_of_this_thread() {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

TEST(PoolThreads, RunOnTheirCores) {
  const std::vector<int> here = cores_of_this_thread();
  const int last = here.back();
  ThreadPool pool(2, {.cores = {here.front(), last}});
  cpu_set_t expected, set;
  CPU_ZERO(&expected);
  CPU_SET(last, &expected);
  ASSERT_EQ(pthread_getaffinity_np(workers_of(pool)[0], sizeof set, &set), 0);
  EXPECT_TRUE(CPU_EQUAL(&set, &expected));
  EXPECT_EQ(cores_of_this_thread(), here);  // the caller's are its own
  EXPECT_NE(ThreadPool::of_size(2, {.cores = {0, last}}), ThreadPool::of_size(2));
  const std::string text = refusal(ErrorCode::kInvalidInput, [] {
    ThreadPool(2, {.cores = {0, 1000000}});
  });
  EXPECT_NE(text.find("core 1000000"), std::string::npos) << text;
}

TEST(PoolThreads, RunAtTheirPriority) {
  const std::string text =
      refusal(ErrorCode::kInvalidInput, [] { ThreadPool(2, {.priority = 100}); });
  EXPECT_NE(text.find("100, expected 1 to 99"), std::string::npos) << text;
  sched_param fifo{};
  fifo.sched_priority = 1;
  std::optional<ThreadPool> pool;
  try {
    pool.emplace(2, Scheduling{.priority = 1});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(pthread_setschedparam(pthread_self(), SCHED_FIFO, &fifo), 0) << error.what();
    GTEST_SKIP() << "NOT RUN: " << error.what();
  }
  const std::vector<pthread_t> workers = workers_of(*pool);
  int policy = 0;
  sched_param parameters{};
  ASSERT_EQ(pthread_getschedparam(workers[0], &policy, &parameters), 0);
  EXPECT_EQ(policy, SCHED_FIFO);
  EXPECT_EQ(parameters.sched_priority, 1);
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
  for (int round = 0; round < 200;) {
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
      soon([&] { return thrown.load(); });  // so that each kind has its turn
      --at_work;
    };
    try {
      pool.run(6, work);
      EXPECT_FALSE(thrown);  // all items were others' than who was to throw: again
    } catch (const std::runtime_error&) {
      ++round;
    }
    EXPECT_EQ(at_work, 0);
    expect_each_once(pool, 9);
  }
  EXPECT_THROW(pool.run(1, [](std::int64_t, int) { throw std::bad_alloc(); }), std::bad_alloc);
  expect_each_once(pool, 9);
}

// A child has no thread but the one that forked; what it was given computes all the same.
TEST(PoolThreads, AForkedChildGoesOnAlone) {
  if (kThreadSanitizer) {
    GTEST_SKIP() << "NOT RUN: the thread sanitizer does not follow a fork of several threads";
  }
  auto pool = std::make_unique<ThreadPool>(3);
  const std::shared_ptr<ThreadPool> shared = ThreadPool::of_size(2);
  // A thread that starts while another forks has a lock of the address sanitizer's, for ever there.
  for (ThreadPool* const one : {pool.get(), shared.get()}) workers_of(*one);
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
