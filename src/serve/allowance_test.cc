#include "serve/allowance.h"

#include <gtest/gtest.h>

namespace pi0 {
namespace {

using namespace std::chrono_literals;

int takes(Allowance& allowance, Clock::time_point now) {
  int count = 0;
  while (allowance.take(now)) ++count;
  return count;
}

TEST(AllowanceTest, ComesBackWithTime) {
  const Clock::time_point begin = {};
  Allowance allowance(4, begin);
  EXPECT_EQ(takes(allowance, begin), 1);
  EXPECT_EQ(takes(allowance, begin + 200ms), 0);
  EXPECT_EQ(takes(allowance, begin + 250ms), 1);
  EXPECT_EQ(takes(allowance, begin + 750ms), 2);
  EXPECT_EQ(takes(allowance, begin + 1h), 4);  // a second's worth
}

TEST(AllowanceTest, OneComesAtOnceHoweverSeldom) {
  const Clock::time_point begin = {};
  Allowance allowance(0.5, begin);
  EXPECT_EQ(takes(allowance, begin), 1);
  EXPECT_EQ(takes(allowance, begin + 1s), 0);
  EXPECT_EQ(takes(allowance, begin + 2s), 1);
  EXPECT_EQ(takes(allowance, begin + 1h), 1);
}

}  // namespace
}  // namespace pi0
