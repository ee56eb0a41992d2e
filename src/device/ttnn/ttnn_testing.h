// What the tests of the TTNN device share: it on an emulated card, and the reference device, given
// the same.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "device/reference/reference.h"
#include "device/test_support.h"
#include "device/ttnn/emulated/emulated_shim.h"
#include "device/ttnn/ttnn.h"

namespace pi0 {
// bf16 activations have 8 bits, bfp8 weights 7: what they change is below 1 % of a result's size.
// A wrong operation correlates far less.
inline constexpr double kPcc = 0.999;

inline double correlation(const std::vector<float>& a, const std::vector<float>& b) {
  const auto n = static_cast<double>(a.size());
  double sum_a = 0, sum_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum_a += a[i];
    sum_b += b[i];
  }
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = a[i] - sum_a / n, y = b[i] - sum_b / n;
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return ab / std::sqrt(aa * bb);
}

inline void expect_close(const std::vector<float>& actual, const std::vector<float>& expected,
                         const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double largest = 0, magnitude = 1e-3;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_TRUE(std::isfinite(actual[i])) << what << " element " << i;
    largest = std::max(largest, std::abs(double{actual[i]} - expected[i]));
    magnitude = std::max(magnitude, std::abs(double{expected[i]}));
  }
  EXPECT_LE(largest, 0.05 * magnitude) << what;
  if (actual.size() > 16) {
    EXPECT_GE(correlation(actual, expected), kPcc) << what;
  }
}

class TtnnTest : public testing::TestWithParam<std::string> {
 protected:
  TtnnTest()
      : card(*find_card(GetParam())),
        ttnn(make_ttnn_device(make_emulated_shim(card), default_policies(card), "ttnn-emulated")),
        reference(make_reference_device()) {}

  struct Both {
    Tensor ttnn, reference;
  };
  Both upload(const Shape& shape, float size = 1) {
    const std::vector<float> values = random.values(element_count(shape), size);
    return {ttnn->upload(shape, values), reference->upload(shape, values)};
  }
  void expect_same(const Tensor& actual, const Tensor& expected, const std::string& what) {
    EXPECT_EQ(actual.shape(), expected.shape()) << what;
    expect_close(ttnn->download(actual), reference->download(expected), what);
  }

  Random random;
  const Card& card;
  std::unique_ptr<Device> ttnn, reference;
};

}  // namespace pi0
