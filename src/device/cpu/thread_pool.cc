#include "device/cpu/thread_pool.h"

#include <unistd.h>

#include <chrono>
#include <map>
#include <string>
#include <system_error>
#include <utility>

#include "pi0/error.h"

namespace pi0::cpu {
namespace {

// Between two pieces of a call's work lie microseconds: a thread that slept would be woken by the
// kernel, which takes longer. After this it sleeps: the host program's threads have work too.
constexpr std::chrono::microseconds kSpin{100};

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Waits until `value` is no longer `old`.
void await_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

std::shared_ptr<ThreadPool> ThreadPool::of_size(int threads) {
  static std::mutex mutex;
  static std::map<std::pair<pid_t, int>, std::weak_ptr<ThreadPool>> pools;
  const std::lock_guard lock(mutex);
  std::weak_ptr<ThreadPool>& kept = pools[{getpid(), threads}];
  std::shared_ptr<ThreadPool> pool = kept.lock();
  if (!pool) kept = pool = std::make_shared<ThreadPool>(threads);
  return pool;
}

ThreadPool::ThreadPool(int threads) : process_(getpid()) {
  try {
    for (int thread = 1; thread < threads; ++thread) {
      workers_.emplace_back([this, thread] { serve(thread); });
    }
  } catch (const std::system_error& error) {
    const int started = size();
    end();
    throw Error(ErrorCode::kUnsupported, std::to_string(threads) + " threads: the system starts " +
                                             std::to_string(started) + " (" +
                                             error.code().message() + ")");
  }
}

ThreadPool::~ThreadPool() { end(); }

void ThreadPool::end() {
  const bool forked = getpid() != process_;
  ending_.store(true);
  round_.fetch_add(1, std::memory_order_release);
  if (!forked) round_.notify_all();
  for (std::thread& worker : workers_) {
    if (forked) {
      worker.detach();
    } else {
      worker.join();
    }
  }
}

void ThreadPool::run_items(std::int64_t count, Call call, const void* work) {
  if (count < 2 || workers_.empty() || getpid() != process_ ||
      busy_.test_and_set(std::memory_order_acquire)) {
    for (std::int64_t item = 0; item < count; ++item) call(work, item, 0);
    return;
  }
  call_ = call;
  work_ = work;
  count_ = count;
  next_.store(0, std::memory_order_relaxed);
  working_.store(static_cast<std::uint32_t>(workers_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  take_items(0);
  for (std::uint32_t left = working_.load(std::memory_order_acquire); left != 0;
       left = working_.load(std::memory_order_acquire)) {
    await_change(working_, left);
  }
  const std::exception_ptr thrown = std::exchange(thrown_, nullptr);
  busy_.clear(std::memory_order_release);
  if (thrown) std::rethrow_exception(thrown);
}

void ThreadPool::take_items(int thread) {
  try {
    for (std::int64_t item = next_.fetch_add(1, std::memory_order_relaxed); item < count_;
         item = next_.fetch_add(1, std::memory_order_relaxed)) {
      call_(work_, item, thread);
    }
  } catch (...) {
    next_.store(count_, std::memory_order_relaxed);
    const std::lock_guard lock(thrown_mutex_);
    if (!thrown_) thrown_ = std::current_exception();
  }
}

void ThreadPool::serve(int thread) {
  for (std::uint32_t seen = 0;;) {
    await_change(round_, seen);
    seen = round_.load(std::memory_order_acquire);
    if (ending_.load()) return;
    take_items(thread);
    if (working_.fetch_sub(1, std::memory_order_acq_rel) == 1) working_.notify_one();
  }
}

}  // namespace pi0::cpu
