// What surrounds the network, where the public door alone does not reach it.
#include "policy/pipeline.h"

#include <gtest/gtest.h>

#include "checkpoint/test_support.h"
#include "files/file.h"

namespace pi0 {
namespace {

Observation observation_of(const CheckpointData& checkpoint, std::size_t state) {
  Observation observation;
  observation.images[checkpoint.cameras.at(0).name] = {4, 4, std::vector<std::uint8_t>(48, 100)};
  observation.state.assign(state, 0.5f);
  observation.prompt = "go";
  return observation;
}

CheckpointOptions with_tokenizer() {
  CheckpointOptions options;
  options.tokenizer = std::filesystem::path(PI0_SOURCE_DIR) / "examples/policy/tokenizer.model";
  return options;
}

// As lerobot's rename step does it, which runs once: to what a robot gives, and never to what is
// the checkpoint's own name already.
TEST(PipelineTest, CamerasAreRenamedOnce) {
  CheckpointData checkpoint = EditableCheckpoint("pi0_tiny").open();
  ASSERT_EQ(checkpoint.cameras.size(), 3u);
  const std::string first = checkpoint.cameras[0].name, second = checkpoint.cameras[1].name;
  const std::string prefix = "observation.images.";
  const auto images_of = [&](const Observation& observation) {
    return Pipeline(checkpoint, with_tokenizer()).prepare(observation).input.images;
  };
  Observation straight =
      observation_of(checkpoint, static_cast<std::size_t>(checkpoint.state_dims));
  straight.images[second] = {4, 4, std::vector<std::uint8_t>(48, 200)};
  Observation crossed = straight;
  std::swap(crossed.images.at(first), crossed.images.at(second));
  const std::vector<float> as_given = images_of(straight), exchanged = images_of(crossed);
  ASSERT_NE(as_given, exchanged);

  checkpoint.rename_map = {{prefix + first, prefix + second}, {prefix + second, prefix + first}};
  EXPECT_EQ(images_of(straight), exchanged);
  straight.renamed = true;
  EXPECT_EQ(images_of(straight), as_given);
  // A chain: the first's name is another's, and what the first is called is not renamed further.
  checkpoint.rename_map = {{prefix + "front", prefix + first}, {prefix + first, prefix + second}};
  EXPECT_EQ(images_of(straight), as_given);
  straight.renamed = false;
  auto moved = straight.images.extract(second);
  moved.key() = "front";
  straight.images.insert(std::move(moved));
  EXPECT_EQ(images_of(straight), exchanged);
}

// lerobot's pi05 has the state in its prompt as long as it is, however wide the network's is.
TEST(PipelineTest, AStateInThePromptMayBeLongerThanTheNetworks) {
  EditableCheckpoint edited("pi05_tiny");
  edited.set("config.json", "/input_features/observation.state/shape", {40});
  edited.set("config.json", "/normalization_mapping/STATE", "IDENTITY");
  edited.set("policy_preprocessor.json", "/steps/3/config/norm_map/STATE", "IDENTITY");
  edited.set("policy_preprocessor.json", "/steps/5/config/max_length", 400);
  CheckpointOptions options;
  options.tokenizer = std::filesystem::path(PI0_SOURCE_DIR) / "examples/policy/tokenizer.model";
  const Pipeline pipeline(edited.open(), options);
  const PreparedObservation prepared = pipeline.prepare(observation_of(pipeline.checkpoint(), 40));
  EXPECT_EQ(prepared.normalised_state.size(), 40u);
  EXPECT_TRUE(prepared.input.state.empty());
  // Without statistics lerobot asks for no length.
  const Observation shorter = observation_of(pipeline.checkpoint(), 32);
  EXPECT_EQ(pipeline.prepare(shorter).normalised_state.size(), 32u);
}

void expect_state_refused(const Pipeline& pipeline, std::size_t values,
                          const std::string& sentence) {
  expect_error(ErrorCode::kInvalidInput, {sentence},
               [&] { pipeline.prepare(observation_of(pipeline.checkpoint(), values)); });
}

// 0.3 cut no prompt: one that is longer than the network is laid out for is refused, not cut.
TEST(PipelineTest, APromptThatLerobot03WouldNotCutIsRefused) {
  EditableCheckpoint edited("../golden_releases/pi0_0.3.3");
  edited.set("config.json", "/tokenizer_max_length", 4);
  const Pipeline pipeline(edited.open(), with_tokenizer());
  Observation observation = observation_of(pipeline.checkpoint(), 3);
  EXPECT_EQ(pipeline.prepare(observation).input.tokens.size(), 4u);
  observation.prompt = "go there";
  expect_error(ErrorCode::kInvalidInput, {"tokens, expected at most 4", "tokenizer_max_length"},
               [&] { pipeline.prepare(observation); });
}

// Its configuration may have the base's shapes: what counts is the image.
TEST(PipelineTest, PaddingThatMayHaveBeenAnotherIsWarnedAbout) {
  CheckpointData data = EditableCheckpoint("pi0_tiny").open();
  const auto warnings_of = [&](int width) {
    const Pipeline pipeline(data, with_tokenizer());
    Observation observation = observation_of(data, static_cast<std::size_t>(data.state_dims));
    observation.images.begin()->second = {
        4, width, std::vector<std::uint8_t>(static_cast<std::size_t>(12 * width), 100)};
    std::size_t count = 0;
    for (const std::string& warning : pipeline.prepare(observation).warnings) {
      count += warning.find("--lerobot-version") != std::string::npos;
    }
    return count;
  };
  EXPECT_EQ(warnings_of(6), 0u);
  data.release_uncertain = true;
  EXPECT_EQ(warnings_of(6), 1u);
  EXPECT_EQ(warnings_of(4), 0u);
}

// What openpi's configuration says of a prompt's length is what its tokens are cut to.
TEST(PipelineTest, APromptIsCutToMaxTokenLen) {
  EditableCheckpoint edited("openpi_pi0");
  const auto tokens = [&edited] {
    const Pipeline pipeline(edited.open(), with_tokenizer());
    Observation observation = observation_of(pipeline.checkpoint(), 7);
    for (int i = 0; i < 99; ++i) *observation.prompt += " go";
    return pipeline.prepare(observation).input.tokens;
  };
  const std::vector<std::int32_t> own = tokens();
  EXPECT_EQ(own.size(), 48u);
  write_file(edited / "pi0.json", R"({"max_token_len": 100})");
  const std::vector<std::int32_t> longer = tokens();
  EXPECT_EQ(longer.size(), 100u);
  EXPECT_TRUE(std::equal(own.begin(), own.end(), longer.begin()));
}

// A camera whose statistics normalise its pixels takes them in any form.
TEST(PipelineTest, PixelsAreNormalisedWhateverTheyAre) {
  CheckpointData checkpoint = EditableCheckpoint("pi0_tiny").open();
  Observation eight_bits =
      observation_of(checkpoint, static_cast<std::size_t>(checkpoint.state_dims));
  Image& image = eight_bits.images.begin()->second;
  for (std::size_t i = 0; i < image.rgb.size(); ++i) {
    image.rgb[i] = static_cast<std::uint8_t>(5 * i);
  }
  std::vector<float> planes;
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = c; i < image.rgb.size(); i += 3) {
      planes.push_back(static_cast<float>(image.rgb[i]) / 255.0f);
    }
  }
  Observation floats = eight_bits;
  floats.images.clear();
  floats.views[checkpoint.cameras[0].name] = {.data = planes.data(),
                                              .height = 4,
                                              .width = 4,
                                              .layout = PixelLayout::kChw,
                                              .type = PixelType::kFloatUnit};
  const std::vector<float> plain =
      Pipeline(checkpoint, with_tokenizer()).prepare(eight_bits).input.images;
  checkpoint.cameras[0].normalization = {
      NormalizationMode::kMeanStd, 1e-8, {0.1, 0.2, 0.3}, {0.5, 0.6, 0.7}};
  const Pipeline pipeline(checkpoint, with_tokenizer());
  const NetworkInput expected = pipeline.prepare(eight_bits).input;
  EXPECT_EQ(pipeline.prepare(floats).input.images, expected.images);
  EXPECT_EQ(expected.layout, PixelLayout::kHwc);
  // Of the first pixel, a corner, which the resize leaves alone: 0, 5 and 10.
  const float unit = 10.0f / 255.0f;
  EXPECT_FLOAT_EQ(plain[2], unit * 2 - 1);
  EXPECT_EQ(expected.images[2], -1) << "(unit - 0.3) / 0.7, clamped to 0";
  // And of the last: 225, 230, 235.
  EXPECT_FLOAT_EQ(expected.images.back(), (235.0f / 255.0f - 0.3f) / 0.7f * 2 - 1);
}

