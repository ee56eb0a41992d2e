// The command itself, as a user calls it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "files/json.h"
#include "files/npy.h"
#include "files/safetensors.h"
#include "files/test_support.h"

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

TEST_F(CommandTest, RunRefusesBeforeItLoads) {
  expect_error(pi0(run("--out " + path("a.txt"))), {"a.txt", ".json"});
  expect_error(pi0(run("--out " + path("no/folder/a.json"))), {"no/folder"});
  expect_error(pi0(run("--image wrist=" + kFrame)), {"wrist", "base_0_rgb"});
  expect_error(pi0(run("--image base_0_rgb=" + kFrame)), {"base_0_rgb", "twice"});
  expect_error(pi0("run " + kPolicy + " --device reference --image base_0_rgb=" + kPolicy +
                   "/config.json --state 0,0,0,0 --prompt x"),
               {"config.json", "PNG"});
  expect_error(pi0("run " + path("absent") + " --device reference"), {"absent"});
  expect_error(pi0("run " + kPolicy + " --device cpu --image base_0_rgb=" + kFrame),
               {"cpu", "reference"});
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

TEST_F(CommandTest, InfoTellsWhatACheckpointIs) {
  const Result odd = pi0("info " + kGolden + "/pi0_odd");
  EXPECT_EQ(odd.status, 0) << odd.err;
  for (const char* word :
       {"pi0, lerobot", "wrist_left", "empty_camera_0 (empty)", "cam_high", "min/max",
        "quantiles 10 %", "7 denoising steps", "reference", "shoulder_pan.pos"}) {
    EXPECT_NE(odd.out.find(word), std::string::npos) << word << "\n" << odd.out;
  }
  // In the file's order, which is not the alphabet's.
  EXPECT_LT(odd.out.find("wrist_left"), odd.out.find("arm_right"));
  const Result openpi = pi0("info " + kGolden + "/openpi_pi05");
  EXPECT_NE(openpi.out.find("pi05, openpi"), std::string::npos) << openpi.out;
  EXPECT_NE(openpi.out.find("droid"), std::string::npos) << openpi.out;
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

TEST_F(CommandTest, VerifyNamesARecordingThatIsNone) {
  expect_error(pi0("verify " + kPolicy + " " + kPolicy + "/model.safetensors --device reference"),
               {"model.safetensors", "no recording"});
  expect_error(pi0("verify " + kPolicy + " " + kPolicy + "/config.json --device reference"),
               {"config.json"});
}

TEST_F(CommandTest, HelpAndBadUsage) {
  EXPECT_EQ(pi0("--help").status, 0);
  EXPECT_NE(pi0("--help").out.find("reference"), std::string::npos);
  for (const char* verb : {"info", "run", "verify"}) {
    EXPECT_EQ(pi0(std::string(verb) + " --help").status, 0);
  }
  EXPECT_EQ(pi0("").status, 2);
  EXPECT_EQ(pi0("fly").status, 2);
  EXPECT_EQ(pi0("run").status, 2);
  EXPECT_EQ(pi0(run("--seed 1 --noise x.npy")).status, 2);
}

}  // namespace
}  // namespace pi0
