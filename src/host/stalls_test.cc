#include "host/stalls.h"

#include <gtest/gtest.h>

namespace pi0::cpu {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Stalls::Clock::time_point at(std::int64_t ms) {
  return Stalls::Clock::time_point(std::chrono::hours(1) + milliseconds(ms));
}

// How long after `ms` work is alone, in whole milliseconds.
std::int64_t alone_after(const Stalls& stalls, std::int64_t ms) {
  std::int64_t until = ms;
  while (stalls.recent(at(until))) ++until;
  return until - ms;
}

// A round of two items, of which the caller did one in 0.1 ms and waited 20 for the other.
void stall(Stalls& stalls, std::int64_t ms) {
  stalls.note(at(ms), microseconds(100), milliseconds(20), 1, 2);
}

TEST(StallsTest, ShortWorkIsAloneForLongerTheMoreThereAre) {
  Stalls stalls;
  EXPECT_EQ(alone_after(stalls, 0), 0);
  std::int64_t now = 0;
  for (const std::int64_t expected : {8, 16, 32, 64, 128, 128}) {
    stall(stalls, now);
    EXPECT_EQ(alone_after(stalls, now), expected);
    now += expected;
  }
}

TEST(StallsTest, AndForLessTheLongerAgoTheyWere) {
  Stalls stalls;
  std::int64_t now = 0;
  for (int i = 0; i < 6; ++i) {
    stall(stalls, now);
    now += alone_after(stalls, now);
  }
  for (const std::int64_t expected : {64, 32, 16, 8, 8}) {
    now += 1000;
    stall(stalls, now);
    EXPECT_EQ(alone_after(stalls, now), expected);
  }
}

TEST(StallsTest, OtherRoundsAreNone) {
  Stalls stalls;
  stalls.note(at(0), milliseconds(2), milliseconds(20), 1, 2);     // long work
  stalls.note(at(0), microseconds(100), microseconds(400), 1, 8);  // a short wait
  stalls.note(at(0), microseconds(900), milliseconds(2), 1, 8);    // faster than alone all the same
  stalls.note(at(0), microseconds(0), milliseconds(20), 0, 2);     // all was others'
  EXPECT_FALSE(stalls.recent(at(0)));
}

}  // namespace
}  // namespace pi0::cpu
