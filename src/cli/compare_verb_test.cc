#include <gtest/gtest.h>

#include <map>

#include "cli/command_testing.h"
#include "files/json.h"

namespace pi0 {
namespace {

using CompareVerbTest = CommandTest;

TEST_F(CompareVerbTest, JudgesEachPart) {
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

TEST_F(CompareVerbTest, TakesTheInputsOfRun) {
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

}  // namespace
}  // namespace pi0
