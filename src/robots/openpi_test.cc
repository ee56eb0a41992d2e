// What openpi's own transforms made of robots' messages, and of predictions: testdata/robots.
#include <gtest/gtest.h>

#include <cmath>

#include "checkpoint/test_support.h"
#include "image/view.h"
#include "policy/pipeline.h"
#include "robots/robots_testing.h"

namespace pi0 {
namespace {

std::vector<float> floats_of_rows(const Json& rows, std::size_t width) {
  std::vector<float> floats;
  for (const Json& row : rows) {
    for (std::size_t i = 0; i < width; ++i) floats.push_back(row.at(i).get<float>());
  }
  return floats;
}

class OpenpiTest : public testing::TestWithParam<const char*> {
 protected:
  const SafeTensor& tensor(const std::string& name) const {
    const SafeTensor* const found = file_.find(GetParam() + ("." + name));
    if (!found) throw Error(ErrorCode::kIo, "no " + name);
    return *found;
  }
  // Its views are of file_.
  RobotObservation observation() const {
    return to_observation(robot_, to_map(decode(tensor("request").bytes), "request"),
                          "do what you were trained for");
  }

  SafeTensors file_ = SafeTensors::open(std::filesystem::path(PI0_SOURCE_DIR) /
                                        "testdata/robots/requests.safetensors");
  Json case_ = parse_json(file_.metadata().at("cases"), "cases").at(GetParam());
  Robot robot_ = find_robot(case_["robot"].get<std::string>(), openpi_policy());
};

// The golden network with a case's statistics and settings.
class ConfiguredCheckpoint : public EditableCheckpoint {
 public:
  explicit ConfiguredCheckpoint(const Json& of) : EditableCheckpoint("openpi_pi0") {
    edit_json("assets/my_robot/norm_stats.json",
              [&of](Json& json) { json["norm_stats"] = of["norm_stats"]; });
    Json settings = {{"adapt_to_pi", of["adapt_to_pi"]}};
    if (of["delta_mask"] != "") settings["delta_mask"] = of["delta_mask"];
    write_file(*this / "pi0.json", settings.dump());
    options.tokenizer = std::filesystem::path(PI0_SOURCE_DIR) / "examples/policy/tokenizer.model";
  }
  CheckpointOptions options;
};

TEST_P(OpenpiTest, TheCheckpointTellsWhatActionsAre) {
  const ConfiguredCheckpoint configured(case_);
  const PolicyInfo info = Checkpoint::open(configured.path(), configured.options).info();
  EXPECT_EQ(info.adapt_to_pi, case_["adapt_to_pi"].get<bool>());
  EXPECT_EQ(info.relative_actions, case_["delta_mask"] != "");
  EXPECT_EQ(find_robot(robot_.name, info).cameras.size(), robot_.cameras.size());
}

TEST_P(OpenpiTest, ImagesAreItsOwnToThePixel) {
  const RobotObservation found = observation();
  EXPECT_EQ(found.observation.images.size() + found.observation.views.size(),
            case_["cameras"].size());
  for (const Json& name : case_["cameras"]) {
    const auto camera = name.get<std::string>();
    SCOPED_TRACE(camera);
    const auto image = found.observation.images.find(camera);
    const auto view = found.observation.views.find(camera);
    ASSERT_TRUE((image == found.observation.images.end()) !=
                (view == found.observation.views.end()));
    const Image pixels =
        view == found.observation.views.end() ? image->second : to_8bit(view->second);
    const SafeTensor& expected = tensor("image." + camera);
    EXPECT_EQ((std::vector<std::int64_t>{pixels.height, pixels.width, 3}), expected.shape);
    const std::span<const std::byte> rgb = std::as_bytes(std::span(pixels.rgb));
    ASSERT_EQ(rgb.size(), expected.bytes.size());
    std::size_t different = 0;
    for (std::size_t i = 0; i < rgb.size(); ++i) different += rgb[i] != expected.bytes[i];
    EXPECT_EQ(different, 0u);
  }
}

TEST_P(OpenpiTest, StatePromptAndActionsAreItsOwn) {
  const ConfiguredCheckpoint configured(case_);
  const Pipeline pipeline(configured.open(), configured.options);
  const RobotObservation found = observation();
  EXPECT_EQ(found.observation.prompt, case_["prompt"].get<std::string>());
  const std::vector<float> state = pipeline.prepare(found.observation).normalised_state;
  ASSERT_EQ(state.size(), case_["normalised_state"].size());
  for (std::size_t i = 0; i < state.size(); ++i) {
    const auto expected = case_["normalised_state"][i].get<float>();
    EXPECT_NEAR(state[i], expected, 1e-6 * (1 + std::abs(expected))) << i;
  }
  const std::vector<float> actions =
      pipeline.finish(floats_of_rows(case_["model_actions"], 32), found.observation.state);
  const auto dims = static_cast<std::size_t>(robot_.action_dims);
  const auto width = static_cast<std::size_t>(pipeline.checkpoint().action_dims);
  ASSERT_GE(width, dims);
  for (std::size_t row = 0; row < case_["actions"].size(); ++row) {
    const Json& expected = case_["actions"][row];
    ASSERT_EQ(expected.size(), dims);
    for (std::size_t i = 0; i < dims; ++i) {
      EXPECT_NEAR(actions.at(row * width + i), expected[i].get<float>(), 1e-6) << row << ' ' << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, OpenpiTest,
                         testing::Values("aloha", "aloha_as_it_is", "libero", "libero_floats",
                                         "droid", "droid_positions"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace pi0
