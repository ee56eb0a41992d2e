// The command itself, as a user calls it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/test_support.h"
#include "checkpoint/test_support.h"
#include "files/json.h"
#include "files/npy.h"
#include "files/safetensors.h"

namespace pi0 {
namespace {

const std::filesystem::path kSource = PI0_SOURCE_DIR;
const std::string kPolicy = (kSource / "examples/policy").string();
const std::string kGolden = (kSource / "testdata/golden").string();
const std::string kFrame = (kSource / "examples/frames/drawer_open_corner.png").string();

struct Result {
  int status = 0;
  std::string out;
  std::string err;
};

class CommandTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (directory / name).string(); }
  static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  // `arguments` as a shell takes them.
  Result pi0(const std::string& arguments, const std::string& environment = "") const {
    const std::string line = environment + " " + PI0_COMMAND + " " + arguments + " >" +
                             path("stdout") + " 2>" + path("stderr");
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(path("stdout")),
            read(path("stderr"))};
  }
  std::string run(const std::string& more) const {
    return "run " + kPolicy + " --device reference --image base_0_rgb=" + kFrame +
           " --state -0.0066,0.6386,0.2493,1 --prompt 'open the drawer' --seed 3 " + more;
  }
  // One line on stderr that holds `words`, nothing on stdout, status 2.
  void expect_error(const Result& result, const std::vector<std::string>& words) const {
    EXPECT_EQ(result.status, 2) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    for (const std::string& word : words) {
      EXPECT_NE(result.err.find(word), std::string::npos) << "no " << word << " in " << result.err;
    }
  }
  std::size_t files_left() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder),
                                                  std::filesystem::directory_iterator())) -
           2;  // stdout and stderr
  }

  TemporaryDirectory directory;
  const std::filesystem::path& folder = directory.path();
};

