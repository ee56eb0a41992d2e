// What the tests of the CPU device share: it at each instruction set and type, and the reference
// device, given the same.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "device/cpu/cpu.h"
#include "device/cpu/isa/amx_testing.h"
#include "device/cpu/isa/kernel_table.h"
#include "device/reference/reference.h"
#include "device/test_support.h"

namespace pi0 {

// How far apart, as a share of the expected values' size, or of 1, the size of what goes in.
inline double relative_error(const std::vector<float>& actual, const std::vector<float>& expected) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(double{actual[i]} - expected[i], 2);
    size += std::pow(double{expected[i]}, 2);
  }
  const auto count = static_cast<double>(expected.size());
  return std::sqrt(difference / count) / std::max(1.0, std::sqrt(size / count));
}

// What the type may change in a chain of `products`, as relative_error() has it. Operands are
// random, and so are their roundings: of a sum of products they change as much as of one.
//   bf16  an operand is rounded by at most 2^-8 of it, 2^-8 / sqrt(3) / 1.4 on average; two are
//         rounded in a product: 0.0023 of it, and a half is left for luck where values are few
//   int8  a row's largest value is about 3 times its average, a step is 1/127 of that, and what is
//         rounded a step / sqrt(12): 0.007, of two operands 0.01; twice that where values are few
inline double type_error(CpuType type, int products) {
  switch (type) {
    case CpuType::kBf16:
      return products * 1.0 / 256;
    case CpuType::kInt8:
      return products * 2.5 / 127;
    case CpuType::kFp32:
      break;
  }
  return 1e-6;  // sums in another order; expect_near() looks at the single values
}

// fp32 against fp32 in another order.
inline void expect_near(const std::vector<float>& actual, const std::vector<float>& expected,
                        const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double magnitude = 1;
  for (const float value : expected) magnitude = std::max(magnitude, std::abs(double{value}));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], 1e-5 * magnitude) << what << " element " << i;
  }
}

using IsaAndType = std::tuple<cpu::Isa, CpuType>;

class CpuTest : public testing::TestWithParam<IsaAndType> {
 protected:
  void SetUp() override {
    if (!cpu::is_supported(isa()) && !(in_software() && cpu::emulate_amx())) {
      GTEST_SKIP() << "NOT RUN: this machine has no " << cpu::name_of(isa());
    }
    cpu = make(2);
  }

  static cpu::Isa isa() { return std::get<0>(GetParam()); }
  static CpuType type() { return std::get<1>(GetParam()); }
  static bool in_software() {
    return isa() == cpu::Isa::kAmx && type() != CpuType::kFp32 && !cpu::is_supported(isa());
  }
  static std::unique_ptr<Device> make(int threads,
                                      std::shared_ptr<cpu::BufferPool> buffers = nullptr) {
    const CpuOptions options{.type = type(),
                             .isa = isa(),
                             .threads = threads,
                             .memory = nullptr,
                             .buffers = std::move(buffers)};
    if (!in_software()) return make_cpu_device(options);
    return cpu::make_cpu_device(options, cpu::amx_in_software(type()));
  }

  struct Both {
    Tensor cpu, reference;
  };
  Both upload(const Shape& shape, float size = 1) {
    const std::vector<float> values = random.values(element_count(shape), size);
    return {cpu->upload(shape, values), reference->upload(shape, values)};
  }
  // What every type computes in fp32.
  void expect_same(const Tensor& actual, const Tensor& expected, const std::string& what) {
    EXPECT_EQ(actual.shape(), expected.shape()) << what;
    expect_near(cpu->download(actual), reference->download(expected), what);
  }
  // What comes of a chain of products in the type.
  void expect_close(const Tensor& actual, const Tensor& expected, const std::string& what,
                    int products = 1) {
    EXPECT_EQ(actual.shape(), expected.shape()) << what;
    expect_values_close(cpu->download(actual), reference->download(expected), what, products);
  }
  static void expect_values_close(const std::vector<float>& actual,
                                  const std::vector<float>& expected, const std::string& what,
                                  int products = 1, CpuType as = type()) {
    if (as == CpuType::kFp32) return expect_near(actual, expected, what);
    ASSERT_EQ(actual.size(), expected.size()) << what;
    EXPECT_LE(relative_error(actual, expected), type_error(as, products)) << what;  // not of NaN
  }

  Random random;
  std::unique_ptr<Device> cpu, reference = make_reference_device();
};

inline std::string isa_and_type(const testing::TestParamInfo<IsaAndType>& info) {
  return std::string(cpu::name_of(std::get<0>(info.param))) + "_" +
         name_of(std::get<1>(info.param));
}

}  // namespace pi0
