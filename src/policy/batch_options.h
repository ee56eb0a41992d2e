// What each call of a batch is given of the batch's options.
#pragma once

#include <cstddef>
#include <mutex>

#include "pi0/network.h"
#include "runtime/devices.h"

namespace pi0 {

// The options must outlive it.
class BatchOptions {
 public:
  // Throws Error (kInvalidInput) for noise of another size, and for what is of no batch.
  BatchOptions(const SampleOptions& options, std::size_t calls, const NetworkInfo& network);

  // May be called from any thread; the caller's functions are called by one at a time.
  SampleOptions of(const SharedCall& shared);

 private:
  const SampleOptions& options_;
  const std::size_t size_;  // of a call's noise
  std::mutex telling_;
};

}  // namespace pi0
