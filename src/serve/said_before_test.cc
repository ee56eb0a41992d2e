#include "serve/said_before.h"

#include <gtest/gtest.h>

namespace pi0 {
namespace {

TEST(SaidBeforeTest, SaysWhatIsNewAndForgetsTheOldest) {
  SaidBefore say_now;
  Clock::time_point now = Clock::now();
  const auto say = [&](const std::string& what) {
    now += std::chrono::seconds(1);
    return say_now(what, now);
  };
  EXPECT_TRUE(say("0"));
  EXPECT_FALSE(say("0"));
  for (std::size_t i = 1; i < SaidBefore::kMost; ++i) EXPECT_TRUE(say(std::to_string(i)));
  EXPECT_FALSE(say("0"));
  EXPECT_TRUE(say("one more"));
  EXPECT_FALSE(say("1"));
  EXPECT_TRUE(say("0"));  // the oldest it was
}

// Of a client that finds ever new things to get wrong.
TEST(SaidBeforeTest, SaysSoManyASecond) {
  SaidBefore say_now;
  const Clock::time_point begin = Clock::now();
  int said = 0;
  for (int i = 0; i < 2000; ++i) {
    if (say_now(std::to_string(i), begin + std::chrono::milliseconds(i))) ++said;
  }
  EXPECT_GE(said, 19);
  EXPECT_LE(said, 31);
  // What was not said is said when it comes again.
  EXPECT_TRUE(say_now("1999 again", begin + std::chrono::seconds(3)));
}

}  // namespace
}  // namespace pi0
