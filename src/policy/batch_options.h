// What each call of a batch is given of the batch's options.
#pragma once

#include <cstddef>
#include <mutex>

#include "pi0/network.h"
#include "runtime/devices.h"

namespace pi0 {

// With which one of `count` calls is computed alone as it is among them: noise is an equal part for
// each, a seed the first one's, those that follow have the next ones.
SampleOptions options_of_one(const SampleOptions& options, std::size_t index, std::size_t count);

// The options must outlive it.
class BatchOptions {
 public:
  // Throws Error (kInvalidInput) for noise of another size, and for what is of no batch.
  BatchOptions(const SampleOptions& options, std::size_t calls, const NetworkInfo& network);

  // May be called from any thread; the caller's functions are called by one at a time.
  SampleOptions of(const SharedCall& shared);

 private:
  const SampleOptions& options_;
  const std::size_t calls_;
  std::mutex telling_;
};

}  // namespace pi0