// openpi's state is as long as its statistics, which may be padded up to the network's width; raw,
// what the network has a place for.
TEST(PipelineTest, AStateIsAsLongAsOpenpisStatistics) {
  EditableCheckpoint openpi("openpi_pi05");
  CheckpointOptions options = with_tokenizer();
  const Pipeline exact(openpi.open(), options);
  const auto size = [](const Pipeline& pipeline, std::size_t values) {
    return pipeline.prepare(observation_of(pipeline.checkpoint(), values)).normalised_state.size();
  };
  EXPECT_EQ(size(exact, 7), 7u);
  expect_state_refused(exact, 0, "no state, expected 7, as the statistics have");
  expect_state_refused(exact, 6, "state: 6 values, expected 7, as the statistics have");
  expect_state_refused(exact, 8, "state: 8 values, expected 7, as the statistics have");
  options.raw = true;
  const Pipeline raw(openpi.open(), options);
  EXPECT_EQ(size(raw, 1), 1u);
  EXPECT_EQ(size(raw, 32), 32u);
  expect_state_refused(raw, 33, "state: 33 values, expected 1 to 32");
  openpi.edit_json("assets/droid/norm_stats.json", [](Json& json) {
    for (const char* name : {"q01", "q99"}) {
      Json& values = json["norm_stats"]["state"][name];
      while (values.size() < 40) values.push_back(0.0);
    }
  });
  const Pipeline padded(openpi.open(), with_tokenizer());
  EXPECT_EQ(size(padded, 7), 7u);
  EXPECT_EQ(size(padded, 32), 32u);
  expect_state_refused(padded, 6, "state: 6 values, expected 7 to 32");
  expect_state_refused(padded, 33, "state: 33 values, expected 7 to 32");
}

