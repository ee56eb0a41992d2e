// Rows times weights, tile by tile over the threads, each tile finished while it is warm.
#pragma once

#include <vector>

#include "device/cpu/packed.h"

namespace pi0::cpu {

// What the work of one device shares.
struct Workshop {
  const RowKernels* kernels = nullptr;
  std::shared_ptr<ThreadPool> pool;
  std::vector<ThreadScratch> scratch;  // a thread's
  std::shared_ptr<BufferPool> buffers;
};

// rows [M, depth] times weights, finished as `finish` says; its bias and integer fields are filled
// in here.
void multiply(Workshop& shop, const RowView& rows, const PackedWeights& weights, FinishWork finish);

}  // namespace pi0::cpu
