#include "device/ttnn/emulated/memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "pi0/error.h"

namespace pi0::emulated {
namespace {

using shim::Layout;
using shim::Placement;
using shim::round_up;

constexpr std::int64_t kTileValues = shim::kTile * shim::kTile;

std::int64_t alignment(Placement placement, const Card& card) {
  if (placement == Placement::kL1) return 16;
  return card.arch == "blackhole" ? 64 : 32;
}

std::int64_t banks(Placement placement, const Card& card) {
  return placement == Placement::kDram ? card.dram_banks : card.cores();
}

}  // namespace

bool overlap(const Address& a, const Address& b) {
  return a.placement == b.placement && a.begin < b.end && b.begin < a.end;
}

std::int64_t bytes_per_bank(const shim::TensorSpec& spec, const Card& card) {
  const std::int64_t values = spec.padded[0] * spec.padded[1] * spec.padded[2] * spec.padded[3];
  if (values == 0) return 0;
  const std::int64_t page_values = spec.layout == Layout::kTile ? kTileValues : spec.padded[3];
  const std::int64_t pages = values / page_values;
  const std::int64_t page = round_up(size_in_bytes(spec) / pages, alignment(spec.placement, card));
  const std::int64_t across = banks(spec.placement, card);
  return (pages + across - 1) / across * page;
}

std::int64_t Bank::allocate(std::int64_t bytes) {
  std::int64_t begin = -1;
  if (from_above_) {
    std::int64_t top = size_;
    for (auto it = taken_.rbegin(); it != taken_.rend() && top - it->second < bytes; ++it) {
      top = it->first;
    }
    // `top` is the first hole's upper end, or the lowest tensor where no hole was wide enough.
    begin = top - bytes;
    if (begin < 0) return -1;
  } else {
    begin = 0;
    for (const auto& [from, to] : taken_) {
      if (from - begin >= bytes) break;
      begin = to;
    }
    if (begin + bytes > size_) return -1;
  }
  taken_.emplace(begin, begin + bytes);
  used_ += bytes;
  return begin;
}

void Bank::free(std::int64_t begin) {
  const auto it = taken_.find(begin);
  used_ -= it->second - it->first;
  taken_.erase(it);
}

std::int64_t Bank::largest_hole() const {
  std::int64_t largest = 0;
  std::int64_t from = 0;
  for (const auto& [begin, end] : taken_) {
    largest = std::max(largest, begin - from);
    from = end;
  }
  return std::max(largest, size_ - from);
}

Memory::Memory(const Card& card)
    : card_(card), dram_(card.dram_bank_bytes, false), l1_(card.l1_bytes, true) {}

Address Memory::allocate(const shim::TensorSpec& spec, const std::string& operation) {
  Bank& bank = spec.placement == Placement::kDram ? dram_ : l1_;
  // Even what is empty has an address.
  const std::int64_t bytes =
      std::max(bytes_per_bank(spec, card_), alignment(spec.placement, card_));
  const std::int64_t begin = bank.allocate(bytes);
  if (begin < 0) {
    const bool dram = spec.placement == Placement::kDram;
    throw Error(
        ErrorCode::kOutOfMemory,
        fmt::format("{}: its result needs {} bytes in each {} of card {}, where {} are free in one "
                    "piece and {} of {} in use{}",
                    operation, bytes, dram ? "DRAM bank" : "core's L1", card_.name,
                    bank.largest_hole(), bank.used(), dram ? card_.dram_bank_bytes : card_.l1_bytes,
                    dram ? "" : shim::kMoreInDram));
  }
  ++tensors_;
  peak_dram_ = std::max(peak_dram_, dram_.used());
  peak_l1_ = std::max(peak_l1_, l1_.used());
  return {spec.placement, begin, begin + bytes};
}

void Memory::free(const Address& address) {
  (address.placement == Placement::kDram ? dram_ : l1_).free(address.begin);
  --tensors_;
}

void Memory::use_circular_buffers(std::int64_t bytes, const std::string& operation) {
  if (bytes > l1_.lowest()) {
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("{}: its circular buffers need {} bytes of each core's L1, but tensors "
                            "begin at {} of {} on card {}{}",
                            operation, bytes, l1_.lowest(), card_.l1_bytes, card_.name,
                            bytes > card_.l1_bytes ? "; --device cpu has no such limit"
                                                   : shim::kMoreInDram));
  }
  circular_buffers_ = bytes;
  peak_l1_ = std::max(peak_l1_, l1_.used() + bytes);
}

shim::MemoryUse Memory::use() const {
  shim::MemoryUse use;
  use.dram_bytes = dram_.used() * card_.dram_banks;
  use.peak_dram_bytes = peak_dram_ * card_.dram_banks;
  use.l1_bytes_per_core = l1_.used();
  use.peak_l1_bytes_per_core = peak_l1_;
  use.circular_buffer_bytes = circular_buffers_;
  use.live_tensors = tensors_;
  return use;
}

}  // namespace pi0::emulated
