// The memory of an emulated card: where each tensor lies, and when nothing more fits.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "device/ttnn/shim/shim.h"

namespace pi0::emulated {

struct Address {
  shim::Placement placement = shim::Placement::kDram;
  std::int64_t begin = 0;  // of every bank: an interleaved tensor has pages in all of them
  std::int64_t end = 0;
};

bool overlap(const Address& a, const Address& b);

// One bank's address space, the same for all banks: first fit, from below for DRAM, from above for
// L1 (tt_metal/impl/allocator), so that it can be fragmented.
class Bank {
 public:
  Bank(std::int64_t size, bool from_above) : size_(size), from_above_(from_above) {}

  // -1 where no hole is large enough.
  std::int64_t allocate(std::int64_t bytes);
  void free(std::int64_t begin);

  std::int64_t used() const { return used_; }
  std::int64_t largest_hole() const;
  std::int64_t lowest() const { return taken_.empty() ? size_ : taken_.begin()->first; }

 private:
  std::int64_t size_;
  bool from_above_;
  std::int64_t used_ = 0;
  std::map<std::int64_t, std::int64_t> taken_;  // begin -> end
};

class Memory {
 public:
  explicit Memory(const Card& card);

  // Throws Error (kOutOfMemory) naming `operation`, what it needs and what is free.
  Address allocate(const shim::TensorSpec& spec, const std::string& operation);
  void free(const Address& address);
  // Circular buffers take L1 of a core from below while an operation runs. Throws Error
  // (kOutOfMemory) where they would meet the lowest tensor.
  void use_circular_buffers(std::int64_t bytes, const std::string& operation);

  shim::MemoryUse use() const;

 private:
  const Card card_;
  Bank dram_;
  Bank l1_;
  std::int64_t tensors_ = 0;
  std::int64_t peak_dram_ = 0;
  std::int64_t peak_l1_ = 0;
  std::int64_t circular_buffers_ = 0;
};

// Bytes of the fullest bank: pages are tiles, or rows of a row-major tensor.
std::int64_t bytes_per_bank(const shim::TensorSpec& spec, const Card& card);

}  // namespace pi0::emulated
