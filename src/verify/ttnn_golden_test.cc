// The TTNN device on the emulated cards: against what PyTorch recorded, and at the widths of the
// published networks against the reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "device/registry/registry.h"
#include "runtime/loaded_network.h"
#include "runtime/random_input.h"
#include "verify/comparison.h"
#include "verify/golden_testing.h"
#include "verify/verify.h"

namespace pi0 {
namespace {

constexpr double kPcc = 0.99;

using GoldenOnCard = std::tuple<GoldenFile, std::string>;

class TtnnGolden : public testing::TestWithParam<GoldenOnCard> {};

void expect_correlated(const Verification& verification) {
  EXPECT_FALSE(verification.stages.empty());
  for (const StageResult& stage : verification.stages) {
    EXPECT_GE(stage.correlation, kPcc) << stage.stage;
  }
}

// actions - noise: the noise alone would correlate with the actions. Where the robot has fewer
// dimensions than the network, the recording has those alone.
void expect_moved_alike(const std::vector<float>& computed, const std::vector<float>& recorded,
                        const std::vector<float>& noise, std::size_t horizon) {
  ASSERT_EQ(computed.size(), recorded.size());
  const std::size_t columns = recorded.size() / horizon;
  std::vector<float> a, b;
  for (std::size_t i = 0; i < recorded.size(); ++i) {
    const float start = noise.at(i / columns * (noise.size() / horizon) + i % columns);
    a.push_back(recorded[i] - start);
    b.push_back(computed[i] - start);
  }
  EXPECT_GE(compare(a, b).correlation, kPcc) << "actions - noise";
}

TEST_P(TtnnGolden, CorrelatesWithPyTorch) {
  const auto& [golden, card] = GetParam();
  const std::filesystem::path directory = golden.checkpoint;
  DeviceOptions options;
  options.device = "ttnn-emulated:" + card;
  const CheckpointOptions reading{.tokenizer =
                                      kSource / "testdata/golden/preprocess/tokenizer.model"};
  const CheckpointData checkpoint = open_checkpoint(directory);
  const Network network = load_network(checkpoint, options);
  PyTorchRecording recording = read_recording(directory / golden.file, checkpoint);
  keep_few_guided(recording);
  RecordedPipelines pipelines(directory, reading);
  const auto horizon = static_cast<std::size_t>(checkpoint.model.action_horizon);
  if (recording.network) {
    const NetworkRecording& recorded = *recording.network;
    const Verification verification =
        verify_network(network, checkpoint.model, recorded, recording.where, VerifyOptions());
    expect_correlated(verification);
    for (const GuidedCall& call : recorded.guided) {  // each captured, and replayed
      SampleOptions guided;
      guided.noise = recorded.noise;
      guided.steps = call.steps;
      guided.rtc = call.rtc;
      for (int again = 0; again < 2; ++again) {
        EXPECT_EQ(network.sample_actions(recorded.input, guided),
                  verification.computed.at(call.name + ".actions").values)
            << call.name;
      }
    }
    if (recorded.stages.empty()) return;
    const std::vector<float>& actions = verification.computed.at("actions").values;
    expect_moved_alike(actions, recorded.stages.at("actions").values, recorded.noise, horizon);
    // Compiled, captured, replayed; and after being observed, all of it anew.
    SampleOptions options_of_call;
    options_of_call.noise = recorded.noise;
    options_of_call.steps = recorded.steps;
    for (int call = 0; call < 4; ++call) {
      EXPECT_EQ(network.sample_actions(recorded.input, options_of_call), actions) << call;
    }
    verify_network(network, checkpoint.model, recorded, recording.where, VerifyOptions());
    EXPECT_EQ(network.sample_actions(recorded.input, options_of_call), actions);
  }
  for (const RecordedCase& one : recording.cases) {
    SCOPED_TRACE(one.name);
    const Verification verification =
        verify_case(network, one, recording.where, pipelines, VerifyOptions());
    expect_correlated(verification);
    const auto expected = one.results.find("model_actions");
    if (expected == one.results.end()) continue;
    const auto computed =
        std::find_if(verification.computed.begin(), verification.computed.end(),
                     [](const auto& stage) { return stage.first.ends_with("model_actions"); });
    ASSERT_NE(computed, verification.computed.end());
    expect_moved_alike(computed->second.values, expected->second.values, one.noise, horizon);
  }
}

INSTANTIATE_TEST_SUITE_P(All, TtnnGolden,
                         testing::Combine(testing::ValuesIn(golden_files()),
                                          testing::Values("n150", "p150")),
                         [](const auto& info) {
                           return golden_name(std::get<0>(info.param)) + "_" +
                                  std::get<1>(info.param);
                         });

// Calls whose shape changes (cameras, tokens): each of the others' traces is gone by then, and what
// a call keeps on the card is its own.
TEST(TtnnReplay, AChangeOfShapeGivesWhatAFreshRunDoes) {
  for (const char* kind : {"pi0_tiny", "pi05_tiny"}) {
    const std::filesystem::path directory = kSource / "testdata/golden" / kind;
    const CheckpointData checkpoint = open_checkpoint(directory);
    DeviceOptions options;
    options.device = "ttnn-emulated";
    struct Call {
      NetworkInput input;
      SampleOptions options;
      std::vector<float> expected;
    };
    std::vector<Call> calls;
    for (const char* file : {"full.safetensors", "one_camera_short.safetensors"}) {
      const NetworkRecording network = *read_recording(directory / file, checkpoint).network;
      Call call;
      call.input = network.input;
      call.options.noise = network.noise;
      call.options.steps = network.steps;
      const Network fresh = load_network(checkpoint, options);
      call.expected = fresh.sample_actions(call.input, call.options);
      calls.push_back(std::move(call));
    }
    ASSERT_NE(calls[0].expected, calls[1].expected);
    const Network network = load_network(checkpoint, options);
    int number = 0;
    for (const int which : {0, 0, 0, 1, 1, 1, 0, 1, 0, 0, 0}) {
      const Call& call = calls[which];
      EXPECT_EQ(network.sample_actions(call.input, call.options), call.expected)
          << kind << " call " << number;
      ++number;
    }
  }
}

// How many rows are held is no part of a shape: what is replayed is of this call's.
TEST(TtnnReplay, AsManyRowsAreHeldAsTheCallSays) {
  const std::filesystem::path directory = kSource / "testdata/golden_extra/pi05_trained";
  const CheckpointData checkpoint = open_checkpoint(directory);
  const DeviceOptions options{.device = "ttnn-emulated"};
  const NetworkRecording recording =
      *read_recording(directory / "rtc.safetensors", checkpoint).network;
  const auto longest = std::find_if(recording.guided.begin(), recording.guided.end(),
                                    [](const GuidedCall& call) { return call.name == "longest"; });
  ASSERT_NE(longest, recording.guided.end());
  const std::vector<float>& before = longest->rtc.prev_chunk_left_over;
  const auto width = static_cast<std::ptrdiff_t>(checkpoint.model.action_dim);
  const Network network = load_network(checkpoint, options);
  for (const int delay : {2, 33, 32, 1, 0, 33}) {
    SampleOptions call{.noise = recording.noise, .rtc = longest->rtc};
    call.rtc->inference_delay = delay;
    const std::vector<float> actions = network.sample_actions(recording.input, call);
    EXPECT_TRUE(std::equal(before.begin(), before.begin() + delay * width, actions.begin()))
        << delay;
    const Network fresh = load_network(checkpoint, options);
    EXPECT_EQ(actions, fresh.sample_actions(recording.input, call)) << delay;
  }
}

// Of prompts of one number of tiles the third call is replayed, whatever their lengths; and what is
// replayed is what the reference computes of each.
TEST(TtnnReplay, PromptsOfEveryLengthShareTheirTraces) {
  struct Log final : OperationLog {
    void mark(const Component&, int) override {}
    void record(OperationRecord operation) override { linears += operation.name == "ttnn.linear"; }
    int linears = 0;
  };
  for (const char* kind : {"pi0_tiny", "pi05_tiny"}) {
    const CheckpointData checkpoint = open_checkpoint(kSource / "testdata/golden" / kind);
    Log log;
    const Network card =
        load_network(checkpoint, open_device({.name = "ttnn-emulated", .log = &log}));
    const Network truth = load_network(checkpoint, open_device({.name = "reference"}));
    const int most = checkpoint.model.max_tokens;
    int calls = 0;
    for (const int tokens : {most, 2, 1, most - 1, 7, most / 2, most}) {
      const NetworkCall call = random_call(checkpoint.model, {.tokens = tokens}, 3 + tokens);
      log.linears = 0;
      const std::vector<float> actions = card.sample_actions(call.input, call.options);
      EXPECT_EQ(log.linears == 0, ++calls > 2) << kind << " " << tokens;
      const std::vector<float> expected = truth.sample_actions(call.input, call.options);
      std::vector<float> moved, expected_moved;
      for (std::size_t i = 0; i < actions.size(); ++i) {
        moved.push_back(actions[i] - call.options.noise[i]);
        expected_moved.push_back(expected[i] - call.options.noise[i]);
      }
      EXPECT_GE(compare(expected_moved, moved).correlation, 0.998) << kind << " " << tokens;
    }
  }
}

// PI0_ALL_ROWS=1 (`make full-size`): with all rows of a call; else 33.
class TtnnFullWidth : public testing::TestWithParam<ModelKind> {};

TEST_P(TtnnFullWidth, CorrelatesWithTheReference) {
  const CheckpointData checkpoint =
      full_width_checkpoint(GetParam(), std::getenv("PI0_ALL_ROWS") != nullptr);
  const std::vector<NetworkCall> calls{random_call(checkpoint.model, {}, 11)};
  Comparison comparison;
  compare_devices(checkpoint, {.name = "ttnn-emulated"}, {.name = "reference"}, calls, {},
                  comparison);
  expect_components_correlate(comparison, kPcc);
  EXPECT_GE(comparison.actions_pcc(), kPcc);
  RecordProperty("worst_pcc", std::to_string(comparison.worst_pcc()));
}

INSTANTIATE_TEST_SUITE_P(Kinds, TtnnFullWidth, testing::Values(ModelKind::kPi0, ModelKind::kPi05),
                         [](const auto& info) {
                           return info.param == ModelKind::kPi0 ? "pi0" : "pi05";
                         });

}  // namespace
}  // namespace pi0
