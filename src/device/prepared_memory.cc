#include "device/prepared_memory.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <string>
#include <vector>

#include "pi0/error.h"

namespace pi0 {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kAlignment = 64;

class AnonymousMemory final : public PreparedMemory {
 public:
  ~AnonymousMemory() override {
    for (const Region& region : regions_) munmap(region.data, region.bytes);
  }

  Block take(std::size_t bytes) override {
    bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    if (used_ + bytes > (regions_.empty() ? 0 : regions_.back().bytes)) add_region(bytes);
    std::byte* const data = regions_.back().data + used_;
    used_ += bytes;
    return {data, false};
  }

 private:
  struct Region {
    std::byte* data;
    std::size_t bytes;
  };

  // Many small blocks share one; a large one begins its own, on a whole number of huge pages.
  void add_region(std::size_t bytes) {
    const std::size_t rounded = (bytes + kHugePage - 1) / kHugePage * kHugePage;
    void* const data =
        mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
      throw Error(ErrorCode::kOutOfMemory,
                  fmt::format("no memory for {} bytes of prepared weights", rounded));
    }
    madvise(data, rounded, MADV_HUGEPAGE);  // only a wish
    regions_.push_back({static_cast<std::byte*>(data), rounded});
    used_ = 0;
  }

  std::vector<Region> regions_;
  std::size_t used_ = 0;  // of the last region
};

class AbsentMemory final : public PreparedMemory {
 public:
  Block take(std::size_t) override { return {nullptr, true}; }
};

}  // namespace

std::unique_ptr<PreparedMemory> make_prepared_memory() {
  return std::make_unique<AnonymousMemory>();
}

std::unique_ptr<PreparedMemory> make_absent_memory() { return std::make_unique<AbsentMemory>(); }

}  // namespace pi0
