// What the tests of row kernels share: each level of compilation.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <random>
#include <vector>

#include "device/cpu/isa/isa.h"
#include "device/cpu/kernels/kernels.h"

namespace pi0::cpu {

struct Level {
  const char* name;
  Isa isa;
  const RowKernels* kernels;
};
inline void PrintTo(const Level& level, std::ostream* out) { *out << level.name; }

inline const Level kLevels[] = {
    {"portable", Isa::kPortable, &portable::kRows},
#if defined(__x86_64__)
    {"avx2", Isa::kAvx2, &avx2::kRows},
    {"avx512", Isa::kAvx512, &avx512::kRows},
#endif
};

class LevelTest : public testing::TestWithParam<Level> {
 protected:
  void SetUp() override {
    if (!is_supported(GetParam().isa)) {
      GTEST_SKIP() << "NOT RUN: this machine has no " << GetParam().name;
    }
  }
  static const RowKernels& kernels() { return *GetParam().kernels; }
  static std::vector<int> tile_columns() {
    if (GetParam().isa == Isa::kAvx512) return {32};
    return {16, 32};
  }
  std::vector<float> values(std::int64_t count, float size = 1) {
    std::normal_distribution<float> normal(0, size);
    std::vector<float> result(static_cast<std::size_t>(count));
    for (float& value : result) value = normal(generator);
    return result;
  }
  std::mt19937 generator{3};
};

}  // namespace pi0::cpu
