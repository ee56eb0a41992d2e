#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cli/command_testing.h"
#include "files/safetensors.h"

namespace pi0 {
namespace {

using InfoVerbTest = CommandTest;

// Whether `pi0 run` would run it with the same options, as `pi0 run` itself then shows.
TEST_F(InfoVerbTest, AgreesWithRun) {
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
  expect("--device gpu", "no such device");
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

TEST_F(InfoVerbTest, TellsWhatACheckpointIs) {
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

TEST_F(InfoVerbTest, StatisticsMayBeNamed) {
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

TEST_F(InfoVerbTest, ListsAllThatIsMissing) {
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

// A checkpoint's own names, which a terminal must not obey.
TEST_F(InfoVerbTest, PrintsNoControlCharacter) {
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

}  // namespace
}  // namespace pi0
