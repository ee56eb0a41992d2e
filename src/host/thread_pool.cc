#include "host/thread_pool.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <limits>
#include <map>
#include <string>
#include <system_error>
#include <tuple>
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

// Waits until `value` is no longer `old`. Who else wants this core gets it meanwhile: it may be the
// very thread that is waited for.
void await_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 64; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      pause();
    }
    sched_yield();
  } while (std::chrono::steady_clock::now() < end);
  value.wait(old, std::memory_order_acquire);
}

// Items of the round that nobody has begun.
std::uint32_t left_in(std::uint64_t open) { return static_cast<std::uint32_t>(open); }

}  // namespace

std::shared_ptr<ThreadPool> ThreadPool::of_size(int threads, const Scheduling& scheduling) {
  static std::mutex mutex;
  static std::map<std::tuple<pid_t, int, Scheduling>, std::weak_ptr<ThreadPool>> pools;
  const std::lock_guard lock(mutex);
  std::weak_ptr<ThreadPool>& kept = pools[{getpid(), threads, scheduling}];
  std::shared_ptr<ThreadPool> pool = kept.lock();
  if (!pool) kept = pool = std::make_shared<ThreadPool>(threads, scheduling);
  return pool;
}

std::shared_ptr<ThreadPool> ThreadPool::of_lent(int threads) {
  return std::shared_ptr<ThreadPool>(new ThreadPool(threads, Lent()));
}

std::shared_ptr<ThreadPool> ThreadPool::of_none() {
  auto pool = of_lent(1);
  pool->idle_ = true;
  return pool;
}

ThreadPool::ThreadPool(int threads, Lent)
    : size_(threads), process_(getpid()), lent_(static_cast<std::size_t>(threads)) {
  lent_[0] = true;  // the caller's
}

ThreadPool::ThreadPool(int threads, const Scheduling& scheduling)
    : size_(threads), process_(getpid()), lent_(static_cast<std::size_t>(threads), true) {
  try {
    for (int thread = 1; thread < threads; ++thread) {
      workers_.emplace_back([this, thread](const std::stop_token& stop) { serve(thread, stop); });
      apply(scheduling, thread, workers_.back().native_handle());
    }
  } catch (const std::system_error& error) {
    const auto started = workers_.size() + 1;
    end();
    throw Error(ErrorCode::kUnsupported, fmt::format("{} threads: the system starts {} ({})",
                                                     threads, started, error.code().message()));
  } catch (...) {
    end();
    throw;
  }
}

ThreadPool::~ThreadPool() { end(); }

void ThreadPool::end() {
  const bool forked = getpid() != process_;
  for (std::jthread& worker : workers_) {
    if (forked) {
      worker.detach();
    } else {
      worker.request_stop();
    }
  }
  workers_.clear();  // joins
}

void ThreadPool::wake_all() {
  news_.fetch_add(1, std::memory_order_release);
  news_.notify_all();
}

void ThreadPool::run_items(std::int64_t count, Call call, const void* work) {
  assert(count <= std::numeric_limits<std::uint32_t>::max());
  if (idle_) return;
  if (count < 2 || size_ == 1 || getpid() != process_ ||
      busy_.test_and_set(std::memory_order_acquire)) {
    for (std::int64_t item = 0; item < count; ++item) call(work, item, 0);
    return;
  }
  struct Release {
    ~Release() { busy.clear(std::memory_order_release); }
    std::atomic_flag& busy;
  } const release{busy_};
  std::int64_t first = 0;
  if (const Clock::time_point begin = Clock::now(); stalls_.recent(begin)) {
    while (first < count && Clock::now() - begin < Stalls::kLong) call(work, first++, 0);
  }
  if (count - first > 1) {
    share(first, count, call, work);
  } else if (first < count) {
    call(work, first, 0);
  }
}

// The items from `first` on.
void ThreadPool::share(std::int64_t first, std::int64_t count, Call call, const void* work) {
  const auto items = static_cast<std::uint32_t>(count - first);
  unfinished_.store(items, std::memory_order_relaxed);
  call_.store(call, std::memory_order_relaxed);
  work_.store(work, std::memory_order_relaxed);
  count_.store(count, std::memory_order_relaxed);
  const std::uint64_t round = (open_.load(std::memory_order_relaxed) >> 32) + 1;
  open_.store(round << 32 | items, std::memory_order_release);
  const Clock::time_point begin = Clock::now();
  wake_all();
  const std::uint32_t own = take_items(0);
  const Clock::time_point done = Clock::now();
  for (std::uint32_t left = unfinished_.load(std::memory_order_acquire); left != 0;
       left = unfinished_.load(std::memory_order_acquire)) {
    await_change(unfinished_, left);
  }
  const Clock::time_point end = Clock::now();
  stalls_.note(end, done - begin, end - done, own, items);
  if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
}

// Returns how many.
std::uint32_t ThreadPool::take_items(int thread) {
  std::uint32_t done = 0, left_out = 0;
  std::uint64_t open = open_.load(std::memory_order_acquire);
  while (left_in(open) != 0) {
    const Call call = call_.load(std::memory_order_relaxed);
    const void* const work = work_.load(std::memory_order_relaxed);
    const std::int64_t item = count_.load(std::memory_order_relaxed) - left_in(open);
    if (!open_.compare_exchange_weak(open, open - 1, std::memory_order_acq_rel,
                                     std::memory_order_acquire)) {
      continue;
    }
    ++done;
    try {
      call(work, item, thread);
    } catch (...) {
      left_out = leave_out_the_rest();
      const std::lock_guard lock(thrown_mutex_);
      if (!thrown_) thrown_ = std::current_exception();
    }
    open = open_.load(std::memory_order_acquire);
  }
  const std::uint32_t finished = done + left_out;
  if (finished != 0 && unfinished_.fetch_sub(finished, std::memory_order_acq_rel) == finished) {
    unfinished_.notify_one();
  }
  return done;
}

// Returns how many items those are.
std::uint32_t ThreadPool::leave_out_the_rest() {
  std::uint64_t open = open_.load(std::memory_order_acquire);
  while (!open_.compare_exchange_weak(open, open - left_in(open), std::memory_order_acq_rel)) {
  }
  return left_in(open);
}

void ThreadPool::serve(int thread, const std::stop_token& stop) {
  const std::stop_callback wake(stop, [this] { wake_all(); });
  for (std::uint32_t seen = 0; !stop.stop_requested();) {
    take_items(thread);
    await_change(news_, seen);
    seen = news_.load(std::memory_order_acquire);
  }
}

void ThreadPool::lend(const std::stop_token& stop) {
  int thread = 0;
  {
    const std::lock_guard lock(lent_mutex_);
    const auto free = std::find(lent_.begin(), lent_.end(), false);
    if (free == lent_.end()) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{} threads compute at most, the calling one among them: there is no "
                              "room for this one",
                              size_));
    }
    *free = true;
    thread = static_cast<int>(free - lent_.begin());
  }
  serve(thread, stop);
  const std::lock_guard lock(lent_mutex_);
  lent_[static_cast<std::size_t>(thread)] = false;
}

}  // namespace pi0::cpu
