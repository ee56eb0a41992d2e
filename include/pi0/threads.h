// Threads of the host program that compute for the CPU device, in place of threads that libpi0
// starts: for programs that have a pool of their own, or that say where each thread runs.
//
//   auto threads = std::make_shared<pi0::HostThreads>(3);  // the one that calls infer(), two more
//   std::jthread one([&](std::stop_token stop) { threads->lend(stop); });
//   std::jthread two([&](std::stop_token stop) { threads->lend(stop); });
//   pi0::Policy policy = pi0::Policy::load("checkpoint/", {.host_threads = threads});
#pragma once

#include <memory>
#include <stop_token>

#include "pi0/export.h"

namespace pi0 {
namespace cpu {
class ThreadPool;
}

// Networks may share one. All of it may be called from any thread.
class PI0_API HostThreads {
 public:
  // At most `count` threads at work: the one that calls, and count - 1 that are lent. Throws Error
  // (kInvalidInput) where it is not 1 to 1024.
  explicit HostThreads(int count);
  ~HostThreads();
  HostThreads(const HostThreads&) = delete;
  HostThreads& operator=(const HostThreads&) = delete;

  int count() const;

  // The calling thread computes, beside whoever calls a network, until `stop` is asked for; it
  // returns then, at most one piece of work (a fraction of a millisecond to some milliseconds)
  // later. Threads may come and go at any time, during calls too: a call never waits for one that
  // is not there, and its results do not depend on them. Between calls a thread sleeps. Throws
  // Error (kInvalidInput) where count() - 1 are lent already.
  void lend(const std::stop_token& stop);

 private:
  friend std::shared_ptr<cpu::ThreadPool> pool_of(const HostThreads& threads);
  std::shared_ptr<cpu::ThreadPool> pool_;
};

}  // namespace pi0
