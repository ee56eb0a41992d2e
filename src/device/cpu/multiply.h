// Rows times weights, tile by tile over the threads, each tile finished while it is warm.
#pragma once

#include <initializer_list>
#include <vector>

#include "device/cpu/packed.h"

namespace pi0::cpu {

// What the work of one device shares.
struct ComputeContext {
  const RowKernels* kernels = nullptr;
  std::shared_ptr<ThreadPool> pool;
  std::vector<ThreadScratch> scratch;  // a thread's
  std::shared_ptr<BufferPool> buffers;
};

// Weights and what becomes of the rows' product with them; the bias and the integer fields of
// `finish` are filled in here.
struct Product {
  const PackedWeights* weights = nullptr;
  FinishWork finish;
};
// rows [M, depth], packed once, times the weights of each product; those are of one kernel.
void multiply(ComputeContext& context, const RowView& rows,
              std::initializer_list<Product> products);

}  // namespace pi0::cpu
