// A server's calls, recorded and played again.
#include "replay/replay.h"

#include <fstream>

#include "base/test_support.h"
#include "files/file.h"
#include "files/json.h"
#include "replay/answer.h"
#include "replay/dump.h"
#include "replay/replay_report.h"
#include "replay/replay_testing.h"
#include "replay/seeded_request.h"
#include "serve/conversation_testing.h"
#include "serve/model.h"
#include "wire/decode.h"
#include "wire/encode.h"

namespace pi0 {
namespace {

const std::filesystem::path kSource = PI0_SOURCE_DIR;
const std::filesystem::path kPolicy = kSource / "examples/policy";

// A server of examples/policy without a network.
class RecordingServer {
 public:
  explicit RecordingServer(const std::filesystem::path& directory)
      : options_(options(directory)),
        recorder_(options_, [](const std::string& sentence) { ADD_FAILURE() << sentence; }) {
    Dispatcher::Events events;
    events.ready = [this] { loop_.post([this] { ready_ = true; }); };
    dispatcher_.emplace(options_, open_model(options_), std::move(events));
    hub_.emplace(options_, *dispatcher_,
                 [this](std::function<void()> task) { loop_.post(std::move(task)); });
    hub_->recorder = &recorder_;
    loop_.run_until([this] { return ready_; });
  }
  static ServerOptions options(const std::filesystem::path& record) {
    ServerOptions options;
    options.checkpoint = kPolicy;
    options.devices = {{.device = "cpu", .dtype = "fp32", .threads = 1}};
    options.prompt = "open the drawer";
    options.sample.steps = 3;
    options.record = record;
    return options;
  }

  // A client that asks each in its turn, and leaves; what it is answered.
  std::vector<std::vector<std::byte>> ask(const std::vector<std::vector<std::byte>>& requests) {
    Answers answers;
    const auto client =
        std::make_shared<Conversation>(*hub_, answers, "127.0.0.1:4242", Dialect::kOpenpi);
    client->begin();
    for (const std::vector<std::byte>& request : requests) {
      const std::size_t before = answers.frames.size();
      client->receive(request, true);
      loop_.run_until([&] { return answers.frames.size() > before; });
    }
    client->leave();
    answers.frames.erase(answers.frames.begin());  // the metadata
    return std::move(answers.frames);
  }

