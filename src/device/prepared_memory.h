// Where a device on the host keeps the weights that it has prepared.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace pi0 {

// Blocks are asked for in the same order and sizes at each load of a network. So a memory that was
// kept (a cache) can hand out what an earlier load left in it.
class PreparedMemory {
 public:
  struct Block {
    std::byte* data = nullptr;  // aligned to 64 bytes; alive as long as the memory
    bool ready = false;         // it holds what an earlier load prepared: to be read only
  };

  virtual ~PreparedMemory() = default;
  virtual Block take(std::size_t bytes) = 0;  // more than 0
};

// Plain memory, in huge pages where the system has them. Throws Error (kOutOfMemory).
std::unique_ptr<PreparedMemory> make_prepared_memory();

// None: whatever is asked for is said to be ready, and is nowhere. To know how much it would be.
std::unique_ptr<PreparedMemory> make_absent_memory();

// Another's, counted.
class CountedMemory final : public PreparedMemory {
 public:
  explicit CountedMemory(std::shared_ptr<PreparedMemory> memory) : memory_(std::move(memory)) {}
  Block take(std::size_t bytes) override {
    bytes_ += bytes;
    return memory_->take(bytes);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::shared_ptr<PreparedMemory> memory_;
  std::size_t bytes_ = 0;
};

}  // namespace pi0
