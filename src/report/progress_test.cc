#include "report/progress.h"

#include <gtest/gtest.h>

#include <sstream>

#include "base/text.h"

namespace pi0 {
namespace {

TEST(ProgressText, ShowsStageBarAndShare) {
  EXPECT_EQ(progress_text("loading", 0, 8, 80), "loading  [--------------------]   0%");
  EXPECT_EQ(progress_text("loading", 3, 8, 80), "loading  [#######-------------]  37%");
  EXPECT_EQ(progress_text("loading", 8, 8, 80), "loading  [####################] 100%");
}

TEST(ProgressText, StaysWithinItsBounds) {
  EXPECT_EQ(progress_text("loading", 9, 8, 80), "loading  [####################] 100%");
  EXPECT_EQ(progress_text("loading", 3, 0, 80), "loading");
  for (int width = 1; width < 60; ++width) {
    EXPECT_LE(display_width(progress_text("loading the weights of π0", 1, 3, width)), width);
  }
  const std::size_t most = static_cast<std::size_t>(-1);
  EXPECT_EQ(progress_text("s", most, most, 80), "s  [####################] 100%");
}

TEST(ProgressLine, ClearsWhatItWrote) {
  std::ostringstream out;
  {
    ProgressLine line(out, true, 80);
    line.update("loading", 0, 0);
    line.update("run", 0, 0);  // shorter: spaces over the rest
  }
  EXPECT_EQ(out.str(), "\rloading\rrun    \r   \r");
}

TEST(ProgressLine, LimitsItsRate) {
  std::ostringstream out;
  ProgressLine line(out, true, 80);
  for (int i = 0; i < 1000; ++i) line.update("loading", 0, 0);
  EXPECT_LE(out.str().size(), 10 * 8u);  // not a thousand times, even on a slow machine
}

TEST(ProgressLine, IsSilentWhereThereIsNoTerminal) {
  std::ostringstream out;
  {
    ProgressLine line(out, false, 80);
    line.update("loading", 1, 2);
  }
  EXPECT_EQ(out.str(), "");
}

}  // namespace
}  // namespace pi0
