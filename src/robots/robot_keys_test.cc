#include "robots/robot_keys.h"

#include <gtest/gtest.h>

#include "files/file.h"
#include "robots/robots_testing.h"

namespace pi0 {
namespace {

class RobotKeysTest : public testing::Test {
 protected:
  Robot read(const std::string& text) const {
    const std::filesystem::path file = directory_ / "keys.json";
    write_file(file, text);
    return read_robot(file, policy_with({"top", "wrist"}));
  }
  void expect_refused(const std::string& text, const std::vector<std::string>& words) const {
    SCOPED_TRACE(text);
    expect_error(ErrorCode::kInvalidInput, words, [&] { read(text); });
  }

 private:
  TemporaryDirectory directory_;
};

void expect_same(const Robot& found, const Robot& expected) {
  ASSERT_EQ(found.cameras.size(), expected.cameras.size());
  for (std::size_t i = 0; i < found.cameras.size(); ++i) {
    EXPECT_EQ(found.cameras[i].key, expected.cameras[i].key);
    EXPECT_EQ(found.cameras[i].camera, expected.cameras[i].camera);
    EXPECT_EQ(found.cameras[i].required, expected.cameras[i].required);
  }
  EXPECT_EQ(found.state, expected.state);
  EXPECT_EQ(found.prompt, expected.prompt);
  EXPECT_EQ(found.action_dims, expected.action_dims);
  EXPECT_EQ(found.images, expected.images);
}

TEST_F(RobotKeysTest, AFileSaysWhatIsWhat) {
  expect_same(read(R"({"images": {"front": "top", "hand": "observation.images.wrist", "rear": null},
                       "required": ["hand"], "state": ["arm", "gripper"], "prompt": "text",
                       "action_dims": 7, "floats": "openpi"})"),
              {.cameras = {{"front", "top", false},
                           {"hand", "observation.images.wrist", true},
                           {"rear", "", false}},
               .state = {"arm", "gripper"},
               .prompt = "text",
               .action_dims = 7,
               .images = ImageRule::kOpenpi});
  expect_same(
      read(R"({"images": {"front": "top"}})"),
      {.cameras = {{"front", "top", false}}, .state = {"observation.state"}, .prompt = "task"});
  EXPECT_TRUE(read(R"({"images": {"front": "top"}, "state": []})").state.empty());
}

TEST_F(RobotKeysTest, AFileThatSaysNoSuchThingIsRefused) {
  expect_refused("{", {"keys.json"});
  expect_refused("[]", {"keys.json: is a list of 0, expected a map"});
  expect_refused("{}", {"keys.json: no \"images\""});
  expect_refused(R"({"images": [1]})", {"keys.json: images: is a list of 1, expected a map"});
  expect_refused(R"({"images": {}})", {"keys.json: \"images\" has no key of a camera"});
  expect_refused(R"({"images": {"rear": null}})", {"has no key of a camera"});
  expect_refused(R"({"images": {"front": 1}})", {"keys.json: front: is 1, expected a text"});
  expect_refused(R"({"images": {"front": "hand"}})",
                 {"keys.json: front is camera hand, expected one of the checkpoint's: top, wrist"});
  expect_refused(R"({"images": {"a": "top", "b": "observation.images.top"}})",
                 {"keys.json: camera top has two keys"});
  expect_refused(R"({"images": {}, "cameras": {}})", {"keys.json: \"cameras\" is no key of it"});
  expect_refused(R"({"images": {"front": "top"}, "required": ["hand"]})",
                 {"keys.json: required: hand is none of \"images\""});
  expect_refused(R"({"images": {}, "state": "arm"})",
                 {"keys.json: state: is \"arm\", expected a list"});
  expect_refused(R"({"images": {}, "state": [3]})", {"keys.json: state: is 3, expected a text"});
  expect_refused(R"({"images": {}, "prompt": 3})", {"keys.json: prompt: is 3"});
  expect_refused(R"({"images": {}, "action_dims": -1})", {"keys.json: action_dims: is -1"});
  expect_refused(R"({"images": {}, "floats": "half"})",
                 {"keys.json: floats: is \"half\", expected openpi or lerobot"});
  expect_error(ErrorCode::kIo, {"nowhere.json"},
               [] { read_robot("nowhere.json", policy_with({})); });
}

TEST_F(RobotKeysTest, AClientLearnsThemFromTheMetadata) {
  for (const char* const name : {"aloha", "libero", "droid", "none"}) {
    SCOPED_TRACE(name);
    const Robot robot = find_robot(name, openpi_policy());
    const Message message([&robot](Encoder& encoder) {
      encoder.map(2).text("reset_pose").list(0).text("pi0").map(1).text("robot");
      encode_robot(robot, encoder);
    });
    expect_same(robot_from_metadata(message.map()), robot);
  }
  // A later server's may say more.
  const Message more([](Encoder& encoder) {
    encoder.map(1).text("pi0").map(1).text("robot").map(2);
    encoder.text("images").map(1).text("front").text("top").text("later").integer(1);
  });
  EXPECT_EQ(robot_from_metadata(more.map()).cameras.at(0).key, "front");
  const auto refused = [](const std::vector<std::string>& words, auto write) {
    const Message message(write);
    expect_error(ErrorCode::kInvalidInput, words, [&] { robot_from_metadata(message.map()); });
  };
  refused({"the server's metadata: no \"robot\" in a map \"pi0\""},
          [](Encoder& encoder) { encoder.map(0); });
  refused({"no \"robot\""}, [](Encoder& encoder) { encoder.map(1).text("pi0").integer(1); });
  refused({"robot: is 1, expected a map"},
          [](Encoder& encoder) { encoder.map(1).text("pi0").map(1).text("robot").integer(1); });
  refused({"robot: no \"images\""},
          [](Encoder& encoder) { encoder.map(1).text("pi0").map(1).text("robot").map(0); });
}

}  // namespace
}  // namespace pi0
