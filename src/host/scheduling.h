// Where a thread runs, and before whom.
#pragma once

#include <pthread.h>

#include <vector>

namespace pi0::cpu {

struct Scheduling {
  std::vector<int> cores =
      {};            // by number, thread i on cores[i]; empty: wherever the system puts them
  int priority = 0;  // of SCHED_FIFO, 1 to 99; 0: as the thread that starts them

  auto operator<=>(const Scheduling&) const = default;
};

// Moves the pool's `index`-th thread to its core and priority. Throws Error: kInvalidInput for a
// core that is not there or no priority, kUnsupported where the system does not allow it.
void apply(const Scheduling& scheduling, int index, pthread_t thread);

}  // namespace pi0::cpu
