// Each kernel that multiplies, of every instruction set, against plain loops over the layout that
// kernels/kernels.h documents.
#include "device/cpu/kernels/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <new>
#include <ostream>
#include <random>
#include <vector>

#include "device/cpu/isa/amx_testing.h"
#include "device/cpu/isa/isa.h"
#include "device/host_tensor.h"

namespace pi0::cpu {
namespace {

struct Case {
  const char* name;
  const MultiplyKernel* kernel;
  std::function<bool()> runs_here;
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

std::vector<Case> cases() {
  const auto has = [](Isa isa) { return [isa] { return is_supported(isa); }; };
  const auto amx_or_software = [] { return is_supported(Isa::kAmx) || emulate_amx(); };
  return {
    {"portable_f32", &portable::kF32, has(Isa::kPortable)},
        {"portable_bf16", &portable::kBf16, has(Isa::kPortable)},
        {"portable_int8", &portable::kInt8, has(Isa::kPortable)},
#if defined(__x86_64__)
        {"avx2_f32", &avx2::kF32, has(Isa::kAvx2)}, {"avx2_bf16", &avx2::kBf16, has(Isa::kAvx2)},
        {"avx2_int8", &avx2::kInt8, has(Isa::kAvx2)},
        {"avx512_f32", &avx512::kF32, has(Isa::kAvx512)},
        {"avx512_bf16", &avx512::kBf16, has(Isa::kAvx512)},
        {"avx512_int8", &avx512::kInt8, has(Isa::kAvx512)},
        {"avx512_vnni_int8", &avx512_vnni::kInt8, has_avx512_vnni},
        {"avx512_bf16_bf16", &avx512_bf16::kBf16, has(Isa::kAvx512Bf16)},
        {"amx_bf16", &amx::kBf16, amx_or_software}, {"amx_int8", &amx::kInt8, amx_or_software},
#endif
  };
}

std::vector<Case> integer_cases() {
  std::vector<Case> some = cases();
  std::erase_if(some, [](const Case& one) { return one.kernel->weights != Number::kInt8; });
  return some;
}

// Memory of `count` values, as much as a kernel may touch and no more: sanitizers see the rest.
// Tiles and panels of a device begin at a multiple of 64.
template <typename T>
class Memory {
 public:
  explicit Memory(std::int64_t count)
      : data_(static_cast<T*>(
            ::operator new[](static_cast<std::size_t>(count) * sizeof(T), std::align_val_t{64}))) {}
  ~Memory() { ::operator delete[](data_, std::align_val_t{64}); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  T& operator[](std::int64_t index) { return data_[index]; }
  T* data() { return data_; }

 private:
  T* data_;
};

std::uint16_t bf16_bits(float x) {  // of values that bf16 has
  std::uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return static_cast<std::uint16_t>(bits >> 16);
}

class MultiplyKernelTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!GetParam().runs_here()) {
      GTEST_SKIP() << "NOT RUN: this machine has no " << kernel().name << " (" << GetParam().name
                   << ")";
    }
  }
  static const MultiplyKernel& kernel() { return *GetParam().kernel; }
  static bool integers() { return kernel().weights == Number::kInt8; }

  // a [rows][depth] and b [columns][depth], whole numbers where the kernel has integers, else
  // values that bf16 has: packed, multiplied, and compared with the sums of products.
  void expect_product(int rows, std::int64_t depth, bool add,
                      const std::function<double()>& a_value,
                      const std::function<double()>& b_value) {
    const MultiplyKernel& k = kernel();
    std::vector<double> a(static_cast<std::size_t>(rows * depth));
    std::vector<double> b(static_cast<std::size_t>(k.columns * depth));
    for (double& value : a) value = a_value();
    for (double& value : b) value = b_value();

    // [depth / activation_group][rows][activation_group]
    Memory<std::byte> activations(rows * depth * size_of(k.activations));
    for (int i = 0; i < rows; ++i) {
      for (std::int64_t d = 0; d < depth; ++d) {
        const std::int64_t place =
            (d / k.activation_group * rows + i) * k.activation_group + d % k.activation_group;
        put(activations.data(), place, k.activations, a[static_cast<std::size_t>(i * depth + d)],
            k.offset);
      }
    }
    // [depth / weight_group][columns][weight_group]
    Memory<std::byte> weights(k.columns * depth * size_of(k.weights));
    for (int j = 0; j < k.columns; ++j) {
      for (std::int64_t d = 0; d < depth; ++d) {
        const std::int64_t place =
            (d / k.weight_group * k.columns + j) * k.weight_group + d % k.weight_group;
        put(weights.data(), place, k.weights, b[static_cast<std::size_t>(j * depth + d)], 0);
      }
    }
    Memory<float> tile(rows * k.columns);  // or int32
    std::vector<double> before(static_cast<std::size_t>(rows * k.columns));
    for (std::size_t i = 0; i < before.size(); ++i) {
      before[i] = static_cast<double>(i % 61) - 30;
      const auto at = static_cast<std::int64_t>(i);
      if (integers()) {
        const auto whole = static_cast<std::int32_t>(before[i]);
        std::memcpy(tile.data() + at, &whole, 4);
      } else {
        tile[at] = static_cast<float>(before[i]);
      }
      if (!add) before[i] = 0;
    }

    k.multiply(activations.data(), weights.data(), tile.data(), depth, rows, add);
    if (k.end != nullptr) k.end();

    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < k.columns; ++j) {
        const std::int64_t at = i * k.columns + j;
        double sum = before[static_cast<std::size_t>(at)], size = std::abs(sum) + 1e-30;
        for (std::int64_t d = 0; d < depth; ++d) {
          const double product = (a[static_cast<std::size_t>(i * depth + d)] + k.offset) *
                                 b[static_cast<std::size_t>(j * depth + d)];
          sum += product;
          size += std::abs(product);
        }
        if (integers()) {
          std::int32_t value;
          std::memcpy(&value, tile.data() + at, 4);
          ASSERT_EQ(value, sum) << rows << " rows, depth " << depth << ", at " << i << ' ' << j;
        } else {
          // Each addition rounds by at most 2^-24 of the sum so far, a few of them the worst way.
          const double limit = size * std::ldexp(1.0, -24) * (3 + 0.1 * static_cast<double>(depth));
          ASSERT_NEAR(tile[at], sum, limit)
              << rows << " rows, depth " << depth << ", at " << i << ' ' << j;
        }
      }
    }
  }

  std::mt19937 generator{5};

 private:
  static void put(std::byte* to, std::int64_t place, Number type, double value, int offset) {
    const auto write = [&](auto typed) {
      std::memcpy(to + place * static_cast<std::int64_t>(sizeof typed), &typed, sizeof typed);
    };
    const int whole = static_cast<int>(value) + offset;
    switch (type) {
      case Number::kF32:
        return write(static_cast<float>(value));
      case Number::kBf16:
        return write(bf16_bits(static_cast<float>(value)));
      case Number::kInt8:
        return write(static_cast<std::uint8_t>(whole));
      case Number::kInt16:
        return write(static_cast<std::int16_t>(whole));
    }
  }
};