 private:
  const ServerOptions options_;
  CallRecorder recorder_;
  Loop loop_;
  bool ready_ = false;
  std::optional<Dispatcher> dispatcher_;
  std::optional<Hub> hub_;
};

void observation(Encoder& encoder, std::uint8_t grey) {
  const std::vector<std::uint8_t> pixels(3 * 32 * 48, grey);
  encoder.text("observation.images.base_0_rgb").pixels(32, 48, pixels);
  const std::vector<float> state = {0.01f * grey, 0.6f, 0.2f, 1};
  encoder.text("observation.state").array({4}, state);
}

// `options`: the map "pi0"; empty: none.
std::vector<std::byte> request(std::uint8_t grey,
                               const std::function<void(Encoder&)>& options = {}) {
  Encoder encoder;
  encoder.map(options ? 3 : 2);
  observation(encoder, grey);
  if (options) options(encoder.text("pi0"));
  return encoder.take();
}

std::vector<std::byte> continuing(std::uint8_t grey, int executed,
                                  const std::function<void(Encoder&)>& more = {}) {
  return request(grey, [&](Encoder& encoder) {
    encoder.map(1).text("rtc").map(more ? 3 : 2);
    encoder.text("executed").integer(executed).text("hz").number(1000);
    if (more) more(encoder);
  });
}

class ReplayTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    checkpoint = std::make_unique<Checkpoint>(Checkpoint::open(kPolicy));
    policy = std::make_unique<Policy>(
        checkpoint->load({.device = "cpu", .dtype = "fp32", .threads = 1}));
    calls = std::make_unique<TemporaryDirectory>();
    RecordingServer server(*calls / "calls");
    server.ask(
        {request(10), continuing(20, 4), continuing(30, 8), continuing(40, 2, [](Encoder& encoder) {
           encoder.text("roll_state_forward").boolean(true);
         })});
    server.ask({request(50, [](Encoder& encoder) { encoder.map(1).text("seed").integer(7); }),
                request(60, [](Encoder& encoder) {
                  const std::vector<float> noise(16 * 8, 0.5f);
                  encoder.map(2).text("noise").array({16, 8}, noise).text("steps").integer(2);
                })});
    Encoder batch;
    batch.map(1).text("batch").list(2);
    for (const std::uint8_t grey : {70, 80}) observation(batch.map(2), grey);
    Encoder late;
    server.ask({batch.take(), request(90, [](Encoder& encoder) {
                  encoder.map(1).text("deadline_ms").number(1e-6);
                })});
    Encoder nothing;
    server.ask({nothing.map(0).take()});
    server.ask({request(100, [](Encoder& encoder) {
      encoder.map(1).text("noise").array({2}, std::vector<float>{1, 2});
    })});
    server.ask({request(10), continuing(20, 4, [](Encoder& encoder) {
                  encoder.text("max_jump").number(1e-6);
                })});
  }
  static void TearDownTestSuite() {
    policy.reset();
    checkpoint.reset();
    calls.reset();
  }
  static Record open(const WhichCalls& which = {}) { return open_record(*calls / "calls", which); }
  static std::vector<PlayedCall> play(const Record& record, const Policy& on,
                                      const Tolerances& tolerances = {}) {
    std::vector<PlayedCall> played;
    replay(record, *checkpoint, on, tolerances,
           [&](PlayedCall call) { played.push_back(std::move(call)); });
    return played;
  }

  static inline std::unique_ptr<Checkpoint> checkpoint;
  static inline std::unique_ptr<Policy> policy;
  static inline std::unique_ptr<TemporaryDirectory> calls;
};

TEST_F(ReplayTest, TheSameDeviceGivesTheSameBits) {
  const std::vector<PlayedCall> played = play(open(), *policy, {.difference = 0});
  ASSERT_EQ(played.size(), 12u);
  for (const PlayedCall& call : played) {
    EXPECT_EQ(call.verdict, call.number == 8 ? Verdict::kNotCompared : Verdict::kEqual)
        << call.number << ": " << call.why;
  }
  EXPECT_EQ(played[7].why, "stale");
  EXPECT_TRUE(all_agree(played));
}

TEST_F(ReplayTest, AContinuedCallGivesTheSameAlone) {
  for (const std::uint64_t number : {2, 3, 4}) {
    const Record record = open({.call = number});
    ASSERT_EQ(record.calls.size(), 1u);
    const RecordedCall call = record.calls[0].call();
    EXPECT_EQ(call.last.model_actions.size(), 16u * 8);
    EXPECT_EQ(call.client, 1u);
    EXPECT_GE(call.inference_delay, 1) << "measured";
    const std::vector<PlayedCall> played = play(record, *policy, {.difference = 0});
    EXPECT_EQ(played[0].verdict, Verdict::kEqual);
  }
}

