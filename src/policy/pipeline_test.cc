// What surrounds the network, where the public door alone does not reach it.
#include "policy/pipeline.h"

#include <gtest/gtest.h>

#include "checkpoint/test_support.h"

namespace pi0 {
namespace {

Observation observation_of(const Checkpoint& checkpoint, std::size_t state) {
  Observation observation;
  observation.images[checkpoint.cameras.at(0).name] = {4, 4, std::vector<std::uint8_t>(48, 100)};
  observation.state.assign(state, 0.5f);
  observation.prompt = "go";
  return observation;
}

// lerobot's pi05 has the state in its prompt as long as it is, however wide the network's is.
TEST(PipelineTest, AStateInThePromptMayBeLongerThanTheNetworks) {
  EditableCheckpoint edited("pi05_tiny");
  edited.set("config.json", "/input_features/observation.state/shape", {40});
  edited.set("config.json", "/normalization_mapping/STATE", "IDENTITY");
  edited.set("policy_preprocessor.json", "/steps/3/config/norm_map/STATE", "IDENTITY");
  edited.set("policy_preprocessor.json", "/steps/5/config/max_length", 400);
  PolicyOptions options;
  options.tokenizer = std::filesystem::path(PI0_SOURCE_DIR) / "examples/policy/tokenizer.model";
  const Pipeline pipeline(edited.open(), options);
  const PreparedObservation prepared = pipeline.prepare(observation_of(pipeline.checkpoint(), 40));
  EXPECT_EQ(prepared.normalised_state.size(), 40u);
  EXPECT_TRUE(prepared.input.state.empty());
  expect_error([&] { pipeline.prepare(observation_of(pipeline.checkpoint(), 32)); },
               ErrorCode::kInvalidInput, {"state: 32 values, expected 40"});
}

// What the network has a place for is the most that it can be given.
TEST(PipelineTest, AStateOfTheNetworksIsNoLongerThanIt) {
  const EditableCheckpoint openpi("openpi_pi05");
  PolicyOptions options;
  options.tokenizer = std::filesystem::path(PI0_SOURCE_DIR) / "examples/policy/tokenizer.model";
  const Pipeline pipeline(openpi.open(), options);
  EXPECT_NO_THROW(pipeline.prepare(observation_of(pipeline.checkpoint(), 32)));
  expect_error([&] { pipeline.prepare(observation_of(pipeline.checkpoint(), 33)); },
               ErrorCode::kInvalidInput, {"state: 33 values, expected 1 to 32"});
}

}  // namespace
}  // namespace pi0
