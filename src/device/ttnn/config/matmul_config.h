// An explicit program configuration for a matrix multiplication: how its blocks fall on the cores.
#pragma once

#include <cstdint>

#include "device/ttnn/shim/shim.h"

namespace pi0 {

struct MatmulShape {  // in tiles
  int rows = 0;       // of the whole batch
  int inner = 0;
  int columns = 0;
  std::int64_t in0_tile_bytes = 2048;
  std::int64_t in1_tile_bytes = 2048;
  std::int64_t out_tile_bytes = 2048;
  bool fp32_dest_acc_en = true;
  bool bias = false;
};

// Per core, in bytes: two blocks of each operand, since the next is read while one is multiplied,
// the output's block, and its partial sums.
std::int64_t circular_buffer_bytes(const MatmulShape& shape,
                                   const shim::MatmulProgramConfig& config);

// Few rows: every core has all of them and a share of the columns, since reading the weights is
// then the time. Else rows and columns are spread over the grid. Blocks are the largest whose
// circular buffers stay within `budget` bytes. Throws Error (kOutOfMemory) naming the sizes where
// no block does.
shim::MatmulProgramConfig matmul_config(const MatmulShape& shape, const Card& card,
                                        std::int64_t budget);

}  // namespace pi0
