// The threads that share a piece of work. One pool of a size for the whole process, however many
// networks it has: threads that would only take turns are not started.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace pi0::cpu {

class ThreadPool {
 public:
  // The process's pool of `threads`, the calling one among them; at least 1. It goes with its last
  // holder.
  static std::shared_ptr<ThreadPool> of_size(int threads);

  // Throws Error (kUnsupported) where the system starts fewer.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  // Calls work(item, thread) once for each item of [0, count), on whichever thread is free;
  // `thread` is 0 to size() - 1. Returns when all are done. What an item computes must not depend
  // on the thread. While another thread's work has the pool, the caller does its own alone, as
  // thread 0; so does a process that was forked, which has none of the threads. What `work` throws
  // is thrown here once no thread is at work; items that were not begun then are left out.
  template <typename Work>
  void run(std::int64_t count, const Work& work) {
    run_items(
        count,
        [](const void* of, std::int64_t item, int thread) {
          (*static_cast<const Work*>(of))(item, thread);
        },
        &work);
  }

 private:
  using Call = void (*)(const void* work, std::int64_t item, int thread);
  void run_items(std::int64_t count, Call call, const void* work);
  void take_items(int thread);
  void serve(int thread);
  void end();

  std::atomic_flag busy_;  // set while the pool has a thread's work, which may ask for it again
  // The present work, written before `round_` is raised and read after.
  Call call_ = nullptr;
  const void* work_ = nullptr;
  std::int64_t count_ = 0;
  std::atomic<std::int64_t> next_{0};
  std::atomic<std::uint32_t> round_{0};
  std::atomic<std::uint32_t> working_{0};  // workers that have not finished the round
  std::atomic<bool> ending_{false};
  std::mutex thrown_mutex_;
  std::exception_ptr thrown_;  // by an item of the round
  pid_t process_;              // that has the workers
  std::vector<std::thread> workers_;
};

}  // namespace pi0::cpu
