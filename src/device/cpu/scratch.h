// Memory for activations that is kept and handed out again: after the first call of a shape, a call
// allocates none.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace pi0::cpu {

struct FreeBytes {
  void operator()(std::byte* data) const { std::free(data); }
};
using AlignedBytes = std::unique_ptr<std::byte[], FreeBytes>;

// At a multiple of 64 bytes; large ones in huge pages where the system has them. Throws
// Error (kOutOfMemory).
AlignedBytes allocate_aligned(std::size_t bytes);

// Buffers given back are handed out again to whoever asks for about as much.
class BufferPool {
 public:
  // At least `bytes`; what it has says capacity(bytes).
  AlignedBytes take(std::size_t bytes) {
    bytes = capacity(bytes);
    ++takes_;
    held_bytes_ += bytes;
    if (auto& free = free_[bytes]; !free.empty()) {
      AlignedBytes buffer = std::move(free.back().data);
      free.pop_back();
      held_bytes_ -= bytes;
      return buffer;
    }
    drop_idle();
    ++allocations_;
    return allocate_aligned(bytes);
  }
  void give_back(std::size_t bytes, AlignedBytes buffer) {
    free_[capacity(bytes)].push_back({std::move(buffer), takes_});
  }
  // How often it has asked the system for memory.
  std::int64_t allocations() const { return allocations_; }
  std::size_t held_bytes() const { return held_bytes_; }

 private:
  struct Free {
    AlignedBytes data;
    std::int64_t since;  // takes_ when it was given back
  };

  // About as many takes as a call of π0 has. A call that allocates none drops none, so what its
  // parts left for one another stays, however large all of it is together.
  static constexpr std::int64_t kIdleTakes = 4096;

  // An eighth of a power of two apart, so that a prompt of one token more takes the same buffers.
  static std::size_t capacity(std::size_t bytes) {
    const std::size_t step = std::max<std::size_t>(std::bit_floor(bytes) / 8, 64);
    return (bytes + step - 1) / step * step;
  }
  // Other shapes than before are asked for: what those left is not kept for ever.
  void drop_idle() {
    for (auto& [bytes, free] : free_) {  // each with what was given back first in front
      const auto kept = std::find_if(free.begin(), free.end(), [this](const Free& one) {
        return takes_ - one.since <= kIdleTakes;
      });
      held_bytes_ -= bytes * static_cast<std::size_t>(kept - free.begin());
      free.erase(free.begin(), kept);
    }
  }

  std::map<std::size_t, std::vector<Free>> free_;
  std::size_t held_bytes_ = 0;  // in use and free
  std::int64_t takes_ = 0, allocations_ = 0;
};

// A buffer of a pool, which it returns to. The pool must outlive it.
class Buffer {
 public:
  Buffer() = default;
  Buffer(std::shared_ptr<BufferPool> pool, std::size_t bytes)
      : pool_(std::move(pool)), bytes_(bytes), data_(pool_->take(bytes)) {}
  Buffer(Buffer&& other) noexcept = default;
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(bytes_, other.bytes_);
    std::swap(data_, other.data_);
    return *this;
  }
  ~Buffer() {
    if (data_ != nullptr) pool_->give_back(bytes_, std::move(data_));
  }

  explicit operator bool() const { return data_ != nullptr; }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_.get());
  }

 private:
  std::shared_ptr<BufferPool> pool_;
  std::size_t bytes_ = 0;
  AlignedBytes data_;
};

// One thread's memory within a piece of work: bump allocation, forgotten at the next start().
class ThreadScratch {
 public:
  // Room for `bytes` in all.
  void start(std::size_t bytes) {
    if (bytes > size_) {
      data_ = allocate_aligned(bytes);
      size_ = bytes;
    }
    used_ = 0;
  }
  template <typename T>
  T* take(std::int64_t count) {
    T* const data = reinterpret_cast<T*>(data_.get() + used_);
    used_ += rounded(static_cast<std::size_t>(count) * sizeof(T));
    return data;
  }
  static constexpr std::size_t rounded(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

 private:
  AlignedBytes data_;
  std::size_t size_ = 0;
  std::size_t used_ = 0;
};

}  // namespace pi0::cpu
