// What a Tenstorrent card has: what the emulated card enforces, the placement policy fits into, and
// the roofline divides by.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pi0 {

struct Card {
  std::string name;           // "n150", "p150"
  std::string arch;           // "wormhole_b0", "blackhole"
  int grid_x = 0;             // cores that compute, as TTNN's
  int grid_y = 0;             // compute_with_storage_grid_size() gives them
  std::int64_t l1_bytes = 0;  // per core, for buffers and circular buffers together
  int dram_banks = 0;
  std::int64_t dram_bank_bytes = 0;
  // Peaks, for the roofline alone; card.cc says where each is published.
  double dram_bytes_per_second = 0;
  double l1_bytes_per_second = 0;  // all cores together
  double hifi4_flops = 0;          // per second, bf16; HiFi2 is twice, LoFi four times that
  double vector_flops = 0;         // per second, SFPU: element-wise operations
  double launch_seconds = 0;       // of one operation from a trace

  int cores() const { return grid_x * grid_y; }
  std::int64_t dram_bytes() const { return dram_banks * dram_bank_bytes; }
};

// Null when there is no card of that name.
const Card* find_card(std::string_view name);
std::vector<std::string> card_names();

}  // namespace pi0
