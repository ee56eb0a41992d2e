#include "device/ttnn/shim/card.h"

#include <array>

namespace pi0 {
namespace {

// Memory, of TTNN 0.71.2 (tt-metal e2a91b7fec):
// - Grids: compute_with_storage_grid_range in tt_metal/core_descriptors, with fast dispatch, where
// a
//   row (Wormhole, "nebula_x1") or a column (Blackhole, "2xharvested") of cores dispatches.
// - L1: 1464 KiB a core on Wormhole, 1536 KiB on Blackhole (MEM_L1_SIZE in dev_mem_map.h), less
//   what lies below the allocator's base: firmware, mailboxes and the ring of kernel binaries
//   (103744 and 111104 bytes; get_base_allocator_addr() on the mock device gives them).
// - DRAM: dram_view_size in tt_metal/soc_descriptors, a bank each, less 32 or 64 bytes of barrier.
//
// Peaks, of Tenstorrent's product pages (tenstorrent.com/hardware/wormhole and /blackhole):
// - n150: 72 cores at 1 GHz, 288 GB/s, 262 TFLOP/s in FP8, 148 in BLOCKFP8, 74 in FP16.
// - p150: 120 cores at 1.35 GHz, 512 GB/s, 664 TFLOP/s in FP8, 332 in BLOCKFP8.
// A core multiplies 8x16 by 16x16 a cycle at LoFi: 4096 operations (tt-metal,
// tech_reports/matrix_engine). That is 262 TFLOP/s on 64 cores at 1 GHz and 664 on 120 at 1.35 GHz,
// as published; HiFi4 takes four cycles. Only the cores of the grid compute: they alone count here.
// - L1: a tensor is spread over all cores, so it comes and goes by the two networks on chip, one
//   for reading and one for writing: 32 bytes a cycle each on Wormhole, 64 on Blackhole, per core.
// - Vector: the SFPU has 32 lanes that multiply and add once a cycle.
// - Launch: not published; an assumption.
constexpr double kLofiFlopsPerCycle = 4096;
constexpr double kSfpuFlopsPerCycle = 64;

Card make_n150() {
  Card card;
  card.name = "n150";
  card.arch = "wormhole_b0";
  card.grid_x = 8;
  card.grid_y = 8;
  card.l1_bytes = 1464 * 1024 - 103744;
  card.dram_banks = 12;
  card.dram_bank_bytes = (std::int64_t{1} << 30) - 32;
  const double clock = 1e9;
  card.dram_bytes_per_second = 288e9;
  card.l1_bytes_per_second = card.cores() * 2 * 32 * clock;
  card.hifi4_flops = card.cores() * kLofiFlopsPerCycle / 4 * clock;
  card.vector_flops = card.cores() * kSfpuFlopsPerCycle * clock;
  card.launch_seconds = 2e-6;
  return card;
}

Card make_p150() {
  Card card;
  card.name = "p150";
  card.arch = "blackhole";
  card.grid_x = 11;
  card.grid_y = 10;
  card.l1_bytes = 1536 * 1024 - 111104;
  card.dram_banks = 8;
  card.dram_bank_bytes = 4278190080 - 64;
  const double clock = 1.35e9;
  card.dram_bytes_per_second = 512e9;
  card.l1_bytes_per_second = card.cores() * 2 * 64 * clock;
  card.hifi4_flops = card.cores() * kLofiFlopsPerCycle / 4 * clock;
  card.vector_flops = card.cores() * kSfpuFlopsPerCycle * clock;
  card.launch_seconds = 2e-6;
  return card;
}

const std::array<Card, 2>& cards() {
  static const std::array<Card, 2> all{make_n150(), make_p150()};
  return all;
}

}  // namespace

const Card* find_card(std::string_view name) {
  for (const Card& card : cards()) {
    if (card.name == name) return &card;
  }
  return nullptr;
}

std::vector<std::string> card_names() {
  std::vector<std::string> names;
  for (const Card& card : cards()) names.push_back(card.name);
  return names;
}

}  // namespace pi0