TEST_F(ReplayTest, WhatWasSettledIsThere) {
  const auto call_of = [](std::uint64_t number) {
    return open({.call = number}).calls.at(0).call();
  };
  const RecordedCall plain = call_of(1), seeded = call_of(5), noisy = call_of(6),
                     batch = call_of(7);
  ASSERT_TRUE(plain.seed);
  EXPECT_EQ(plain.steps, 3);
  EXPECT_EQ(plain.noise.values, draw_noise(*plain.seed, checkpoint->network()));
  EXPECT_EQ(seeded.seed, 7u);
  EXPECT_EQ(seeded.client, 5u);
  EXPECT_FALSE(noisy.seed);
  EXPECT_EQ(noisy.noise.values, std::vector<float>(16 * 8, 0.5f));
  EXPECT_EQ(noisy.steps, 2);
  EXPECT_EQ(batch.actions.shape, (std::vector<std::int64_t>{2, 16, 4}));
  const std::vector<float> second = draw_noise(*batch.seed + 1, checkpoint->network());
  EXPECT_TRUE(std::equal(second.begin(), second.end(), batch.noise.values.begin() + 16 * 8));
  EXPECT_EQ(call_of(9).error_code, "invalid");
  EXPECT_EQ(call_of(10).error_code, "invalid");
  EXPECT_EQ(call_of(12).error_code, "limit");
  EXPECT_EQ(call_of(10).noise.values, (std::vector<float>{1, 2}));
  EXPECT_EQ(open({.client = 1}).calls.size(), 4u);
  expect_error(ErrorCode::kInvalidInput, {"none of its calls"}, [] { open({.call = 99}); });
}

TEST_F(ReplayTest, AnotherTypeIsCloseAndAnotherNoiseDiffers) {
  const Policy int8 = checkpoint->load({.device = "cpu", .dtype = "int8", .threads = 1});
  const std::vector<PlayedCall> close = play(open(), int8);
  EXPECT_TRUE(all_agree(close));
  EXPECT_EQ(close[0].verdict, Verdict::kClose);
  EXPECT_FALSE(all_agree(play(open(), int8, {.least_correlation = 0.9999999})));
  EXPECT_FALSE(all_agree(play(open(), int8, {.difference = 0})));
  // What was recorded with one seed, judged by what another gives.
  const Record first = open({.call = 1}), fifth = open({.call = 5});
  const RecordedCall one = first.calls[0].call(), other = fifth.calls[0].call();
  const Outcome now = {other.outputs.values, other.actions.values};
  const PlayedCall judged = judge(one, now, {});
  EXPECT_EQ(judged.verdict, Verdict::kDiffers);
  const std::string report = to_text(replay_report({judged}, "a", "b"));
  EXPECT_NE(report.find("Calls that differ"), std::string::npos) << report;
}

// What the network gives is close, or the same; what its outputs are un-normalised with is not.
TEST_F(ReplayTest, AnotherUnnormalisationDiffers) {
  const char* const types[] = {"fp32", "bf16", "int8"};
  for (const float factor : {1.0f, 1.01f, 3.0f}) {
    const TemporaryDirectory directory;
    copy_with_wider_actions(kPolicy, directory / "policy", factor);
    const Checkpoint wider = Checkpoint::open(directory / "policy");
    for (const std::string type : types) {
      SCOPED_TRACE(type + " x " + std::to_string(factor));
      const Policy on = wider.load({.device = "cpu", .dtype = type, .threads = 1});
      const std::vector<PlayedCall> played = play(open(), on, {.least_correlation = 0.99});
      EXPECT_EQ(all_agree(played), factor == 1);
      for (const PlayedCall& call : played) {
        if (!call.correlation) continue;  // it gives none
        EXPECT_EQ(call.verdict == Verdict::kDiffers, factor != 1) << call.number;
        EXPECT_GT(call.correlation, 0.99) << call.number;
      }
      const char* const why = factor == 1      ? ""
                              : type == "fp32" ? "the network gives the same"
                              : type == "int8" ? "not what was made of such outputs"
                                               : "its actions are not";  // as the machine has it
      EXPECT_NE(played.at(0).why.find(why), std::string::npos) << played[0].why;
    }
  }
}

TEST_F(ReplayTest, AnErrorIsTheSameByItsCode) {
  const Record record = open({.call = 9});
  const RecordedCall refused = record.calls.at(0).call();
  ASSERT_EQ(refused.error_code, "invalid");
  const auto verdict = [&](const char* code) {
    return judge(refused, {.error_code = code, .error = "a sentence"}, {}).verdict;
  };
  EXPECT_EQ(verdict("invalid"), Verdict::kEqual);
  EXPECT_EQ(verdict("internal"), Verdict::kDiffers);
  EXPECT_EQ(verdict(""), Verdict::kDiffers) << "no answer came";
}