// Degrees in place of radians, say: it runs, and is told.
TEST(PipelineTest, AStateFarOutsideItsStatisticsIsWarnedAbout) {
  for (const char* const golden : {"openpi_pi05", "pi0_tiny"}) {
    const Pipeline pipeline(EditableCheckpoint(golden).open(), with_tokenizer());
    const CheckpointData& checkpoint = pipeline.checkpoint();
    Observation observation =
        observation_of(checkpoint, static_cast<std::size_t>(checkpoint.state_dims));
    const auto warned = [&] {
      for (const std::string& warning : pipeline.prepare(observation).warnings) {
        if (warning.find("far outside its statistics") == std::string::npos) continue;
        EXPECT_NE(warning.find("value 1 is 900 where the "), std::string::npos) << warning;
        EXPECT_EQ(warning.find("value 0"), std::string::npos) << warning;
        return true;
      }
      return false;
    };
    EXPECT_FALSE(warned()) << golden;
    observation.state[1] = 900;
    EXPECT_TRUE(warned()) << golden;
  }
}

// As both families' Python has it: no task is an error, an empty one is not.
TEST(PipelineTest, APromptMayBeEmptyButNotAbsent) {
  const Pipeline pipeline(EditableCheckpoint("openpi_pi05").open(), with_tokenizer());
  Observation observation = observation_of(pipeline.checkpoint(), 7);
  observation.prompt = "";
  EXPECT_FALSE(pipeline.prepare(observation).input.tokens.empty());
  observation.prompt.reset();
  expect_error(ErrorCode::kInvalidInput, {"no prompt", "--prompt \"\"", "Observation::prompt"},
               [&] { pipeline.prepare(observation); });
}

