#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "cli/command_testing.h"
#include "files/json.h"

namespace pi0 {
namespace {

using AuditVerbTest = CommandTest;

// Both passes of the audit's promise on an N150, at full size: everything on the card, nothing
// left.
TEST_F(AuditVerbTest, OfAFullSizeNetwork) {
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

TEST_F(AuditVerbTest, NamesTheCard) {
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

}  // namespace
}  // namespace pi0
