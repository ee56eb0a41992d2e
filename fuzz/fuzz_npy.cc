// Feeds bytes to the .npy reader. Whatever they are, it gives an array whose values fill its
// shape, or throws pi0::Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "files/npy.h"
#include "pi0/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const pi0::NpyArray array = pi0::parse_npy(std::as_bytes(std::span(data, size)), "fuzz.npy");
    std::uint64_t count = 1;
    for (const std::int64_t extent : array.shape) {
      if (extent < 0) std::abort();
      count *= static_cast<std::uint64_t>(extent);
    }
    if (count != array.values.size()) std::abort();
  } catch (const pi0::Error&) {
  }
  return 0;
}