// testdata/aloha.json: openpi's own AlohaInputs, Normalize, Unnormalize, AbsoluteActions and
// AlohaOutputs on a state, statistics and a prediction.
TEST(PipelineTest, AlohaIsAdaptedAsOpenpiDoes) {
  const Json truth = read_json(std::filesystem::path(PI0_SOURCE_DIR) / "testdata/aloha.json");
  EditableCheckpoint edited("openpi_pi0");
  edited.edit_json("assets/my_robot/norm_stats.json",
                   [&](Json& json) { json["norm_stats"] = truth["norm_stats"]; });
  CheckpointOptions options;
  options.tokenizer = std::filesystem::path(PI0_SOURCE_DIR) / "examples/policy/tokenizer.model";
  const auto state = truth["state"].get<std::vector<float>>();
  std::vector<float> predicted;
  for (const Json& row : truth["model_actions"]) {
    for (const Json& value : row) predicted.push_back(value.get<float>());
  }
  for (const char* const kind : {"absolute", "delta"}) {
    Json settings = {{"adapt_to_pi", true}};
    if (std::string_view(kind) == "delta") settings["delta_mask"] = "6,-1,6,-1";
    write_file(edited / "pi0.json", settings.dump());
    const Pipeline pipeline(edited.open(), options);
    Observation observation = observation_of(pipeline.checkpoint(), 0);
    observation.state = state;
    const std::vector<float> normalised = pipeline.prepare(observation).normalised_state;
    ASSERT_EQ(normalised.size(), 14u);
    for (std::size_t i = 0; i < 14; ++i) {
      EXPECT_NEAR(normalised[i], truth["normalised_state"][i].get<float>(), 1e-6) << i;
    }
    const std::vector<float> actions = pipeline.finish(predicted, state);
    ASSERT_EQ(actions.size(), truth[kind].size() * 14);
    for (std::size_t row = 0; row < truth[kind].size(); ++row) {
      for (std::size_t i = 0; i < 14; ++i) {
        EXPECT_NEAR(actions[row * 14 + i], truth[kind][row][i].get<float>(), 1e-6)
            << kind << ' ' << row << ' ' << i;
      }
    }
    const std::vector<float> back = pipeline.unfinished(actions, state);
    const std::size_t width = predicted.size() / truth[kind].size();
    ASSERT_EQ(back.size(), predicted.size());
    for (std::size_t i = 0; i < back.size(); ++i) {
      EXPECT_NEAR(back[i], i % width < 14 ? predicted[i] : 0, 1e-4) << kind << ' ' << i;
    }
    expect_error(ErrorCode::kInvalidInput, {"state: 13 values, expected 14", "adapt_to_pi"},
                 [&] { pipeline.prepare(observation_of(pipeline.checkpoint(), 13)); });
  }
  // A network that is not told the state need not be given it.
  EditableCheckpoint untold("openpi_pi05");
  untold.edit_json("assets/droid/norm_stats.json", [](Json& json) {
    json["norm_stats"]["actions"]["q01"] = std::vector<double>(14, -1.0);
    json["norm_stats"]["actions"]["q99"] = std::vector<double>(14, 1.0);
  });
  write_file(untold / "pi0.json", R"({"adapt_to_pi": true, "prompt_format": "pi0"})");
  const Pipeline pipeline(untold.open(), options);
  EXPECT_TRUE(pipeline.prepare(observation_of(pipeline.checkpoint(), 0)).normalised_state.empty());
  EXPECT_EQ(pipeline.finish(std::vector<float>(32, 0.5f), {}).size(), 14u);
  // Statistics that are padded to the network's width are cut.
  edited.edit_json("assets/my_robot/norm_stats.json", [](Json& json) {
    for (auto& [name, statistics] : json["norm_stats"].items()) {
      while (statistics["mean"].size() < 32) {
        statistics["mean"].push_back(0.0);
        statistics["std"].push_back(1.0);
      }
    }
  });
  EXPECT_EQ(edited.open().action_dims, 14);
  const EditableCheckpoint other("openpi_pi0");  // a robot of 7 dimensions
  write_file(other / "pi0.json", R"({"adapt_to_pi": true})");
  other.expect_refused(ErrorCode::kInvalidCheckpoint, {"pi0.json", "ALOHA's 14", "have 7"});
}

