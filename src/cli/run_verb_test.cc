#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "checkpoint/test_support.h"
#include "cli/command_testing.h"
#include "files/json.h"
#include "files/npy.h"

namespace pi0 {
namespace {

using RunVerbTest = CommandTest;

TEST_F(RunVerbTest, WritesTheSameActionsInEveryForm) {
  for (const char* name : {"a.json", "a.csv", "a.npy", "a.safetensors"}) {
    const Result result = pi0(run("--out " + path(name)));
    ASSERT_EQ(result.status, 0) << result.err;
    EXPECT_NE(result.out.find("action_0"), std::string::npos) << "no table";
  }
  const NpyArray npy = read_npy(path("a.npy"));
  ASSERT_EQ(npy.shape, (std::vector<std::int64_t>{16, 4}));
  const Json json = read_json(path("a.json"));
  ASSERT_EQ(json["actions"].size(), 16u);
  for (std::size_t row = 0; row < 16; ++row) {
    for (std::size_t column = 0; column < 4; ++column) {
      EXPECT_EQ(json["actions"][row][column].get<float>(), npy.values[row * 4 + column]);
    }
  }
}

TEST_F(RunVerbTest, DrawsBesideAnotherMotion) {
  const Result result = pi0(run("--plot " + path("a.svg") + " --plot-with " +
                                (kSource / "examples/demo/expert.csv").string()));
  ASSERT_EQ(result.status, 0) << result.err;
  const std::string svg = read(path("a.svg"));
  EXPECT_EQ(svg.rfind("<svg", 0) != std::string::npos || svg.rfind("<?xml", 0) == 0, true);
  for (const char* word : {"open the drawer", "expert", "data:image/png;base64", "</svg>"}) {
    EXPECT_NE(svg.find(word), std::string::npos) << word;
  }
}

// Its seam is what the two files say, and is smaller than without guidance.
TEST_F(RunVerbTest, ContinuesAChunk) {
  ASSERT_EQ(pi0(run("--out " + path("a.json"))).status, 0);
  ASSERT_EQ(pi0(run("--out " + path("a.csv"))).status, 0);
  const Json a = read_json(path("a.json"))["actions"];
  const auto value = [](const Json& rows, int row, int i) { return rows[row][i].get<double>(); };
  std::map<std::string, double> jumps;
  for (const std::string weight : {"0", "10"}) {
    const Result result =
        pi0(run("--rtc-last-chunk " + path("a.csv") +
                " --rtc-executed 8 --rtc-delay 2 --rtc-max-guidance-weight " + weight + " --plot " +
                path("b.svg") + " --out " + path("b.json")));
    ASSERT_EQ(result.status, 0) << result.err;
    const Json b = read_json(path("b.json"));
    EXPECT_EQ(b["seam"]["delay"], 2);
    std::string largest;
    for (int i = 0; i < 4; ++i) {
      const double jump = value(b["actions"], 2, i) - value(a, 10, i);
      EXPECT_NEAR(b["seam"]["jump"][i].get<double>(), jump, 1e-6);
      EXPECT_NEAR(b["seam"]["velocity_change"][i].get<double>(),
                  value(b["actions"], 2, i) - value(a, 9, i) - (value(a, 9, i) - value(a, 8, i)),
                  1e-6);
      if (std::abs(jump) > jumps[weight]) largest = "(action_" + std::to_string(i) + "), ";
      jumps[weight] = std::max(jumps[weight], std::abs(jump));
    }
    EXPECT_NE(result.out.find("step 2 goes out in place of step 10 of " + path("a.csv")),
              std::string::npos)
        << result.out;
    EXPECT_NE(result.out.find(largest + "largest change of velocity"), std::string::npos)
        << result.out;
    EXPECT_NE(read(path("b.svg")).find(">left of a (8 of 16 steps)<"), std::string::npos);
  }
  EXPECT_LT(jumps["10"], jumps["0"] / 5);
  EXPECT_EQ(pi0(run("")).out.find("goes out in place"), std::string::npos);
}

TEST_F(RunVerbTest, RefusesToContinueWhatDoesNotFit) {
  write_npy(path("motion.npy"), {16, 5}, std::vector<float>(80));
  write_npy(path("short.npy"), {3, 4}, std::vector<float>(12));
  const std::string unloaded = "--rtc-last-chunk " + path("short.npy") + " --rtc-executed ";
  expect_error(pi0(run("--rtc-last-chunk " + path("motion.npy") + " --rtc-executed 1")),
               {"motion.npy", "5 dimensions", "4"});
  expect_error(pi0(run(unloaded + "4")), {"--rtc-executed is 4", "the 3 steps of", "short.npy"});
  expect_error(pi0(run(unloaded + "3 --rtc-delay 16")), {"inference_delay is 16", "0 to 15"});
  expect_error(pi0(run(unloaded + "3 --rtc-schedule cosine")), {"--rtc-schedule", "cosine"});
  expect_error(pi0(run(unloaded + "3 --rtc-horizon 0")), {"--rtc-horizon", "whole number"});
  expect_error(pi0(run("--rtc-last-chunk " + path("short.npy"))), {"requires --rtc-executed"});
  expect_error(pi0(run("--rtc-delay 1")), {"requires --rtc-last-chunk"});
  // It begins after the last of them, so nothing is left to draw.
  const Result late =
      pi0(run(unloaded + "3 --rtc-delay 20 --rtc-roll-state-forward --plot " + path("b.svg")));
  EXPECT_EQ(late.status, 0) << late.err;
  EXPECT_NE(late.out.find("step 0 goes out in place of step 23"), std::string::npos) << late.out;
  EXPECT_EQ(read(path("b.svg")).find("left of"), std::string::npos);
}

TEST_F(RunVerbTest, ShowsSecondsWhereTheRateIsGiven) {
  const Result result = pi0(run("--hz 10 --plot " + path("hz.svg")));
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("\n   3  0.300  "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("these 8 (0.8 s), then"), std::string::npos) << result.out;
  const std::string svg = read(path("hz.svg"));
  EXPECT_NE(svg.find(">seconds</text>"), std::string::npos);
  EXPECT_NE(svg.find(">training -0.413 … 0.396</text>"), std::string::npos);  // mean ± 2 std
  EXPECT_NE(svg.find("in the robot&#39;s own units"), std::string::npos);
  ASSERT_EQ(pi0(run("--raw --plot " + path("raw.svg"))).status, 0);
  const std::string raw = read(path("raw.svg"));
  EXPECT_EQ(raw.find("robot&#39;s own units"), std::string::npos);
  EXPECT_EQ(raw.find(">training "), std::string::npos);
  for (const char* rate : {"0", "-10", "nan", "inf", "fast", "1e9", "1e-9", "10,20", ""}) {
    const Result refused = pi0(run("--hz '" + std::string(rate) + "'"));
    EXPECT_EQ(refused.status, 2) << rate;
    EXPECT_NE(refused.err.find("--hz"), std::string::npos) << refused.err;
    EXPECT_NE(refused.err.find("0.001 to 1000"), std::string::npos) << refused.err;
  }
}

TEST_F(RunVerbTest, NamesAlohasUnits) {
  const Json truth = read_json(kSource / "testdata/aloha.json");
  const EditableCheckpoint aloha("openpi_pi0");
  write_file(aloha / "assets/my_robot/norm_stats.json",
             Json{{"norm_stats", truth["norm_stats"]}}.dump());
  write_file(path("state.json"), truth["state"].dump());
  const Result result =
      pi0("run " + aloha.path().string() + " --adapt-to-pi --device reference --tokenizer " +
          kPolicy + "/tokenizer.model --image base_0_rgb=" + kFrame + " --state " +
          path("state.json") + " --prompt go --plot " + path("aloha.svg"));
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_NE(read(path("aloha.svg")).find("in radians, grippers from 0 (closed) to 1 (open)"),
            std::string::npos);
}

TEST_F(RunVerbTest, RefusesBeforeItLoads) {
  expect_error(pi0(run("--out " + path("a.txt"))), {"a.txt", ".json"});
  expect_error(pi0(run("--out " + path("no/folder/a.json"))), {"no/folder"});
  expect_error(pi0(run("--image wrist=" + kFrame)), {"wrist", "base_0_rgb"});
  expect_error(pi0(run("--image base_0_rgb=" + kFrame)), {"base_0_rgb", "twice"});
  expect_error(pi0("run " + kPolicy + " --device reference --image base_0_rgb=" + kPolicy +
                   "/config.json --state 0,0,0,0 --prompt x"),
               {"config.json", "PNG"});
  expect_error(pi0("run " + path("absent") + " --device reference"), {"absent"});
  expect_error(pi0("run " + kPolicy +
                   " --device gpu --state 0,0,0,0 --prompt x --image base_0_rgb=" + kFrame),
               {"gpu", "cpu", "reference"});
  // Nothing is prepared, so nothing of it kept.
  expect_error(pi0("run " + kPolicy + " --device cpu --state 0,0,0 --image base_0_rgb=" + kFrame +
                   " --cache " + path("cache")),
               {"state: 3 values, expected 4"});
  expect_error(pi0(run("--dtype int8")), {"reference takes no dtype", "--device cpu"});
  expect_error(pi0("bench " + kPolicy + " --dtype fp16"), {"fp16", "bf16, int8 or fp32"});
  for (const auto& [option, word] :
       {std::pair("--threads 0", "whole number"), std::pair("--seed -1", "whole number"),
        std::pair("--seed 18446744073709551616", "out of range"),
        std::pair("--steps 100000000000", "out of range")}) {
    expect_error(pi0(run(option)), {word, "pi0 run --help"});
  }
  expect_error(pi0(run("--resize bicubic")), {"bicubic", "openpi", "lerobot"});
  EXPECT_EQ(files_left(), 0u);
}

TEST_F(RunVerbTest, NamesTheStateItCannotRead) {
  const std::string rest = "run " + kPolicy + " --device reference --image base_0_rgb=" + kFrame +
                           " --prompt x --state ";
  expect_error(pi0(rest + "0,1,2"), {"state", "3", "4"});
  expect_error(pi0(rest + "0,1,2,3,4"), {"state", "5", "4"});
  expect_error(pi0(rest + "0,nan,2,3"), {"state", "nan"});
  expect_error(pi0(rest + "0,one,2,3"), {"state", "one"});
}

TEST_F(RunVerbTest, TakesAnEmptyPromptButNotNone) {
  const std::string line = "run " + kPolicy + " --device reference --image base_0_rgb=" + kFrame +
                           " --state -0.0066,0.6386,0.2493,1 --seed 3";
  expect_error(pi0(line), {"no prompt", "--prompt \"\""});
  const Result empty = pi0(line + " --prompt ''");
  EXPECT_EQ(empty.status, 0) << empty.err;
  EXPECT_NE(empty.err.find("the prompt is empty"), std::string::npos) << empty.err;
  const Result equals = pi0("run --prompt= " + line.substr(4));  // and not what follows
  EXPECT_EQ(equals.status, 0) << equals.err;
  EXPECT_EQ(equals.err, empty.err);
  expect_error(
      pi0("run " + kPolicy + " --device reference --image base_0_rgb=" + kFrame + " --prompt x"),
      {"no state", "expected 4"});
}

TEST_F(RunVerbTest, WarnsOfAStateInOtherUnits) {
  const Result result = pi0("run " + kPolicy + " --device reference --image base_0_rgb=" + kFrame +
                            " --state -0.4,36.6,14.3,57 --prompt 'open the drawer' --seed 3");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.err.find("far outside its statistics"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("value 1 is 36.6"), std::string::npos) << result.err;
  EXPECT_EQ(pi0(run("")).err, "");
}

TEST_F(RunVerbTest, KeepsWhatItCannotReplace) {
  if (geteuid() == 0) {  // root may write everywhere: a folder in the way instead
    std::filesystem::create_directories(path("a.json"));
  } else {
    std::ofstream(path("a.json")) << "before";
    std::filesystem::permissions(
        folder, std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  }
  const Result result = pi0(run("--out " + path("a.json")), "");
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
  EXPECT_EQ(result.status, 2);
  EXPECT_NE(result.err.find("a.json"), std::string::npos) << result.err;
  EXPECT_EQ(files_left(), 1u);
}

TEST_F(RunVerbTest, NamesANoiseOrAMotionOfAnotherShape) {
  const std::string line = "run " + kPolicy + " --device reference --image base_0_rgb=" + kFrame +
                           " --state 0,0.6,0.2,1 --prompt x ";
  write_npy(path("transposed.npy"), {8, 16}, std::vector<float>(128));
  expect_error(pi0(line + "--noise " + path("transposed.npy")), {"[8, 16]", "[16, 8]"});
  write_npy(path("motion.npy"), {16, 5}, std::vector<float>(80));
  expect_error(pi0(line + "--plot " + path("a.svg") + " --plot-with " + path("motion.npy")),
               {"motion.npy", "5 dimensions", "4"});
}

TEST_F(RunVerbTest, FindsTheTokenizerOrSaysWhere) {
  std::filesystem::copy(kPolicy, path("policy"), std::filesystem::copy_options::recursive);
  std::filesystem::remove(path("policy/tokenizer.model"));
  std::filesystem::remove(path("policy/tokenizer.json"));
  const std::string line = "run " + path("policy") +
                           " --device reference --image base_0_rgb=" + kFrame +
                           " --state 0,0.6,0.2,1 --prompt 'open the drawer'";
  expect_error(pi0(line), {"tokenizer", "PI0_TOKENIZER", "paligemma"});
  EXPECT_EQ(pi0(line + " --tokenizer " + kPolicy + "/tokenizer.json").status, 0);
  EXPECT_EQ(pi0(line, "PI0_TOKENIZER=" + kPolicy + "/tokenizer.model").status, 0);
}

}  // namespace
}  // namespace pi0