TEST_F(CommandTest, RunWritesTheSameActionsInEveryForm) {
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

TEST_F(CommandTest, RunDrawsBesideAnotherMotion) {
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
TEST_F(CommandTest, RunContinuesAChunk) {
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

TEST_F(CommandTest, RunRefusesToContinueWhatDoesNotFit) {
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

TEST_F(CommandTest, RunShowsSecondsWhereTheRateIsGiven) {
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

TEST_F(CommandTest, RunNamesAlohasUnits) {
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

TEST_F(CommandTest, RunRefusesBeforeItLoads) {
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
        std::pair("--seed 18446744073709551616", "seed")}) {
    expect_error(pi0(run(option)), {word, "pi0 run --help"});
  }
  expect_error(pi0(run("--resize bicubic")), {"bicubic", "openpi", "lerobot"});
  EXPECT_EQ(files_left(), 0u);
}

TEST_F(CommandTest, RunNamesTheStateItCannotRead) {
  const std::string rest = "run " + kPolicy + " --device reference --image base_0_rgb=" + kFrame +
                           " --prompt x --state ";
  expect_error(pi0(rest + "0,1,2"), {"state", "3", "4"});
  expect_error(pi0(rest + "0,1,2,3,4"), {"state", "5", "4"});
  expect_error(pi0(rest + "0,nan,2,3"), {"state", "nan"});
  expect_error(pi0(rest + "0,one,2,3"), {"state", "one"});
}

TEST_F(CommandTest, RunTakesAnEmptyPromptButNotNone) {
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

TEST_F(CommandTest, RunWarnsOfAStateInOtherUnits) {
  const Result result = pi0("run " + kPolicy + " --device reference --image base_0_rgb=" + kFrame +
                            " --state -0.4,36.6,14.3,57 --prompt 'open the drawer' --seed 3");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.err.find("far outside its statistics"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("value 1 is 36.6"), std::string::npos) << result.err;
  EXPECT_EQ(pi0(run("")).err, "");
}

TEST_F(CommandTest, RunKeepsWhatItCannotReplace) {
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

TEST_F(CommandTest, RunNamesANoiseOrAMotionOfAnotherShape) {
  const std::string line = "run " + kPolicy + " --device reference --image base_0_rgb=" + kFrame +
                           " --state 0,0.6,0.2,1 --prompt x ";
  write_npy(path("transposed.npy"), {8, 16}, std::vector<float>(128));
  expect_error(pi0(line + "--noise " + path("transposed.npy")), {"[8, 16]", "[16, 8]"});
  write_npy(path("motion.npy"), {16, 5}, std::vector<float>(80));
  expect_error(pi0(line + "--plot " + path("a.svg") + " --plot-with " + path("motion.npy")),
               {"motion.npy", "5 dimensions", "4"});
}

TEST_F(CommandTest, RunFindsTheTokenizerOrSaysWhere) {
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

// Whether `pi0 run` would run it with the same options, as `pi0 run` itself then shows.
TEST_F(CommandTest, InfoAgreesWithRun) {
  const std::string checkpoint = path("policy");
  std::filesystem::copy(kPolicy, checkpoint, std::filesystem::copy_options::recursive);
  const auto last_line = [](std::string text) {
    text.pop_back();
    return text.substr(text.rfind('\n') + 1);
  };
  const auto expect = [&](const std::string& options, const std::string& word) {
    const Result info = pi0("info " + checkpoint + " " + options);
    const Result run = pi0("run " + checkpoint + " --image base_0_rgb=" + kFrame +
                           " --state 0,0.6,0.2,1 --prompt x " + options);
    EXPECT_EQ(info.status, run.status == 0 ? 0 : 1) << info.out << run.err;
    for (const char* name : {"parameters", "SigLIP", "cameras", "memory", "missing"}) {
      EXPECT_NE(info.out.find(name), std::string::npos) << name << " not in " << info.out;
    }
    if (word.empty()) {
      EXPECT_EQ(last_line(info.out), "pi0 run: ready");
      return;
    }
    const std::string verdict = last_line(info.out);
    EXPECT_EQ(verdict.rfind("pi0 run: would refuse: ", 0), 0u) << verdict;
    EXPECT_NE(verdict.find(word), std::string::npos) << verdict;
    EXPECT_EQ("pi0: " + verdict.substr(std::string("pi0 run: would refuse: ").size()) + "\n",
              run.err);
  };
  expect("--device reference", "");
  expect("--device cpu", "");
  expect("--device cpu,cpu --threads 1", "");
  expect("--device cpu,reference", "reference beside cpu");
  expect("--device gpu", "not in this build");
  expect("--resize bicubic", "bicubic");
  std::filesystem::remove(checkpoint + "/tokenizer.json");
  std::filesystem::rename(checkpoint + "/tokenizer.model", path("tokenizer.model"));
  expect("--device reference", "no tokenizer beside the checkpoint");
  expect("--device cpu --tokenizer " + path("tokenizer.model"), "");
  std::filesystem::rename(path("tokenizer.model"), checkpoint + "/tokenizer.model");
  std::filesystem::remove(checkpoint + "/policy_preprocessor.json");
  expect("--device reference", "policy_preprocessor.json is absent: no statistics");
  expect("--device cpu --raw", "");
}

TEST_F(CommandTest, InfoTellsWhatACheckpointIs) {
  const std::string tokenizer = " --tokenizer " + kGolden + "/preprocess/tokenizer.json";
  const Result odd = pi0("info " + kGolden + "/pi0_odd" + tokenizer);
  EXPECT_EQ(odd.status, 0) << odd.err;
  for (const char* word :
       {"pi0, lerobot", "wrist_left", "empty_camera_0 (empty)", "cam_high", "min/max",
        "quantiles 10 %", "7 denoising steps", "reference", "shoulder_pan.pos"}) {
    EXPECT_NE(odd.out.find(word), std::string::npos) << word << "\n" << odd.out;
  }
  // In the file's order, which is not the alphabet's.
  EXPECT_LT(odd.out.find("wrist_left"), odd.out.find("arm_right"));
  EXPECT_EQ(odd.out.find("trained RTC"), std::string::npos);
  const Result trained = pi0("info " + kGolden + "_extra/pi05_trained");
  EXPECT_NE(trained.out.find("trained RTC  for an inference_delay of up to 33 steps"),
            std::string::npos)
      << trained.out;
  const Result openpi = pi0("info " + kGolden + "/openpi_pi05");
  EXPECT_NE(openpi.out.find("pi05, openpi"), std::string::npos) << openpi.out;
  EXPECT_NE(openpi.out.find("droid"), std::string::npos) << openpi.out;
}

TEST_F(CommandTest, AdaptersGoWithTheirBase) {
  const std::string adapters = path("adapters");
  std::filesystem::copy(kSource / "testdata/adapters/lerobot_default", adapters);
  const std::string base = " --base " + kGolden + "/pi0_tiny";
  const std::string tokenizer = " --tokenizer " + kGolden + "/preprocess/tokenizer.json";
  const Result info = pi0("info " + adapters + base + tokenizer + " --device reference");
  EXPECT_EQ(info.status, 0) << info.out << info.err;
  for (const char* word : {"base         ", "rank 3, alpha 7: 11 tensors changed, 0 whole",
                           "pi0, lerobot", "pi0 run: ready"}) {
    EXPECT_NE(info.out.find(word), std::string::npos) << word << "\n" << info.out;
  }
  const std::string call = adapters + base + " --cameras 1 --tokens 2 --steps 1";
  EXPECT_EQ(pi0("audit " + call + " --device reference").status, 0);
  EXPECT_EQ(pi0("bench " + call + " --device reference --runs 1 --warmup 0").status, 0);
  // Other weights than the base's: it is no longer what PyTorch recorded of that.
  const std::string recording = kGolden + "/pi0_tiny/full.safetensors --device reference";
  EXPECT_EQ(pi0("verify " + kGolden + "/pi0_tiny " + recording).status, 0);
  EXPECT_EQ(pi0("verify " + adapters + " " + recording + base).status, 1);
  for (const char* verb : {"info", "audit", "bench", "compare"}) {
    expect_error(pi0(std::string(verb) + " " + adapters), {"adapter_config.json", "--base"});
  }
}

TEST_F(CommandTest, StatisticsMayBeNamed) {
  const std::string checkpoint = path("policy");
  std::filesystem::copy(kPolicy, checkpoint, std::filesystem::copy_options::recursive);
  std::filesystem::remove(checkpoint + "/policy_preprocessor.json");
  const std::string info = "info " + checkpoint + " --device reference";
  EXPECT_EQ(pi0(info).status, 1);
  std::ofstream(path("stats.json"))
      << R"({"observation.state": {"mean": [0, 0, 0, 0], "std": [1, 1, 1, 1]},)"
      << R"( "action": {"mean": [0, 0, 0, 0], "std": [1, 1, 1, 1]}})";
  const Result named = pi0(info + " --norm-stats " + path("stats.json"));
  EXPECT_EQ(named.status, 0) << named.out << named.err;
  std::ofstream(path("stats.json")) << R"({"action": {"mean": [0, 0, 0, 0]}})";
  const Result lacking = pi0(info + " --norm-stats " + path("stats.json"));
  EXPECT_EQ(lacking.status, 1);
  EXPECT_NE(lacking.out.find("action.std is missing"), std::string::npos) << lacking.out;
}

TEST_F(CommandTest, DoctorSaysWhatIsWrong) {
  const std::string line = "doctor " + kPolicy + " --device cpu --dtype fp32 --recording " +
                           kPolicy + "/recorded.safetensors --json " + path("doctor.json");
  const Result sound = pi0(line);
  EXPECT_EQ(sound.status, 0) << sound.out << sound.err;
  EXPECT_NE(sound.out.find("\ndoctor: ok\n"), std::string::npos) << sound.out;
  const Json report = read_json(path("doctor.json"));
  for (const Json& finding : report["findings"]) {
    EXPECT_EQ(finding["severity"], "ok") << finding;
  }
  std::filesystem::copy(kPolicy, path("policy"), std::filesystem::copy_options::recursive);
  std::filesystem::remove(path("policy/policy_postprocessor.json"));
  const Result damaged = pi0("doctor " + path("policy") + " --device reference");
  EXPECT_EQ(damaged.status, 1) << damaged.out << damaged.err;
  for (const char* words : {"refuse   policy_postprocessor.json is absent: no statistics",
                            "\n         why: ", "\ndoctor: refuses, for 1 reason"}) {
    EXPECT_NE(damaged.out.find(words), std::string::npos) << words << " not in\n" << damaged.out;
  }
  expect_error(pi0("doctor nowhere"), {"nowhere", "is not a directory"});
  expect_error(pi0("doctor " + kPolicy + " --dataset-sample " + path("no.safetensors")),
               {"no.safetensors"});
  expect_error(pi0("doctor " + kPolicy + " --recording " + kGolden + "/pi0_tiny/full.safetensors"),
               {"full.safetensors", "expert_actions"});
  expect_error(pi0(line + "/no/folder.json"), {"no/folder"});
}

TEST_F(CommandTest, InfoListsAllThatIsMissing) {
  std::filesystem::copy(kPolicy, path("policy"), std::filesystem::copy_options::recursive);
  const SafeTensors file = SafeTensors::open(path("policy/model.safetensors"));
  std::vector<TensorToWrite> kept;
  for (const auto& [name, tensor] : file.tensors()) {
    if (name.find("layers.2.mlp") != std::string::npos) continue;
    kept.push_back({name,
                    tensor.dtype,
                    tensor.shape,
                    {reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size()}});
  }
  write_safetensors(path("policy/smaller.safetensors"), kept);
  std::filesystem::rename(path("policy/smaller.safetensors"), path("policy/model.safetensors"));
  const Result info = pi0("info " + path("policy"));
  EXPECT_EQ(info.status, 1) << info.err;
  for (const char* name : {"vision_tower.vision_model.encoder.layers.2.mlp.fc2.bias",
                           "language_model.layers.2.mlp.up_proj.weight",
                           "gemma_expert.model.layers.2.mlp.gate_proj.weight"}) {
    EXPECT_NE(info.out.find(name), std::string::npos) << name;
  }
  const Result refused = pi0("run " + path("policy") + " --device reference");
  expect_error(refused, {"language_model.layers.2.mlp.up_proj.weight", "down_proj"});
}

TEST_F(CommandTest, VerifySaysWhetherItIsTheSame) {
  const std::string checkpoint = kGolden + "/pi0_tiny";
  const std::string recording = checkpoint + "/masked_middle.safetensors";
  const Result same = pi0("verify " + checkpoint + " " + recording + " --device reference --dump " +
                          path("dump.safetensors"));
  EXPECT_EQ(same.status, 0) << same.err;
  EXPECT_NE(same.out.find("the same as PyTorch in all 34 stages"), std::string::npos) << same.out;
  const SafeTensors dump = SafeTensors::open(path("dump.safetensors"));
  const SafeTensors recorded = SafeTensors::open(recording);
  for (const char* name : {"vision_output", "prefix_keys", "v_t", "actions"}) {
    ASSERT_NE(dump.find(name), nullptr) << name;
    EXPECT_EQ(dump.find(name)->shape, recorded.find(name)->shape) << name;
  }
  const Result strict =
      pi0("verify " + checkpoint + " " + recording + " --device reference --tolerance 1e-9");
  EXPECT_EQ(strict.status, 1);
  EXPECT_NE(strict.out.find("DIFFERS"), std::string::npos);
}

TEST_F(CommandTest, VerifyTakesWholeWayRecordings) {
  const Result result =
      pi0("verify " + kPolicy + " " + kPolicy + "/recorded.safetensors --device reference");
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  EXPECT_NE(result.out.find("in all 9 stages"), std::string::npos) << result.out;
  const Result odd = pi0("verify " + kGolden + "/pi0_odd " + kGolden +
                         "/pi0_odd/policy.safetensors --device reference --tokenizer " + kGolden +
                         "/preprocess/tokenizer.json");
  EXPECT_EQ(odd.status, 0) << odd.out << odd.err;
  EXPECT_NE(odd.out.find("without_first.0.normalised_state"), std::string::npos) << odd.out;
}

// The recording does not say which of several statistics it was made with; the caller does.
TEST_F(CommandTest, VerifyAndCompareGoByTheAssetThatIsNamed) {
  const std::string checkpoint = path("policy");
  std::filesystem::copy(kGolden + "/openpi_pi0", checkpoint,
                        std::filesystem::copy_options::recursive);
  std::filesystem::copy(checkpoint + "/assets/my_robot", checkpoint + "/assets/other",
                        std::filesystem::copy_options::recursive);
  const std::string recording = checkpoint + "/policy.safetensors";
  const std::string tokenizer = " --tokenizer " + kGolden + "/preprocess/tokenizer.model";
  const std::string verify =
      "verify " + checkpoint + " " + recording + " --device reference" + tokenizer;
  expect_error(pi0(verify), {"several assets", "my_robot", "other"});
  const Result same = pi0(verify + " --asset my_robot");
  EXPECT_EQ(same.status, 0) << same.out << same.err;
  const Result compared = pi0("compare " + checkpoint + " --recording " + recording +
                              " --device cpu --asset my_robot" + tokenizer);
  EXPECT_EQ(compared.status, 0) << compared.out << compared.err;
  // The network alone has no statistics to choose.
  const Result bench = pi0("bench " + checkpoint + " --device reference --runs 1 --warmup 0");
  EXPECT_EQ(bench.status, 0) << bench.err;
}

TEST_F(CommandTest, WhatCannotBeWrittenIsNoSuccess) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "NOT RUN: no /dev/full here";
  for (const std::string& verb : {"info " + kPolicy, run("")}) {
    const std::string line =
        std::string(PI0_COMMAND) + " " + verb + " >/dev/full 2>" + path("stderr");
    const int status = std::system(line.c_str());
    EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 2);
    EXPECT_NE(read(path("stderr")).find("standard output cannot be written"), std::string::npos);
  }
}

// A checkpoint's own names, which a terminal must not obey.
TEST_F(CommandTest, InfoPrintsNoControlCharacter) {
  std::filesystem::copy(kGolden + "/pi0_tiny", path("policy"),
                        std::filesystem::copy_options::recursive);
  const SafeTensors file = SafeTensors::open(path("policy/model.safetensors"));
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, tensor] : file.tensors()) {
    tensors.push_back({name,
                       tensor.dtype,
                       tensor.shape,
                       {reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size()}});
  }
  tensors.push_back(
      {"x\x1b]0;owned\x07\nmissing      7", "F32", {1}, std::string_view("\0\0\0\0", 4)});
  write_safetensors(path("policy/larger.safetensors"), tensors);
  std::filesystem::rename(path("policy/larger.safetensors"), path("policy/model.safetensors"));
  const Result info =
      pi0("info " + path("policy") + " --tokenizer " + kGolden + "/preprocess/tokenizer.json");
  EXPECT_EQ(info.status, 0) << info.err;
  EXPECT_NE(info.out.find("x ]0;owned  missing      7\n"), std::string::npos) << info.out;
  EXPECT_EQ(info.out.find('\x1b'), std::string::npos);
  expect_error(pi0("info " + kGolden + "/openpi_pi0 --delta-mask '\xff'"), {"delta mask is"});
}

TEST_F(CommandTest, VerifyNamesARecordingThatIsNone) {
  expect_error(pi0("verify " + kPolicy + " " + kPolicy + "/model.safetensors --device reference"),
               {"model.safetensors", "no recording"});
  expect_error(pi0("verify " + kPolicy + " " + kPolicy + "/config.json --device reference"),
               {"config.json"});
}

TEST_F(CommandTest, CompareJudgesEachPart) {
  const std::string checkpoint = kGolden + "/pi05_tiny";
  const std::string line = "compare " + checkpoint + " --recording " + checkpoint +
                           "/masked_last.safetensors --device ttnn-emulated --against reference";
  const Result same = pi0(line + " --json " + path("c.json"));
  EXPECT_EQ(same.status, 0) << same.out << same.err;
  const Json json = read_json(path("c.json"));
  EXPECT_GT(json["worst_pcc"].get<double>(), 0.99);
  EXPECT_LT(json["worst_pcc"].get<double>(), 1);
  EXPECT_GT(json["actions_pcc"].get<double>(), 0.99);
  std::map<std::string, int> parts;
  for (const Json& part : json["components"]) ++parts[part["component"].get<std::string>()];
  const Json config = read_json(checkpoint + "/config.json");
  const int steps = config["num_inference_steps"].get<int>();
  for (const char* once :
       {"patch_embedding", "siglip_tower", "projector", "prefix_embeddings", "actions"}) {
    EXPECT_EQ(parts[once], 1) << once;
  }
  for (const char* each : {"suffix_embedding", "velocity", "denoising_step"}) {
    EXPECT_EQ(parts[each], steps) << each;
  }
  EXPECT_EQ(parts["expert_layer"], steps * parts["gemma_layer"]);
  EXPECT_NE(same.out.find("siglip_layer 1"), std::string::npos) << same.out;
  const Result strict = pi0(line + " --pcc 0.9999999");
  EXPECT_EQ(strict.status, 1) << strict.err;
  EXPECT_NE(strict.out.find("DIFFERS"), std::string::npos) << strict.out;
}

TEST_F(CommandTest, CompareTakesTheInputsOfRun) {
  const Result result =
      pi0("compare " + kPolicy + " --device reference --image base_0_rgb=" + kFrame +
          " --state -0.0066,0.6386,0.2493,1 --prompt 'open the drawer' --seed 3 --json " +
          path("c.json"));
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  EXPECT_EQ(read_json(path("c.json"))["worst_pcc"], 1.0);
  const Result random =
      pi0("compare " + kPolicy + " --device reference --random-input 4 --steps 2");
  EXPECT_EQ(random.status, 0) << random.out << random.err;
  EXPECT_NE(random.out.find("2 steps"), std::string::npos) << random.out;
  expect_error(pi0("compare " + kPolicy + " --device reference"),
               {"--recording", "--random-input"});
  expect_error(pi0("compare --random pi0 --device reference --prompt x"), {"--random-input"});
  expect_error(pi0("compare " + kPolicy + " --device gpu --random-input 1"), {"gpu", "reference"});
  EXPECT_EQ(pi0("compare " + kPolicy + " --random-input 1 --recording x").status, 2);
}

// Both passes of the audit's promise on an N150, at full size: everything on the card, nothing
// left.
TEST_F(CommandTest, AuditOfAFullSizeNetwork) {
  for (const char* kind : {"pi0", "pi05"}) {
    const Result result =
        pi0(std::string("audit --random ") + kind + " --device ttnn-emulated --json " +
            path("a.json") + " --markdown " + path("a.md"));
    ASSERT_EQ(result.status, 0) << result.err;
    const Json json = read_json(path("a.json"));
    EXPECT_EQ(json["flops_on_device_share"], 1.0);
    // Of what the network asks for: nothing is left out, and padding adds little.
    const Result asked = pi0(std::string("audit --random ") + kind + " --device reference --json " +
                             path("asked.json"));
    ASSERT_EQ(asked.status, 0) << asked.err;
    const Json stages = read_json(path("asked.json"))["stages"];
    ASSERT_EQ(stages.size(), 3u);
    ASSERT_EQ(json["stages"].size(), 4u);
    EXPECT_EQ(json["stages"][0]["name"], "inputs");  // the masks of the prompt's padding
    for (std::size_t i = 0; i < 3; ++i) {
      const Json& stage = json["stages"][i + 1];
      EXPECT_EQ(stage["name"], stages[i]["name"]);
      const double flops = stages[i]["flops"];
      EXPECT_GE(stage["flops"].get<double>(), flops) << stages[i]["name"];
      EXPECT_LE(stage["flops"].get<double>(), 1.2 * flops) << stages[i]["name"];
    }
    EXPECT_GE(json["operations_on_device_share"].get<double>(), 0.99);
    EXPECT_EQ(json["live_tensors_after"], 0);
    EXPECT_GT(json["peak_l1_bytes_per_core"].get<double>(), 0);
    // Room is left on an n150, whose 1395392 bytes a core the emulated card itself enforces.
    EXPECT_LT(json["peak_l1_bytes_per_core"].get<double>(), 0.9 * 1395392);
    // Keys and values of each prefix layer stay, and the residual stream; a step leaves its x_t.
    std::map<std::string, Json> parts;
    for (const Json& part : json["live_tensors"]) parts[part["component"]] = part;
    EXPECT_EQ(parts["siglip_layer"]["most"], 1);
    EXPECT_EQ(parts["gemma_layer"]["most"], 2 * 17 + 1);
    EXPECT_LE(parts["expert_layer"]["most"], 2);
    EXPECT_EQ(parts["denoising_step"]["most"], 1);
    const double weights = parts["inputs"]["peak_dram_bytes"];
    for (const auto& [name, part] : parts) {  // what a layer needs in DRAM beside the weights
      EXPECT_LT(part["peak_dram_bytes"].get<double>(), weights + 50e6) << name;
      EXPECT_GT(part["peak_dram_bytes"].get<double>(), weights / 2) << name;
    }
    EXPECT_LT(json["peak_dram_bytes"].get<double>(), 6e9);
    EXPECT_EQ(json["roofline"]["card"], "n150");
    EXPECT_GT(json["roofline"]["total_ms"].get<double>(), 10);
    EXPECT_FALSE(json["roofline"]["operations"].empty());
    const auto linear =
        std::find_if(json["operations"].begin(), json["operations"].end(),
                     [](const Json& operation) { return operation["name"] == "ttnn.linear"; });
    ASSERT_NE(linear, json["operations"].end());
    for (const char* key : {"where", "shape", "dtype", "layout", "placement", "flops", "bytes",
                            "inputs", "outputs", "attributes", "component", "index"}) {
      EXPECT_TRUE(linear->contains(key)) << key;
    }
    EXPECT_NE(read(path("a.md")).find("| vision |"), std::string::npos);
    EXPECT_NE(result.out.find("A model, not a measurement"), std::string::npos);
  }
}

TEST_F(CommandTest, AuditNamesTheCard) {
  const Result result = pi0("audit " + kGolden + "/pi0_tiny --device ttnn-emulated --card p150");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("Roofline of p150"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("emulated p150"), std::string::npos) << result.out;
  EXPECT_EQ(pi0("audit " + kGolden + "/pi0_tiny --device reference --card n300").status, 2);
  expect_error(pi0("audit " + kGolden + "/pi0_tiny --device reference --cameras 4"),
               {"4 cameras", "at most 3"});
  expect_error(pi0("audit " + kGolden + "/pi0_tiny --device reference --json " + path("a.txt")),
               {"a.txt", ".json"});
  EXPECT_EQ(pi0("audit --device reference").status, 2);
  EXPECT_EQ(pi0("audit " + kPolicy + " --random pi0 --device reference").status, 2);
}

TEST_F(CommandTest, BenchMeasures) {
  const Result result = pi0("bench " + kGolden +
                            "/pi0_tiny --device reference --against reference --warmup 1 --runs 3 "
                            "--cameras 2 --json " +
                            path("b.json") + " --plot " + path("b.svg"));
  ASSERT_EQ(result.status, 0) << result.err;
  const Json json = read_json(path("b.json"));
  EXPECT_EQ(json["runs"], 3);
  EXPECT_GT(json["mean_ms"].get<double>(), 0);
  EXPECT_LE(json["p50_ms"].get<double>(), json["p95_ms"].get<double>());
  EXPECT_GT(json["peak_rss_bytes"].get<double>(), 1e6);
  double stages_ms = 0, stages_flops = 0;
  for (const Json& stage : json["stages"]) {
    stages_ms += stage["ms"].get<double>();
    stages_flops += stage["flops"].get<double>();
  }
  EXPECT_NEAR(stages_ms, json["mean_ms"].get<double>(), 1e-6);
  EXPECT_EQ(stages_flops, json["flops"].get<double>());
  EXPECT_GT(json["times_faster"].get<double>(), 0);
  EXPECT_NE(result.out.find("P95"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("wrote " + path("b.svg")), std::string::npos) << result.out;
  const std::string svg = read(path("b.svg"));
  EXPECT_NE(svg.find(">denoising</text>"), std::string::npos) << svg;
  EXPECT_NE(svg.find("class=\"bar1\""), std::string::npos) << svg;
  expect_error(pi0("bench " + kPolicy + " --device reference --against gpu"), {"gpu", "reference"});
  // Before anything is read or measured.
  expect_error(pi0("bench nowhere --plot " + path("b.png")), {"b.png", ".svg"});
  EXPECT_EQ(pi0("bench nowhere --runs 3 --seconds 1").status, 2);
  EXPECT_EQ(pi0("bench nowhere --seconds -1").status, 2);
  expect_error(pi0("bench nowhere --plot " + path("no/b.svg")), {"no/b.svg", "no folder"});
}

TEST_F(CommandTest, HelpAndBadUsage) {
  EXPECT_EQ(pi0("--help").status, 0);
  EXPECT_NE(pi0("--help").out.find("reference"), std::string::npos);
  for (const char* verb : {"info", "doctor", "run", "verify", "compare", "audit", "bench"}) {
    EXPECT_EQ(pi0(std::string(verb) + " --help").status, 0);
  }
  expect_error(
      pi0(""),
      {"no verb, expected info, doctor, run, serve, replay, verify, compare, audit or bench"});
  expect_error(pi0("replay calls"), {"CHECKPOINT", "--dump"});
  expect_error(pi0("replay " + path("calls") + " " + kPolicy), {path("calls"), "listed"});
  expect_error(pi0("replay " + folder.string() + " " + kPolicy), {"pi0 serve --record"});
  expect_error(pi0("fly"), {"unknown verb 'fly', expected info", "pi0 --help"});
  expect_error(pi0("rnu " + kPolicy), {"unknown verb 'rnu' (did you mean 'run'?)"});
  expect_error(pi0("inof"), {"'inof' (did you mean 'info'?)"});
  expect_error(pi0("--verison"), {"unknown option '--verison' (did you mean '--version'?)"});
  expect_error(pi0("run"), {"run: CHECKPOINT is required", "pi0 run --help"});
  // What is mistyped, and not what its value was then taken for.
  expect_error(pi0("run --pormpt x " + kPolicy),
               {"run: unknown option '--pormpt' (did you mean '--prompt'?)"});
  expect_error(pi0(run("--temperature=1")), {"run: unknown option '--temperature';"});
  expect_error(pi0("bench --random pi0 --rnus 3"), {"'--rnus' (did you mean '--runs'?)"});
  expect_error(pi0("run " + kPolicy + " --prompt open the drawer"),
               {"unexpected argument 'the'", "quotes"});
  expect_error(pi0(run("--prompt again")), {"run: --prompt is given twice"});
  expect_error(pi0(run("--noise x.npy")), {"run: ", "--seed", "excludes", "--noise"});
  expect_error(pi0("info lerobot/pi0_base"), {"hf download lerobot/pi0_base --local-dir pi0_base"});
}

}  // namespace
}  // namespace pi0
