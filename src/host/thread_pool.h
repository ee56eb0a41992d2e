// The threads that share a piece of work. One pool of a kind for the whole process, however many
// networks it has: threads that would only take turns are not started.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "host/scheduling.h"
#include "host/stalls.h"

namespace pi0::cpu {

class ThreadPool {
 public:
  // The process's pool of `threads`, the calling one among them; at least 1. It goes with its last
  // holder.
  static std::shared_ptr<ThreadPool> of_size(int threads, const Scheduling& scheduling = {});
  // A pool that starts no threads: those that are lent to it are its threads, beside the calling
  // one; `threads` in all at most, at least 1.
  static std::shared_ptr<ThreadPool> of_lent(int threads);
  // One that does nothing of what it is given: to see what memory work would take.
  static std::shared_ptr<ThreadPool> of_none();

  // Throws Error: kUnsupported where the system starts fewer; see also apply().
  explicit ThreadPool(int threads, const Scheduling& scheduling = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Of the threads at most at work.
  int size() const { return size_; }

  // Calls work(item, thread) once for each item of [0, count), on whichever thread is free;
  // `thread` is 0 to size() - 1, the calling thread is 0. Returns when all are done. Waits for
  // threads that have begun an item, never for one to come: a thread that the system does not
  // schedule costs its help alone. Where one was taken from its core in an item that others waited
  // for, short pieces of work are the caller's alone for a while. What an item computes must not
  // depend on the thread, and no item may wait for another: the caller may do all of them. While
  // another thread's work has the pool, the caller does its own alone, as thread 0; so does a
  // process that was forked, which has none of the threads. What `work` throws is thrown here once
  // no thread is at work; items that were not begun then are left out.
  template <typename Work>
  void run(std::int64_t count, const Work& work) {
    run_items(
        count,
        [](const void* of, std::int64_t item, int thread) {
          (*static_cast<const Work*>(of))(item, thread);
        },
        &work);
  }

  // Has the calling thread do items of whatever is run, until `stop` is asked for. Throws
  // Error (kInvalidInput) where all of size() - 1 threads are there already.
  void lend(const std::stop_token& stop);

 private:
  using Clock = Stalls::Clock;
  using Call = void (*)(const void* work, std::int64_t item, int thread);
  struct Lent {};
  ThreadPool(int threads, Lent);
  void run_items(std::int64_t count, Call call, const void* work);
  void share(std::int64_t first, std::int64_t count, Call call, const void* work);
  std::uint32_t take_items(int thread);
  std::uint32_t leave_out_the_rest();
  void serve(int thread, const std::stop_token& stop);
  void wake_all();
  void end();

  const int size_;
  bool idle_ = false;      // see of_none()
  std::atomic_flag busy_;  // set while the pool has a thread's work, which may ask for it again
  Stalls stalls_;          // of who has the pool
  // The present work. Its round is in the upper half of `open_`, in the lower half how many items
  // nobody has begun. One word, so that an item is taken of the round in which it was seen, or not
  // at all: a thread that comes late may have read the next round's work by then, but takes
  // nothing.
  std::atomic<std::uint64_t> open_{0};
  std::atomic<Call> call_{nullptr};
  std::atomic<const void*> work_{nullptr};
  std::atomic<std::int64_t> count_{0};
  std::atomic<std::uint32_t> unfinished_{0};  // items
  std::atomic<std::uint32_t> news_{0};        // raised when there is reason to look
  std::mutex thrown_mutex_;
  std::exception_ptr thrown_;  // by an item of the round
  pid_t process_;              // that has the workers
  std::vector<std::jthread> workers_;
  std::mutex lent_mutex_;
  std::vector<bool> lent_;  // whether there is a thread of that number
};

}  // namespace pi0::cpu
