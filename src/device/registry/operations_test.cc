// Every operation of every device that is here, against the reference device, on odd sizes. What
// is a device's own is in its folder.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "device/reference/reference.h"
#include "device/registry/registry.h"
#include "device/test_support.h"

namespace pi0 {
namespace {

// Each by its name, and by what it says may follow the colon.
std::vector<std::string> device_names() {
  std::vector<std::string> names;
  for (const DeviceInfo& device : available_devices()) {
    if (!device.absent.empty()) continue;
    names.push_back(device.name);
    for (const DeviceNameForm& form : device.forms) {
      if (form.form.starts_with(':')) names.push_back(device.name + form.form);
    }
  }
  return names;
}

struct Named {
  const char* name;
  OperationSizes sizes;
};
void PrintTo(const Named& named, std::ostream* out) { *out << named.name; }
const Named kSizes[] = {
    {"small", {}},
    {"ones", {1, 2, 2, 1, 1, 1, 2, 1, 0.5f}},
    // Left-over pixels, primes.
    {"primes", {3, 17, 5, 37, 3, 1, 14, 53, 0.2f}},
    // More than one tile of everything.
    {"wide", {2, 21, 3, 101, 8, 2, 34, 131, 0.1f}},
};

class EveryDevice : public testing::TestWithParam<std::tuple<std::string, Named>> {};

double correlation(const std::vector<float>& a, const std::vector<float>& b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
  }
  return aa == 0 && bb == 0 ? 1 : ab / std::sqrt(aa * bb);
}

TEST_P(EveryDevice, ComputesWhatTheReferenceDoes) {
  const auto& [name, named] = GetParam();
  const OpenDevice opened = open_device({.name = name});
  const auto actual = every_operation(*opened.device, named.sizes);
  const auto expected = every_operation(*make_reference_device(), named.sizes);
  ASSERT_EQ(actual.size(), expected.size());
  // They follow one another: the last has the roundings of some ten products.
  const double least = 1 - 10 * (1 - opened.least_correlation);
  for (const auto& [operation, values] : expected) {
    const std::vector<float>& found = actual.at(operation);
    ASSERT_EQ(found.size(), values.size()) << operation;
    double largest = 0, magnitude = 1;
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_TRUE(std::isfinite(found[i])) << operation << " " << i;
      largest = std::max(largest, std::abs(double{found[i]} - values[i]));
      magnitude = std::max(magnitude, std::abs(double{values[i]}));
    }
    if (opened.least_correlation == 0) {
      EXPECT_LE(largest, 2e-5 * magnitude) << operation;
    } else {
      EXPECT_GE(correlation(found, values), least) << operation;
      EXPECT_LE(largest, 0.3 * magnitude) << operation;
    }
  }
}

std::string test_name(const testing::TestParamInfo<EveryDevice::ParamType>& info) {
  std::string name = std::get<0>(info.param) + "_" + std::get<1>(info.param).name;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, EveryDevice,
                         testing::Combine(testing::ValuesIn(device_names()),
                                          testing::ValuesIn(kSizes)),
                         test_name);

}  // namespace
}  // namespace pi0
