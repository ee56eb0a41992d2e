// A call of several observations, computed on several devices.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

#include "serve/call.h"

namespace pi0 {

// One thread owns it and waits for its result; that one and others compute an observation at a
// time. The same chunks come of it as of compute_call. May be used from any thread.
class SharedBatch {
 public:
  // The call must outlive it. `ask` is called on the way of each observation, and may throw to stop
  // it all.
  SharedBatch(const Call& call, CallBasis basis, std::function<void()> ask);

  // Whether there is an observation that nobody has begun.
  bool open() const;
  // Computes one. False where there was none.
  bool compute_one(Session& session);

  // When all have ended: as compute_call gives it, and what a client's next call goes on from.
  // Throws what the first of them threw that failed.
  std::pair<CallResult, LastChunk> result();

 private:
  struct Part {
    ActionChunk chunk;
    std::vector<float> output;
  };
  bool open_locked() const { return !failure_ && begun_ < parts_.size(); }

  const Call& call_;
  const CallBasis basis_;
  const std::function<void()> ask_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::vector<Part> parts_;
  LastChunk last_;  // of the last observation
  std::size_t begun_ = 0;
  std::size_t computing_ = 0;
  std::exception_ptr failure_;
};

}  // namespace pi0
