// Every public struct may be made with some of its members named and the others left out, without
// a warning from a caller's compiler: this file is compiled as theirs with -Wextra.
#pragma GCC diagnostic error "-Wmissing-field-initializers"

#include <gtest/gtest.h>

#include "pi0/device.h"
#include "pi0/policy.h"

namespace pi0 {
namespace {

TEST(Initialisers, WhatIsNotNamedIsEmpty) {
  EXPECT_EQ(DeviceInfo{.name = "cpu"}.description, "");
  EXPECT_EQ(DeviceInfo{.description = "any"}.name, "");
  EXPECT_EQ(Image{.height = 2}.width, 0);
  EXPECT_TRUE(Image{.width = 2}.rgb.empty());
  EXPECT_EQ((ImageView{.height = 2, .width = 3}.data), nullptr);
  EXPECT_EQ(ImageView{.row_stride = 2048}.type, PixelType::kUint8);
  EXPECT_EQ(ImageView{.plane_stride = 4096}.layout, PixelLayout::kHwc);
  EXPECT_TRUE(Observation{.state = {1.0f}}.views.empty());
  EXPECT_EQ(Observation{.prompt = "open the drawer"}.images.size(), 0u);
  EXPECT_FALSE(Observation{.state = {1.0f}}.prompt);
  EXPECT_EQ(Progress{.stage = "prefix"}.total, 0u);
  EXPECT_EQ(Progress{.total = 3}.stage, "");
  EXPECT_EQ(DeviceOptions{.dtype = "int8"}.device, "auto");
  EXPECT_FALSE(DeviceOptions{.threads = 1}.progress);
  EXPECT_FALSE(CheckpointOptions{.tokenizer = "tokenizer.model"}.raw);
  EXPECT_EQ(CheckpointOptions{.raw = true}.action_dims, 0);
  EXPECT_TRUE(DeviceInfo{.absent = "no card"}.forms.empty());
  EXPECT_FALSE(SampleOptions{.steps = 3}.seed);
  EXPECT_TRUE(SampleOptions{.seed = 3}.noise.empty());
  EXPECT_EQ(NetworkInfo{.image_size = 224}.num_cameras, 0);
  EXPECT_TRUE(NetworkInfo{.num_steps = 10}.warnings.empty());
  EXPECT_TRUE(NetworkInput{.tokens = {2}}.images.empty());
  EXPECT_TRUE(NetworkInput{.images = {0.5f}}.state.empty());
  EXPECT_EQ(NetworkInput{.images = {0.5f}}.layout, PixelLayout::kChw);
  EXPECT_EQ(Timing{.total_ms = 1}.vision_ms, 0);
  EXPECT_EQ(CameraInfo{.name = "top"}.feature, "");
  EXPECT_TRUE(PolicyInfo{.kind = "pi0"}.action_names.empty());
  EXPECT_EQ(PolicyInfo{.num_steps = 10}.family, "");
  EXPECT_FALSE((ActionRange{.low = 1, .high = 1}.known()));
  EXPECT_EQ((ActionChunk{.horizon = 1, .dims = 1, .actions = {1.0f}}.ranges.size()), 0u);
  EXPECT_TRUE(ActionChunk{.dims = 7}.actions.empty());
  EXPECT_TRUE(Seam{.delay = 2}.jump.empty());
  EXPECT_FALSE(RealTimeChunking{.max_jump = {1}}.roll_state_forward);
}

}  // namespace
}  // namespace pi0
