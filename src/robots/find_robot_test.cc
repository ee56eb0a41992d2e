#include <gtest/gtest.h>

#include "robots/robots_testing.h"

namespace pi0 {
namespace {

// "key=camera", of each.
std::string cameras_of(const Robot& robot) {
  std::string text;
  for (const CameraKey& camera : robot.cameras) {
    text += (text.empty() ? "" : " ") + camera.key + "=" + camera.camera;
    if (camera.required) text += "!";
  }
  return text;
}
std::string cameras_of(const std::string& name, const std::vector<std::string>& cameras) {
  return cameras_of(find_robot(name, policy_with(cameras)));
}

TEST(FindRobotTest, OpenpisRobotsHaveItsCameras) {
  const Robot aloha = find_robot("aloha", openpi_policy());
  EXPECT_EQ(cameras_of(aloha),
            "images/cam_high=base_0_rgb! images/cam_left_wrist=left_wrist_0_rgb "
            "images/cam_right_wrist=right_wrist_0_rgb images/cam_low=");
  EXPECT_EQ(aloha.action_dims, 14);
  const Robot libero = find_robot("libero", openpi_policy());
  EXPECT_EQ(cameras_of(libero),
            "observation/image=base_0_rgb! observation/wrist_image=left_wrist_0_rgb!");
  EXPECT_EQ(libero.action_dims, 7);
  const Robot droid = find_robot("droid", openpi_policy());
  EXPECT_EQ(cameras_of(droid),
            "observation/exterior_image_1_left=base_0_rgb! "
            "observation/wrist_image_left=left_wrist_0_rgb!");
  EXPECT_EQ(droid.action_dims, 8);
  EXPECT_EQ(droid.state.size(), 2u);
}

TEST(FindRobotTest, CamerasOfADatasetAreKnownByItsNames) {
  EXPECT_EQ(cameras_of("aloha", {"cam_low", "cam_high", "cam_left_wrist", "cam_right_wrist"}),
            "images/cam_high=cam_high! images/cam_left_wrist=cam_left_wrist "
            "images/cam_right_wrist=cam_right_wrist images/cam_low=cam_low");
  // openpi has no use for cam_low, so it is not what "front" might be.
  EXPECT_EQ(cameras_of("aloha", {"cam_high", "cam_left_wrist", "cam_right_wrist", "front"}),
            "images/cam_high=cam_high! images/cam_left_wrist=cam_left_wrist "
            "images/cam_right_wrist=cam_right_wrist images/cam_low=");
  // The simulator's, which openpi's aloha_sim calls cam_high: nothing is left for other cameras.
  EXPECT_EQ(cameras_of("aloha", {"top"}),
            "images/cam_high=top! images/cam_left_wrist= images/cam_right_wrist= images/cam_low=");
  EXPECT_EQ(cameras_of("libero", {"image", "image2"}),
            "observation/image=image! observation/wrist_image=image2!");
  EXPECT_EQ(cameras_of("droid", {"wrist_left", "exterior_1_left", "exterior_2_left"}),
            "observation/exterior_image_1_left=exterior_1_left! "
            "observation/wrist_image_left=wrist_left!");
}

TEST(FindRobotTest, WhatIsNotPlainIsRefused) {
  const auto refused = [](const std::string& robot, const std::vector<std::string>& cameras,
                          const std::vector<std::string>& words) {
    expect_error(ErrorCode::kInvalidInput, words, [&] { find_robot(robot, policy_with(cameras)); });
  };
  refused("libero", {"front", "wrist_image"},
          {"robot libero: observation/image is none of the checkpoint's", "(front)", "--keys"});
  refused("libero", {"image"}, {"observation/wrist_image", "(all are taken)"});
  // A wrist camera might be "hand", or not.
  refused("aloha", {"top", "hand"}, {"images/cam_left_wrist", "(hand)"});
  refused("ALOHA", {"top"}, {"robot: is \"ALOHA\", expected aloha, libero, droid or none"});
  PolicyInfo padded = policy_with({"top", "empty_camera_0"});
  padded.cameras[1].empty = true;
  EXPECT_NO_THROW(find_robot("aloha", padded));
  // What training left empty is nobody's camera.
  padded = policy_with({"image", "image2"});
  padded.cameras[1].empty = true;
  expect_error(ErrorCode::kInvalidInput, {"observation/wrist_image"},
               [&] { find_robot("libero", padded); });
}

TEST(FindRobotTest, NoneHasLerobotsKeys) {
  PolicyInfo policy = policy_with({"top", "wrist", "empty_camera_0", "observation.image"});
  policy.cameras[2].empty = true;
  const Robot robot = find_robot("none", policy);
  EXPECT_EQ(cameras_of(robot),
            "observation.images.top=top observation.images.wrist=wrist "
            "observation.image=observation.image");
  EXPECT_EQ(robot.state, std::vector<std::string>{"observation.state"});
  EXPECT_EQ(robot.prompt, "task");
  EXPECT_EQ(robot.action_dims, 0);
  EXPECT_EQ(cameras_of(find_robot("none", openpi_policy())),
            "observation.images.base_0_rgb=base_0_rgb "
            "observation.images.left_wrist_0_rgb=left_wrist_0_rgb "
            "observation.images.right_wrist_0_rgb=right_wrist_0_rgb");
}

// lerobot's rename_processor.py: {rename_map.get(key, key): value}.
TEST(FindRobotTest, NoneHasTheKeysThatAreRenamed) {
  const auto cameras_with = [](const std::map<std::string, std::string>& renames) {
    PolicyInfo policy = policy_with({"top", "wrist"});
    policy.rename_map = renames;
    return cameras_of(find_robot("none", policy));
  };
  const std::string top = "observation.images.top", wrist = "observation.images.wrist";
  EXPECT_EQ(cameras_with({{"observation.images.front", top}, {"hand", wrist}}),
            "observation.images.top=top observation.images.front=top "
            "observation.images.wrist=wrist hand=wrist");
  EXPECT_EQ(cameras_with({{top, wrist}, {wrist, top}}),
            "observation.images.wrist=top observation.images.top=wrist");
  EXPECT_EQ(cameras_with({{top, wrist}}),
            "observation.images.wrist=wrist observation.images.top=wrist");
  EXPECT_EQ(cameras_with({{top, top}, {"observation.images.rear", "observation.images.back"}}),
            "observation.images.top=top observation.images.wrist=wrist");
  PolicyInfo policy = policy_with({"top"});
  policy.rename_map = {{"observation.joints", "observation.state"}};
  EXPECT_EQ(find_robot("none", policy).state, std::vector<std::string>{"observation.joints"});
  EXPECT_EQ(find_robot("none", policy).state_else, "observation.state");
}

TEST(FindRobotTest, WhatOpenpiTrainsOtherwiseIsWarnedAbout) {
  PolicyInfo policy = openpi_policy();
  const auto warnings = [&policy](const char* name) {
    return robot_warnings(find_robot(name, policy), policy);
  };
  ASSERT_EQ(warnings("aloha").size(), 1u);
  EXPECT_NE(warnings("aloha")[0].find("--adapt-to-pi, --delta-mask 6,-1,6,-1"), std::string::npos);
  ASSERT_EQ(warnings("libero").size(), 1u);
  EXPECT_NE(warnings("libero")[0].find("--delta-mask 6,-1"), std::string::npos);
  ASSERT_EQ(warnings("droid").size(), 1u);
  EXPECT_NE(warnings("droid")[0].find("--delta-mask 7,-1"), std::string::npos);
  policy.kind = "pi05";  // whose LIBERO is not trained so
  EXPECT_TRUE(warnings("libero").empty());
  EXPECT_EQ(warnings("droid").size(), 1u);
  policy.adapt_to_pi = true;
  EXPECT_TRUE(warnings("aloha").empty());
  policy.adapt_to_pi = false;
  policy.relative_actions = true;
  EXPECT_TRUE(warnings("aloha").empty());
  EXPECT_TRUE(warnings("droid").empty());
  policy.relative_actions = false;
  policy.family = "lerobot";  // whose files say it
  EXPECT_TRUE(warnings("aloha").empty());
  policy.action_dims = 7;
  ASSERT_EQ(warnings("aloha").size(), 1u);
  EXPECT_NE(warnings("aloha")[0].find("has 14 action dimensions, but the policy 7"),
            std::string::npos);
  EXPECT_TRUE(warnings("libero").empty());
}

}  // namespace
}  // namespace pi0
