// Where a device on the host keeps the weights that it has prepared.
#pragma once

#include <cstddef>
#include <memory>

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

}  // namespace pi0