void expect_range(const ActionRange& range, double low, double high) {
  EXPECT_TRUE(range.known());
  EXPECT_NEAR(range.low, low, 1e-4);
  EXPECT_NEAR(range.high, high, 1e-4);
}

TEST(PipelineTest, RangesAreTheStatisticsOwn) {
  for (const char* const golden : {"pi0_tiny", "openpi_pi0"}) {
    SCOPED_TRACE(golden);
    CheckpointData checkpoint = EditableCheckpoint(golden).open();
    const auto dims = static_cast<std::size_t>(checkpoint.action_dims);
    ASSERT_GE(dims, 3u);
    checkpoint.relative_actions.clear();
    const auto ranges_of = [&](Normalization statistics, std::span<const float> state = {}) {
      statistics.eps = 1e-6;
      statistics.first.resize(dims);
      statistics.second.resize(dims);
      checkpoint.action = statistics;
      return Pipeline(checkpoint, with_tokenizer()).ranges(state);
    };
    for (const auto mode : {NormalizationMode::kMinMax, NormalizationMode::kQuantiles,
                            NormalizationMode::kQuantile10}) {
      if (checkpoint.family == Family::kOpenpi && mode != NormalizationMode::kQuantiles) continue;
      const auto ranges = ranges_of({mode, 0, {-1, 5, 0}, {3, 5, 0.5}});
      ASSERT_EQ(ranges.size(), dims);
      expect_range(ranges[0], -1, 3);
      EXPECT_FALSE(ranges[1].known());  // always 5
      expect_range(ranges[2], 0, 0.5);
    }
    const Normalization deviations{NormalizationMode::kMeanStd, 0, {10, 0, -2}, {2, 0, 0.5}};
    const auto ranges = ranges_of(deviations);
    ASSERT_EQ(ranges.size(), dims);
    expect_range(ranges[0], 6, 14);
    EXPECT_FALSE(ranges[1].known());
    expect_range(ranges[2], -3, -1);
    // Relative to the state: seen from it.
    checkpoint.relative_actions = {true, true, false};
    const std::vector<float> state{100, 100, 100};
    const auto moved = ranges_of(deviations, state);
    expect_range(moved[0], 106, 114);
    EXPECT_FALSE(moved[1].known());
    expect_range(moved[2], -3, -1);
    // More than numbers hold is no range.
    EXPECT_FALSE(ranges_of({NormalizationMode::kMeanStd, 0, {0}, {3e38}})[0].known());
  }
}

TEST(PipelineTest, NoStatisticsHaveNoRanges) {
  CheckpointData checkpoint = EditableCheckpoint("openpi_pi0").open();
  CheckpointOptions raw = with_tokenizer();
  raw.raw = true;
  EXPECT_TRUE(Pipeline(checkpoint, raw).ranges({}).empty());
  // Of fewer dimensions than the actions have.
  checkpoint.action = {NormalizationMode::kMeanStd, 0, {1}, {1}};
  const auto ranges = Pipeline(checkpoint, with_tokenizer()).ranges({});
  ASSERT_EQ(ranges.size(), static_cast<std::size_t>(checkpoint.action_dims));
  expect_range(ranges[0], -1, 3);
  EXPECT_FALSE(ranges[1].known());
  checkpoint.action = {};
  EXPECT_TRUE(Pipeline(checkpoint, with_tokenizer()).ranges({}).empty());
}

// A joint that is turned round has its ends the other way.
TEST(PipelineTest, RangesAreTheRobotsOwn) {
  CheckpointData checkpoint = EditableCheckpoint("openpi_pi0").open();
  checkpoint.adapt_to_pi = true;
  checkpoint.action_dims = kAlohaDims;
  checkpoint.relative_actions.clear();
  checkpoint.action = {NormalizationMode::kQuantiles, 0, std::vector<double>(14, 1.0),
                       std::vector<double>(14, 3.0)};
  const auto ranges = Pipeline(checkpoint, with_tokenizer()).ranges(std::vector<float>(14, 0.5f));
  ASSERT_EQ(ranges.size(), 14u);
  expect_range(ranges[0], 1, 3);
  expect_range(ranges[1], -3, -1);
}

}  // namespace
}  // namespace pi0
