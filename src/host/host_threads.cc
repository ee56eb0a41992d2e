#include "host/host_threads.h"

#include <fmt/format.h>

#include <string>

#include "host/thread_pool.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

constexpr int kMostThreads = 1024;

int checked(int count) {
  if (count >= 1 && count <= kMostThreads) return count;
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("{} host threads, expected 1 to {}, the calling one among them", count,
                          kMostThreads));
}

}  // namespace

HostThreads::HostThreads(int count) : pool_(cpu::ThreadPool::of_lent(checked(count))) {}
HostThreads::~HostThreads() = default;

int HostThreads::count() const { return pool_->size(); }

void HostThreads::lend(const std::stop_token& stop) {
  const std::shared_ptr<cpu::ThreadPool> pool = pool_;  // while it is lent
  pool->lend(stop);
}

std::shared_ptr<cpu::ThreadPool> pool_of(const HostThreads& threads) { return threads.pool_; }

}  // namespace pi0
