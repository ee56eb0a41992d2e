// Libraries that multiply matrices, to measure ours against: those that pi0 was built with
// (PI0_BENCH_LIBRARIES); by default none.
#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pi0 {

struct MatrixShape {
  std::string name;
  std::int64_t rows = 0;  // of activations
  std::int64_t depth = 0;
  std::int64_t columns = 0;  // of the weights

  // A multiply-add is two.
  double operations() const {
    return 2.0 * static_cast<double>(rows) * static_cast<double>(depth) *
           static_cast<double>(columns);
  }
};

class OtherLibrary {
 public:
  virtual ~OtherLibrary() = default;
  virtual std::string name() const = 0;  // a JSON key: "libxsmm"
  virtual std::string version() const = 0;
  // The best of several times, with the operands packed as the library likes them best; none where
  // it has no fast kernel of this type ("bf16", "int8", "fp32") for this machine.
  virtual std::optional<double> seconds(const MatrixShape& shape, std::string_view dtype,
                                        int threads) = 0;
};

std::vector<std::unique_ptr<OtherLibrary>> other_libraries();
std::unique_ptr<OtherLibrary> make_libxsmm();  // defined where built with it
std::unique_ptr<OtherLibrary> make_onednn();   // defined where built with it

// The best of five calls, after one to warm up: machines are shared.
template <typename Call>
double best_seconds(const Call& call) {
  using Clock = std::chrono::steady_clock;
  constexpr int kCalls = 5;
  call();
  double best = 0;
  for (int i = 0; i < kCalls; ++i) {
    const Clock::time_point start = Clock::now();
    call();
    const double taken = std::chrono::duration<double>(Clock::now() - start).count();
    best = i == 0 ? taken : std::min(best, taken);
  }
  return best;
}

// Operands: pseudo-random whole numbers of [0, 127], which every type holds exactly.
inline int operand_value(std::int64_t index) {
  return static_cast<int>(static_cast<std::uint64_t>(index) * 0x9E3779B97F4A7C15u >> 57);
}
// A whole number below 256 in bf16: its fp32 has no more bits.
inline std::uint16_t operand_bf16(std::int64_t index) {
  return static_cast<std::uint16_t>(
      std::bit_cast<std::uint32_t>(static_cast<float>(operand_value(index))) >> 16);
}

}  // namespace pi0
