// testdata/golden/preprocess/normalisation.safetensors: what lerobot's steps and openpi's formulas
// gave, a zero std and an empty quantile range among the statistics.
#include "policy/normalize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "files/safetensors.h"

namespace pi0 {
namespace {

class Goldens {
 public:
  std::vector<float> values(const std::string& name) const {
    const SafeTensor* tensor = file_.find(name);
    if (tensor == nullptr) throw std::runtime_error("no golden " + name);
    std::vector<float> values(tensor->bytes.size() / sizeof(float));
    std::memcpy(values.data(), tensor->bytes.data(), tensor->bytes.size());
    return values;
  }
  std::vector<double> doubles(const std::string& name) const {
    const std::vector<float> floats = values(name);
    return {floats.begin(), floats.end()};
  }

 private:
  SafeTensors file_ =
      SafeTensors::open(PI0_SOURCE_DIR "/testdata/golden/preprocess/normalisation.safetensors");
};

struct Case {
  const char* name;
  Family family;
  NormalizationMode mode;
  double eps;
};

class NormalizeGolden : public testing::TestWithParam<Case> {
 protected:
  Normalization statistics(const std::string& feature) const {
    const bool moments = GetParam().mode == NormalizationMode::kMeanStd;
    return {GetParam().mode, GetParam().eps,
            goldens.doubles(feature + (moments ? ".mean" : ".q01")),
            goldens.doubles(feature + (moments ? ".std" : ".q99"))};
  }
  // Row by row; within 1e-6 of each value's magnitude, at least 1.
  void expect_rows(const std::string& input, const std::string& expected, auto&& transform) {
    const std::vector<float> in = goldens.values(input), out = goldens.values(expected);
    ASSERT_EQ(in.size(), out.size());
    constexpr std::size_t kDims = 14;
    for (std::size_t row = 0; row < in.size() / kDims; ++row) {
      const std::vector<double> got = transform(std::span(in).subspan(row * kDims, kDims));
      for (std::size_t i = 0; i < kDims; ++i) {
        const double want = out[row * kDims + i];
        EXPECT_NEAR(got[i], want, 1e-6 * std::max(1.0, std::abs(want))) << row << ", " << i;
      }
    }
  }
  Goldens goldens;
};

TEST_P(NormalizeGolden, State) {
  const Normalization normalization = statistics("observation.state");
  expect_rows("state", std::string(GetParam().name) + ".state", [&](std::span<const float> row) {
    return normalize(row, normalization, GetParam().family);
  });
}

TEST_P(NormalizeGolden, Action) {
  const Normalization normalization = statistics("action");
  expect_rows("model_action", std::string(GetParam().name) + ".action",
              [&](std::span<const float> row) {
                return unnormalize(row, normalization, GetParam().family);
              });
}

INSTANTIATE_TEST_SUITE_P(
    Families, NormalizeGolden,
    testing::Values(Case{"lerobot.mean_std", Family::kLerobot, NormalizationMode::kMeanStd, 1e-8},
                    Case{"lerobot.quantiles", Family::kLerobot, NormalizationMode::kQuantiles,
                         1e-8},
                    Case{"openpi.mean_std", Family::kOpenpi, NormalizationMode::kMeanStd, 1e-6},
                    Case{"openpi.quantiles", Family::kOpenpi, NormalizationMode::kQuantiles, 1e-6}),
    [](const auto& info) {
      std::string name = info.param.name;
      name[name.find('.')] = '_';
      return name;
    });

TEST(NormalizeTest, IdentityChangesNothing) {
  const std::vector<float> x{-3, 0, 7};
  EXPECT_EQ(normalize(x, {}, Family::kLerobot), (std::vector<double>{-3, 0, 7}));
  EXPECT_EQ(unnormalize(x, {}, Family::kOpenpi), (std::vector<double>{-3, 0, 7}));
}

TEST(NormalizeTest, MinMaxGoesToMinusOneAndOneAndBack) {
  const Normalization range{NormalizationMode::kMinMax, 1e-8, {-2, 10}, {6, 20}};
  EXPECT_EQ(normalize(std::vector<float>{-2, 20}, range, Family::kLerobot),
            (std::vector<double>{-1, 1}));
  EXPECT_EQ(unnormalize(std::vector<float>{0, -1}, range, Family::kLerobot),
            (std::vector<double>{2, 10}));
}

// openpi: statistics longer than the vector are cut, shorter ones leave the rest as it is.
TEST(NormalizeTest, StatisticsOfAnotherLength) {
  const Normalization moments{NormalizationMode::kMeanStd, 0, {1, 2}, {2, 4}};
  EXPECT_EQ(normalize(std::vector<float>{3}, moments, Family::kOpenpi), (std::vector<double>{1}));
  EXPECT_EQ(normalize(std::vector<float>{3, 10, 5}, moments, Family::kOpenpi),
            (std::vector<double>{1, 2, 5}));
}

// Ten times the range from its middle, ten deviations from the mean: there and not before.
TEST(FarOutside, IsMoreThanTenTimesTheRange) {
  const Normalization range{NormalizationMode::kQuantiles, 1e-6, {-1, 100}, {3, 110}};
  const Normalization deviation{NormalizationMode::kMeanStd, 1e-6, {1}, {0.5}};
  const auto far = [](const std::vector<float>& vector, const Normalization& normalization) {
    return far_outside(vector, normalize(vector, normalization, Family::kOpenpi), normalization);
  };
  EXPECT_EQ(far({20.9f, 56}, range), "");
  EXPECT_EQ(far({21.1f, 105}, range), "value 0 is 21.1 where the range is -1 to 3");
  EXPECT_EQ(far({-19.1f, 156}, range),
            "value 0 is -19.1 where the range is -1 to 3, value 1 is 156 where the range is 100 to "
            "110");
  EXPECT_EQ(far({5.9f}, deviation), "");
  EXPECT_EQ(far({-4.1f}, deviation), "value 0 is -4.1 where the mean is 1 and the std 0.5");
  EXPECT_EQ(far({1e9f}, Normalization()), "");
  EXPECT_EQ(far({0, 105, 1e9f}, range), "");  // that there are no statistics of
}

}  // namespace
}  // namespace pi0