class IntegerKernelTest : public MultiplyKernelTest {};

TEST_P(MultiplyKernelTest, IsTheSumOfProducts) {
  std::uniform_int_distribution<int> whole(-127, 127);
  std::normal_distribution<float> normal;
  const auto value = [&]() -> double {
    return integers() ? whole(generator) : bf16_to_float(bf16_bits(normal(generator)));
  };
  const std::int64_t group = kernel().activation_group;
  ASSERT_EQ(group % kernel().weight_group, 0);
  for (int rows = 1; rows <= kernel().rows; ++rows) {
    for (const std::int64_t groups : {1, 2, 3, 7, 64}) {
      for (const bool add : {false, true}) {
        expect_product(rows, groups * group, add, value, value);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// The most that a sum can come to, over the longest depth of π0 (16384, the hidden layer), and over
// the longest that the device takes: no step of it may saturate or wrap.
TEST_P(IntegerKernelTest, LargestSumsAreExact) {
  for (const int a : {-127, 127}) {
    for (const int b : {-127, 127}) {
      const auto largest = [&](int rows, std::int64_t depth) {
        expect_product(
            rows, depth, false, [&] { return a; }, [&] { return b; });
      };
      largest(kernel().rows, 16384);
      largest(1, 66311 / kernel().activation_group * kernel().activation_group);
      if (HasFatalFailure()) return;
    }
  }
  // Extremes that cancel, in every order.
  const auto either = [&] { return generator() % 2 == 0 ? 127.0 : -127.0; };
  expect_product(kernel().rows, 16384, true, either, either);
}

// One tile after another of different sizes, as the last of a row of tiles is: what is set up for
// one does not serve the next.
TEST_P(MultiplyKernelTest, TilesOfDifferentSizesInOnePieceOfWork) {
  const MultiplyKernel& k = kernel();
  Memory<std::byte> activations(k.rows * k.activation_group * size_of(k.activations));
  Memory<std::byte> weights(k.columns * k.activation_group * size_of(k.weights));
  std::memset(weights.data(), 0,
              static_cast<std::size_t>(k.columns * k.activation_group * size_of(k.weights)));
  std::memset(activations.data(), 0,
              static_cast<std::size_t>(k.rows * k.activation_group * size_of(k.activations)));
  Memory<float> tile(k.rows * k.columns);
  for (const int rows : {k.rows, 1, k.rows - 1, 2, k.rows}) {
    for (std::int64_t i = 0; i < k.rows * k.columns; ++i) tile[i] = 1;
    k.multiply(activations.data(), weights.data(), tile.data(), k.activation_group, rows, false);
    for (std::int64_t i = 0; i < k.rows * k.columns; ++i) {
      ASSERT_EQ(tile[i], i < rows * k.columns ? 0 : 1) << rows << " rows, at " << i;
    }
  }
  if (k.end != nullptr) k.end();
}

TEST_P(MultiplyKernelTest, PeakCountsAnOperationOfEveryInstruction) {
  EXPECT_GT(kernel().peak_operations, 0);
  kernel().peak(3);
}

INSTANTIATE_TEST_SUITE_P(All, MultiplyKernelTest, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(All, IntegerKernelTest, testing::ValuesIn(integer_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace pi0::cpu