TEST_F(ReplayTest, AnotherServerAnswersTheSame) {
  TemporaryDirectory directory;
  RecordingServer server(directory / "calls");
  for (const std::uint64_t client : {1, 5, 7, 11}) {
    std::vector<RecordedCall> recorded;
    std::vector<std::vector<std::byte>> requests;
    const Record record = open({.client = client});
    for (const Record::Entry& entry : record.calls) {
      const RecordedCall call = entry.call();
      if (is_circumstance(call.error_code)) continue;
      recorded.push_back(call);
      requests.push_back(seeded_request(call));
    }
    const auto answers = server.ask(requests);
    ASSERT_EQ(answers.size(), recorded.size());
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const Answer answer = read_answer(answers[i], true);
      EXPECT_EQ(judge(recorded[i], answer.outcome, {.difference = 0}).verdict, Verdict::kEqual)
          << recorded[i].number << answer.outcome.error;
      EXPECT_EQ(answer.device, recorded[i].device);
    }
  }
}

TEST_F(ReplayTest, ACheckpointOfOtherSizesIsNotPlayed) {
  const Checkpoint other = Checkpoint::open(kSource / "testdata/golden/pi0_tiny",
                                            {.tokenizer = kPolicy / "tokenizer.model"});
  const Policy on = other.load({.device = "reference"});
  std::vector<PlayedCall> played;
  replay(open(), other, on, {}, [&](PlayedCall call) { played.push_back(std::move(call)); });
  EXPECT_FALSE(all_agree(played));
  EXPECT_NE(played.at(0).why.find("16 rows"), std::string::npos) << played[0].why;
}

TEST_F(ReplayTest, WhatWasSeenCanBeLookedAt) {
  TemporaryDirectory directory;
  const Record record = open({.call = 3});
  const auto written = dump_call(record.calls[0].call(), record.files[0].head, directory / "seen");
  ASSERT_EQ(written.size(), 2u);
  const Image image = load_image(directory / "seen" / "call-3-base_0_rgb.png");
  EXPECT_EQ(image, (Image{32, 48, std::vector<std::uint8_t>(3 * 32 * 48, 30)}));
  const Json told = read_json(directory / "seen" / "call-3.json");
  EXPECT_EQ(told["prompt"], "open the drawer");
  EXPECT_EQ(told["state"][0].get<float>(), 0.01f * 30);
  EXPECT_EQ(told["actions"].size(), 16u);
}

TEST_F(ReplayTest, WhatIsForeignIsToldAndTheRestPlayed) {
  TemporaryDirectory copy;
  for (const RecordFileName& file : record_files(*calls / "calls")) {
    std::filesystem::copy(file.path, copy.path());
  }
  std::ofstream(copy / record_file_name(100)) << "something else";
  std::ofstream(copy / "notes.txt") << "no calls";
  const Record record = open_record(copy.path(), {});
  EXPECT_EQ(record.calls.size(), 12u);
  ASSERT_EQ(record.warnings.size(), 1u);
  EXPECT_NE(record.warnings[0].find(record_file_name(100)), std::string::npos);
  expect_error(ErrorCode::kIo, {"nowhere"}, [] { open_record("/nowhere", {}); });
}

TEST_F(ReplayTest, ACallThatItHasNotIsTold) {
  expect_error(ErrorCode::kInvalidInput, {"none of its calls, 1 to 12, is number 99"},
               [] { open({.call = 99}); });
  expect_error(ErrorCode::kInvalidInput, {"1 to 12, is number 1 and is of client 7000"},
               [] { open({.call = 1, .client = 7000}); });
}

}  // namespace
}  // namespace pi0
