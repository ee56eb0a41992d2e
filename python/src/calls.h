// What calls of a policy and of a server have in common.
#pragma once

#include <functional>
#include <string>

#include "arrays.h"
#include "pi0/policy.h"

namespace pi0 {

// Throws Error (kUnsupported) in a process that was forked from that of `owner`: none of its
// threads are there. `what` it is.
void require_own_process(int owner, const char* what);

// Owned by one process: a forked one leaves it alone, also at its end, where it would wait for
// threads that are not there. Made and destroyed with the GIL, which others have while it ends.
template <typename T>
class OfThisProcess {
 public:
  OfThisProcess(const char* what, std::unique_ptr<T> value);
  ~OfThisProcess();
  OfThisProcess(OfThisProcess&&) noexcept = default;
  T& operator*() const {
    require_own_process(owner_, what_);
    return *value_;
  }
  T* operator->() const { return &**this; }

 private:
  const char* what_;
  int owner_;
  std::unique_ptr<T> value_;
};

// `rtc`: a libpi0.RealTimeChunking, or None. The noise may have more dimensions: a batch's.
SampleOptions to_sample_options(int steps, std::optional<std::uint64_t> seed, nb::handle noise,
                                nb::handle rtc, bool time_stages);

// Asks whether a signal came (Ctrl-C) ten times a second, and calls `callback` (stage, done, total)
// unless it is None; what Python raises there comes out of the call. To be called without the GIL;
// `callback` has to outlive it.
std::function<void(const Progress&)> to_progress(nb::handle callback);

// {"actions": …, "policy_timing": …, …}: libpi0.InferResult. The first `dims` of each action.
nb::dict to_dict(ActionChunk chunk, int dims);

}  // namespace pi0
