// For the tests of the emulated card: tensors of values that every stored type holds exactly, and
// the options that a test does not care about.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "base/test_support.h"
#include "device/ttnn/emulated/emulated_shim.h"
#include "device/ttnn/shim/shim.h"
#include "pi0/error.h"

namespace pi0::emulated_testing {

using namespace shim;

using Floats = std::vector<float>;

inline std::unique_ptr<Api> make_card(const char* name = "n150") {
  return make_emulated_shim(*find_card(name));
}

inline std::size_t count(const Shape4& s) {
  return static_cast<std::size_t>(s[0] * s[1] * s[2] * s[3]);
}

// Multiples of 1/32 between -2 and 2: 7 bits, which bfloat16 holds.
inline Floats random_floats(const Shape4& shape, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_int_distribution<int> pick(-63, 63);
  Floats values(count(shape));
  for (float& v : values) v = static_cast<float>(pick(engine)) / 32;
  return values;
}

inline Tensor put(Api& api, const Shape4& shape, const Floats& values,
                  DataType dtype = DataType::kBfloat16, Layout layout = Layout::kTile,
                  Placement placement = Placement::kDram) {
  return api.to_device(values, shape, dtype, layout, placement);
}

inline Tensor zeros(Api& api, const Shape4& shape, DataType dtype = DataType::kBfloat16,
                    Layout layout = Layout::kTile, Placement placement = Placement::kDram) {
  return put(api, shape, Floats(count(shape)), dtype, layout, placement);
}

// Where TTNN's mask of "no more than these bits" does not matter: all bits, fp32 sums.
inline ComputeKernelConfig exact() { return {MathFidelity::kHiFi4, false, true, true}; }

// One block a core, of one tile.
inline LinearOptions linear_options(std::int64_t rows, std::int64_t columns,
                                    DataType dtype = DataType::kFloat32) {
  LinearOptions options;
  options.dtype = dtype;
  options.compute = exact();
  MatmulProgramConfig& config = options.program_config;
  config.grid = {8, 8};
  config.per_core_M = static_cast<int>((round_to_tile(rows) / kTile + 7) / 8);
  config.per_core_N = static_cast<int>((round_to_tile(columns) / kTile + 7) / 8);
  return options;
}

inline void expect_close(const Floats& got, const std::vector<double>& expected, double tolerance,
                         const std::string& what) {
  ASSERT_EQ(got.size(), expected.size()) << what;
  double worst = 0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double error = std::abs(got[i] - expected[i]) / (1 + std::abs(expected[i]));
    if (!(error <= worst)) {
      worst = error;
      at = i;
    }
  }
  EXPECT_LE(worst, tolerance) << what << ": at " << at << " " << got[at] << ", expected "
                              << expected[at];
}

template <typename Call>
void expect_refused(Call call, const std::string& part) {
  expect_error(ErrorCode::kUnsupported, {part}, call);
}

}  // namespace pi0::emulated_testing
