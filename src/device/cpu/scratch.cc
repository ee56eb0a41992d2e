#include "device/cpu/scratch.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <string>

#include "pi0/error.h"

namespace pi0::cpu {

AlignedBytes allocate_aligned(std::size_t bytes) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : 64;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* const data = std::aligned_alloc(alignment, rounded);
  if (data == nullptr) {
    throw Error(ErrorCode::kOutOfMemory,
                fmt::format("no memory for {} bytes of activations", rounded));
  }
  if (alignment == kHugePage) madvise(data, rounded, MADV_HUGEPAGE);  // only a wish
  return AlignedBytes(static_cast<std::byte*>(data));
}

}  // namespace pi0::cpu
