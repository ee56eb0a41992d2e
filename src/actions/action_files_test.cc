#include "actions/action_files.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>

#include "base/test_support.h"
#include "files/file.h"
#include "files/json.h"
#include "files/npy.h"
#include "files/safetensors.h"

namespace pi0 {
namespace {

namespace fs = std::filesystem;

ActionChunk example() {
  ActionChunk chunk;
  chunk.horizon = 2;
  chunk.dims = 3;
  chunk.n_action_steps = 1;
  chunk.actions = {0.1f, -2.5f, 3e-8f, 7.038531e-26f, 0.0f, 16777216.0f};
  chunk.names = {"x", "say \"hi\", robot", "夹爪"};
  chunk.timing.vision_ms = 12.5;
  chunk.timing.total_ms = 40.25;
  chunk.warnings = {"a masked camera"};
  return chunk;
}

TEST(WriteActions, Json) {
  const TemporaryDirectory folder;
  write_actions(folder / "a.json", example());
  const std::string text = read_file(folder / "a.json");
  EXPECT_NE(text.find("[0.1, -2.5, 3e-08]"), std::string::npos) << text;  // one line a step
  const Json json = parse_json(text, "a.json");
  EXPECT_EQ(json["names"], Json(example().names));
  EXPECT_EQ(json["horizon"], 2);
  EXPECT_EQ(json["dims"], 3);
  EXPECT_EQ(json["n_action_steps"], 1);
  EXPECT_EQ(json["actions"].size(), 2u);
  EXPECT_EQ(json["actions"][1][2], 16777216);
  EXPECT_EQ(json["timing"]["vision_ms"], 12.5);
  EXPECT_EQ(json["timing"]["total_ms"], 40.25);
  EXPECT_EQ(json["warnings"], Json({"a masked camera"}));
  EXPECT_FALSE(json.contains("seam"));
}

TEST(WriteActions, JsonWithTheSeam) {
  const TemporaryDirectory folder;
  ActionChunk chunk = example();
  chunk.seam = Seam{3, 1, {0.1f, -2, 0}, {5, 6, 0.3f}};
  write_actions(folder / "a.json", chunk);
  const std::string text = read_file(folder / "a.json");
  EXPECT_NE(text.find("\"jump\": [0.1, -2, 0]"), std::string::npos) << text;
  const Json seam = parse_json(text, "a.json")["seam"];
  EXPECT_EQ(seam["delay"], 3);
  EXPECT_EQ(seam["row"], 1);
  EXPECT_EQ(seam["velocity_change"], Json({5, 6, 0.3}));
  EXPECT_EQ(read_actions(folder / "a.json").values, chunk.actions);
}

TEST(WriteActions, Csv) {
  const TemporaryDirectory folder;
  write_actions(folder / "a.CSV", example());
  const std::string text = read_file(folder / "a.CSV");
  EXPECT_EQ(text.substr(0, text.find('\n')), "step,x,\"say \"\"hi\"\", robot\",夹爪");
  EXPECT_NE(text.find("\n0,0.1,-2.5,3e-08\n1,"), std::string::npos) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
}

TEST(WriteActions, Npy) {
  const TemporaryDirectory folder;
  write_actions(folder / "a.npy", example());
  const NpyArray array = read_npy(folder / "a.npy");
  EXPECT_EQ(array.shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(array.values, example().actions);
}

TEST(WriteActions, Safetensors) {
  const TemporaryDirectory folder;
  write_actions(folder / "a.safetensors", example());
  const SafeTensors file = SafeTensors::open(folder / "a.safetensors");
  const SafeTensor* tensor = file.find("actions");
  ASSERT_NE(tensor, nullptr);
  EXPECT_EQ(tensor->dtype, "F32");
  EXPECT_EQ(tensor->shape, (std::vector<std::int64_t>{2, 3}));
  ASSERT_EQ(tensor->bytes.size(), 24u);
  EXPECT_EQ(std::memcmp(tensor->bytes.data(), example().actions.data(), 24), 0);
  EXPECT_EQ(file.metadata().at("n_action_steps"), "1");
  EXPECT_EQ(parse_json(file.metadata().at("names"), "names"), Json(example().names));
}

TEST(WriteActions, RefusesAndLeavesNothing) {
  const TemporaryDirectory folder;
  expect_error(ErrorCode::kInvalidInput, {"a.txt", ".json, .csv, .npy or .safetensors"},
               [&] { write_actions(folder / "a.txt", example()); });
  expect_error(ErrorCode::kIo, {"absent/a.npy"},
               [&] { write_actions(folder / "absent/a.npy", example()); });
  ActionChunk bad = example();
  bad.actions[4] = std::numeric_limits<float>::quiet_NaN();
  for (const char* name : {"a.json", "a.csv", "a.npy", "a.safetensors"}) {
    expect_error(ErrorCode::kInvalidInput, {"step 1, dimension 1 (say \"hi\", robot)", "nan"},
                 [&] { write_actions(folder / name, bad); });
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(WriteActions, NamesThatAreNoUtf8DoNotBreakTheJson) {
  const TemporaryDirectory folder;
  ActionChunk chunk = example();
  chunk.names[0] = "\xff\n";
  write_actions(folder / "a.json", chunk);
  EXPECT_EQ(read_json(folder / "a.json")["names"][0], "\uFFFD\n");
}

TEST(ExactText, ReadsBackAsFloatAndAsDouble) {
  EXPECT_EQ(exact_text(0.1f), "0.1");
  EXPECT_EQ(exact_text(-2.0f), "-2");
  // Its shortest digits, read as a double and rounded to float, give its neighbour.
  EXPECT_NE(static_cast<float>(7.038531e-26), 7.038531e-26f);
  std::mt19937 random(1);
  std::vector<float> values = {7.038531e-26f, std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::denorm_min(),
                               std::numeric_limits<float>::min(), -0.0f};
  while (values.size() < 100000) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    if (std::isfinite(value)) values.push_back(value);
  }
  for (const float value : values) {
    const std::string text = exact_text(value);
    ASSERT_EQ(std::strtof(text.c_str(), nullptr), value) << text;
    ASSERT_EQ(static_cast<float>(std::strtod(text.c_str(), nullptr)), value) << text;
  }
}

}  // namespace
}  // namespace pi0
