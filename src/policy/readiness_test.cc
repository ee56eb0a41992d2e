// Against Policy::load itself: what is said to be ready loads, what is not is refused for the
// reason that was given first.
#include "policy/readiness.h"

#include <gtest/gtest.h>

#include "checkpoint/test_support.h"
#include "policy/options.h"

namespace pi0 {
namespace {

struct Options {
  CheckpointOptions checkpoint;
  DeviceOptions device;
};

Options on_reference() {
  Options options;
  options.device.device = "reference";
  options.checkpoint.tokenizer =
      std::filesystem::path(PI0_SOURCE_DIR) / "examples/policy/tokenizer.model";
  return options;
}

std::vector<std::string> refused(const EditableCheckpoint& checkpoint, const Options& options) {
  const Readiness readiness =
      readiness_of(inspect_checkpoint(checkpoint.path(), overrides_of(options.checkpoint)),
                   options.checkpoint, options.device);
  if (readiness.refused.empty()) {
    EXPECT_NO_THROW(Policy::load(checkpoint.path(), options.device, options.checkpoint));
    EXPECT_EQ(readiness.tokenizer, options.checkpoint.tokenizer);
    EXPECT_EQ(readiness.device, "reference (named)");
  }
  return readiness.refused;
}

void expect_as_load(const EditableCheckpoint& checkpoint, const Options& options,
                    const std::vector<std::string>& words) {
  const std::vector<std::string> reasons = refused(checkpoint, options);
  ASSERT_EQ(reasons.size(), words.size());
  for (std::size_t i = 0; i < words.size(); ++i) {
    EXPECT_NE(reasons[i].find(words[i]), std::string::npos) << reasons[i];
  }
  try {
    Policy::load(checkpoint.path(), options.device, options.checkpoint);
    FAIL() << "loaded, though it was said to be refused: " << reasons[0];
  } catch (const Error& error) {
    EXPECT_EQ(std::count(reasons.begin(), reasons.end(), error.what()), 1) << error.what();
  }
}

TEST(ReadinessTest, ALoadableCheckpointIsReady) {
  EXPECT_TRUE(refused(EditableCheckpoint("pi0_tiny"), on_reference()).empty());
  EXPECT_TRUE(refused(EditableCheckpoint("openpi_pi05"), on_reference()).empty());
}

TEST(ReadinessTest, EachReasonIsGiven) {
  const EditableCheckpoint bare("pi0_tiny_224");  // has no statistics
  Options options = on_reference();
  expect_as_load(bare, options, {"no statistics of observation.state"});
  options.checkpoint.raw = true;
  EXPECT_TRUE(refused(bare, options).empty());
  options = on_reference();
  options.checkpoint.tokenizer = bare / "absent";
  options.checkpoint.resize = "bicubic";
  options.device.device = "gpu";
  options.device.memory_limit_bytes = 1;
  expect_as_load(
      bare, options,
      {"no statistics of observation.state", "resize is bicubic", "absent", "device gpu"});
  options = on_reference();
  options.device.memory_limit_bytes = 1000;
  expect_as_load(EditableCheckpoint("pi0_tiny"), options, {"1.00 kB are allowed"});
  options = on_reference();
  options.checkpoint.tokenizer = bare / "config.json";
  expect_as_load(EditableCheckpoint("pi0_tiny"), options, {"config.json"});
}

TEST(ReadinessTest, WhatTheCheckpointItselfIsRefusedForIsGivenToo) {
  EditableCheckpoint checkpoint("pi0_tiny");
  checkpoint.set("policy_preprocessor.json", "/steps/1/registry_name", "libero_processor");
  expect_as_load(checkpoint, on_reference(), {"libero_processor"});
  EditableCheckpoint incomplete("openpi_pi0");
  incomplete.erase_tensor("model.safetensors", "action_out_proj.bias");
  expect_as_load(incomplete, on_reference(), {"action_out_proj.bias is missing"});
}

}  // namespace
}  // namespace pi0
