#include "actions/action_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "base/text.h"

namespace pi0 {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

ActionChunk chunk_of(int horizon, std::vector<std::string> names, std::vector<float> actions) {
  ActionChunk chunk;
  chunk.horizon = horizon;
  chunk.dims = static_cast<int>(names.size());
  chunk.n_action_steps = horizon;
  chunk.names = std::move(names);
  chunk.actions = std::move(actions);
  return chunk;
}

TEST(ActionTable, AlignsNumbersUnderTheirNames) {
  ActionChunk chunk =
      chunk_of(3, {"x", "gripper", "angle"}, {0.12345f, 1, 90, -0.5f, -1, -123.456f, 0, 0, 0});
  chunk.n_action_steps = 2;
  EXPECT_EQ(action_table(chunk),
            "step        x  gripper    angle\n"
            "   0   0.1235   1.0000    90.00\n"
            "   1  -0.5000  -1.0000  -123.46\n"
            "── the robot executes these 2, then looks again ──\n"
            "   2   0.0000   0.0000     0.00\n");
}

TEST(ActionTable, SaysWhenAStepIsWhereTheRateIsKnown) {
  ActionChunk chunk = chunk_of(3, {"x"}, {1, 2, 3});
  chunk.n_action_steps = 2;
  EXPECT_EQ(action_table(chunk, 80, 30),
            "step      s       x\n"
            "   0  0.000  1.0000\n"
            "   1  0.033  2.0000\n"
            "── the robot executes these 2 (0.0667 s), then looks again ──\n"
            "   2  0.067  3.0000\n");
  // In every block, within the terminal's width.
  const std::string wide = action_table(chunk_of(1, {"a", "b", "c"}, {1, 2, 3}), 21, 10);
  EXPECT_EQ(wide,
            "step      s       a\n   0  0.000  1.0000\n\n"
            "step      s       b\n   0  0.000  2.0000\n\n"
            "step      s       c\n   0  0.000  3.0000\n");
}

TEST(ActionTable, HasNoRuleWhereAllStepsAreExecuted) {
  EXPECT_EQ(action_table(chunk_of(1, {"x"}, {2})), "step       x\n   0  2.0000\n");
}

TEST(ActionTable, SaysOneStepAsOne) {
  ActionChunk chunk = chunk_of(2, {"x"}, {2, 3});
  chunk.n_action_steps = 1;
  EXPECT_NE(action_table(chunk).find("executes this step, then"), std::string::npos);
}

TEST(ActionTable, GivesEachDimensionTheDigitsOfItsLargest) {
  const std::string table = action_table(chunk_of(
      1, {"a", "b", "c", "d", "e", "f"}, {12345, 0.001234f, 0.00001f, 3e8f, 99.95f, -0.0f}));
  EXPECT_EQ(lines_of(table)[1], "   0  12345  0.00123  1.000e-05  3.000e+08  99.950  0.0000");
}

TEST(ActionTable, WrapsIntoBlocksOfTheTerminalsWidth) {
  const int dims = 32;
  std::vector<std::string> names;
  for (int i = 0; i < dims; ++i) names.push_back("joint" + std::to_string(i));
  ActionChunk chunk = chunk_of(2, names, std::vector<float>(2 * dims, -0.25f));
  chunk.n_action_steps = 1;
  for (const int width : {1, 20, 50, 80, 120, 1000}) {
    const std::vector<std::string> lines = lines_of(action_table(chunk, width));
    std::string headers;
    for (const std::string& line : lines) {
      const bool rule = line.starts_with("─");
      if (width >= 50 && !rule) {
        EXPECT_LE(display_width(line), width);
      }
      if (line.starts_with("step")) {
        headers += line.substr(4);
        const auto columns = std::count(line.begin(), line.end(), 'j');
        EXPECT_LE(columns, 20);
        if (width == 1000) {
          EXPECT_EQ(columns, headers.find("joint20") == headers.npos ? 20 : 12);
        }
      }
    }
    std::istringstream words(headers);
    std::vector<std::string> shown;
    for (std::string word; words >> word;) shown.push_back(word);
    EXPECT_EQ(shown, names) << width;  // each once, in order
  }
}

TEST(ActionTable, LeavesOutAnEndingThatAllNamesShare) {
  const std::string shared =
      lines_of(action_table(chunk_of(1, {"shoulder_lift.pos", "gripper.pos"}, {1, 2})))[0];
  EXPECT_EQ(shared, "step  shoulder_lift  gripper");
  const std::string own = lines_of(action_table(chunk_of(1, {"arm.pos", "base.vel"}, {1, 2})))[0];
  EXPECT_EQ(own, "step  arm.pos  base.vel");
  EXPECT_EQ(lines_of(action_table(chunk_of(1, {"arm.pos"}, {1})))[0], "step  arm.pos");
  EXPECT_EQ(lines_of(action_table(chunk_of(1, {"a.pos", ".pos"}, {1, 2})))[0],
            "step   a.pos    .pos");
}

TEST(ActionTable, ShortensLongNamesAndAlignsWideOnes) {
  const std::vector<std::string> lines = lines_of(
      action_table(chunk_of(1, {"left_shoulder_rotation", "夹爪", "bad\x1b[31m"}, {1, 2, 3})));
  EXPECT_EQ(lines[0], "step  left_s…tation    夹爪  bad [31m");
  EXPECT_EQ(display_width(lines[0]), display_width(lines[1]));
}

}  // namespace
}  // namespace pi0
