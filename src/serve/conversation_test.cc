#include "serve/conversation.h"

#include <gtest/gtest.h>

#include <future>

#include "files/file.h"
#include "record/record_files.h"
#include "serve/conversation_testing.h"
#include "serve/hooked_device_testing.h"
#include "serve/server_testing.h"

namespace pi0 {
namespace {

// served() on one device that a test may hold, without a network.
class ConversationTest : public testing::Test {
 protected:
  ConversationTest() {
    options_.devices = {{.device = "hooked:a"}};
    options_.sample.steps = 2;
    options_.limits.file_pixels = 100;
    options_.record = directory_ / "calls";
    dispatcher_.emplace(options_, open_model(options_), Dispatcher::Events{.ready = [this] {
                          loop_.post([this] { ready_ = true; });
                        }});
    hub_.emplace(options_, *dispatcher_,
                 [this](std::function<void()> task) { loop_.post(std::move(task)); });
    recorder_.emplace(options_, [](const std::string& said) { ADD_FAILURE() << said; });
    hub_->recorder = &*recorder_;
    loop_.run_until([this] { return ready_; });
  }

  // Whose answers are read here.
  struct Client {
    Client(Hub& hub, Dialect dialect, const char* peer = "127.0.0.1:4242")
        : conversation(std::make_shared<Conversation>(hub, answers, peer, dialect)) {}
    ~Client() { conversation->leave(); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    Answers answers;
    std::shared_ptr<Conversation> conversation;
  };

  // The next call is held within its first operation, from when `begun` is until `go_on` is set.
  struct Hold {
    explicit Hold(HookedBackend& device) {
      device.hold_next([this] {
        begun.set_value();
        go_on.get_future().wait();
      });
    }
    std::promise<void> begun, go_on;
  };

  // The next answer.
  Frame read(Client& client) {
    loop_.run_until([&client] { return !client.answers.frames.empty(); });
    Frame frame;
    frame.bytes = std::move(client.answers.frames.front());
    client.answers.frames.erase(client.answers.frames.begin());
    frame.value = decode(frame.bytes);
    return frame;
  }

  HookedBackend& device_ = hooked();
  const TemporaryDirectory directory_;
  ServerOptions options_ = served();
  std::optional<CallRecorder> recorder_;
  Loop loop_;
  bool ready_ = false;
  std::optional<Dispatcher> dispatcher_;
  std::optional<Hub> hub_;
};

// It is answered, recorded and shown as the policy's that computed it.
TEST_F(ConversationTest, ACallUnderWayAtAReloadIsTheOldPolicys) {
  Client client(*hub_, Dialect::kOpenpi);
  Hold hold(device_);
  client.conversation->receive(message_of(seen()), true);
  hold.begun.get_future().wait();
  ServerOptions other = options_;
  const std::filesystem::path golden = std::filesystem::path(PI0_SOURCE_DIR) / "testdata/golden";
  other.checkpoint = golden / "pi0_tiny";
  other.read.tokenizer = golden / "preprocess/tokenizer.model";
  const std::shared_ptr<const ServedModel> next = open_model(other);
  const int rows = dispatcher_->model()->checkpoint.info().action_horizon;
  ASSERT_NE(next->checkpoint.info().action_horizon, rows);
  dispatcher_->reload(next);
  hold.go_on.set_value();
  const Frame answer = read(client);
  EXPECT_EQ(answer.at({"actions"}).as<NumpyArray>()->shape, (std::vector<std::int64_t>{rows, 4}));
  hub_->recorder = nullptr;
  recorder_.reset();  // writes what waits
  const auto files = record_files(directory_ / "calls");
  ASSERT_EQ(files.size(), 1u);
  const RecordFile file = read_record_file(
      files.front().path, [](const std::string& damage) { ADD_FAILURE() << damage; });
  const Value metadata = decode(file.head.metadata);
  const Value* const own = find_value(to_map(metadata, ""), "pi0");
  EXPECT_EQ(to_integer(*find_value(to_map(*own, ""), "action_horizon"), "", 0, 1000), rows);
  ASSERT_EQ(file.calls.size(), 1u);
  EXPECT_EQ(decode_call(file.calls.front()).outputs.shape, (std::vector<std::int64_t>{1, rows, 8}));
}

// A plain client is told what was wrong and left: what it sent after that holds nothing.
TEST_F(ConversationTest, WhatIsNeverSubmittedIsFreed) {
  std::weak_ptr<Conversation> gone;
  {
    Client client(*hub_, Dialect::kOpenpi);
    gone = client.conversation;
    Hold hold(device_);
    client.conversation->receive(message_of(seen()), true);
    hold.begun.get_future().wait();
    client.conversation->receive({}, false);
    client.conversation->receive(message_of(seen()), true);
    hold.go_on.set_value();
    loop_.run_until([&client] { return client.answers.frames.size() == 2; });
  }
  loop_.run_until([&gone] { return gone.expired(); });
}

std::vector<std::byte> options_of(const std::function<void(Encoder&)>& write) {
  Encoder encoder;
  write(encoder);
  return encoder.take();
}

// Who tells its answers apart by their order finds each at its place.
TEST_F(ConversationTest, ARefusalDoesNotOvertakeAnAnswer) {
  Client client(*hub_, Dialect::kOpenpi);
  const auto wrong = options_of([](Encoder& own) { own.map(1).text("sed").integer(1); });
  const auto right = options_of([](Encoder& own) { own.map(1).text("seed").integer(1); });
  Hold hold(device_);
  client.conversation->receive(message_of(seen(), right), true);
  hold.begun.get_future().wait();
  EXPECT_FALSE(client.conversation->receive(message_of(seen(), wrong), true));
  EXPECT_FALSE(client.conversation->receive(message_of(seen(), wrong), true));
  EXPECT_TRUE(client.conversation->receive(message_of(seen(), right), true));
  EXPECT_EQ(hub_->metrics.calls["invalid"], 2u);  // it counts at once
  EXPECT_TRUE(client.answers.frames.empty());
  hold.go_on.set_value();
  EXPECT_TRUE(read(client).has("actions"));
  EXPECT_TRUE(read(client).has("error"));
  EXPECT_TRUE(read(client).has("error"));
  EXPECT_TRUE(read(client).has("actions"));
}

// An episode begins with the next call that is answered, whatever became of those that said so.
TEST_F(ConversationTest, AResetOutlivesACallThatFails) {
  Client client(*hub_, Dialect::kOpenpi);
  const auto ask = [&](const std::function<void(Encoder&)>& write) {
    client.conversation->receive(message_of(seen(), options_of(write)), true);
    return read(client);
  };
  const auto actions = [](const Frame& frame) {
    return to_floats(frame.at({"actions"}), "actions");
  };
  const auto go_on = [](Encoder& own) {
    own.map(2).text("seed").integer(1).text("rtc").map(2);
    own.text("executed").integer(4).text("inference_delay").integer(2);
  };
  const std::vector<float> first = actions(ask(go_on));
  const std::vector<float> second = actions(ask(go_on));
  ASSERT_NE(second, first);
  const auto fails = [](const char* how) {
    return [how](Encoder& own) { own.map(2).text("reset").boolean(true).text(how).number(1e-6); };
  };
  for (const char* how : {"deadline_ms", "steps"}) {  // stale; refused
    EXPECT_TRUE(ask(fails(how)).has("error"));
    EXPECT_EQ(actions(ask(go_on)), first) << how;
    EXPECT_NE(actions(ask(go_on)), first) << how;
  }
}

// One that comes while a call computes is of the calls after it.
TEST_F(ConversationTest, AResetWaitsForTheCallUnderWay) {
  Client client(*hub_, Dialect::kVllmOmni);
  const auto message = [](bool reset) {
    Encoder encoder;
    encoder.map(6);
    encoder.text("endpoint").text(reset ? "reset" : "infer").text("seed").integer(1);
    const Observation observation = seen();
    const Image& image = observation.images.begin()->second;
    encoder.text("observation.images.base_0_rgb").pixels(image.height, image.width, image.rgb);
    encoder.text("observation.state").array({4}, observation.state);
    encoder.text("task").text(*observation.prompt);
    encoder.text("pi0").map(1).text("rtc").map(2);
    encoder.text("executed").integer(4).text("inference_delay").integer(2);
    return encoder.take();
  };
  const auto actions = [](const Frame& frame) { return to_floats(frame.value, "actions"); };
  client.conversation->receive(message(true), true);
  EXPECT_TRUE(read(client).has("status"));
  Hold hold(device_);
  client.conversation->receive(message(false), true);
  hold.begun.get_future().wait();
  client.conversation->receive(message(true), true);
  client.conversation->receive(message(false), true);
  hold.go_on.set_value();
  const std::vector<float> first = actions(read(client));
  EXPECT_TRUE(read(client).has("status"));
  EXPECT_EQ(actions(read(client)), first);
}

// By whoever computes the call, not by the thread that all clients are heard on.
TEST_F(ConversationTest, ImagesAreDecodedWhereTheCallIsComputed) {
  Client other(*hub_, Dialect::kOpenpi), client(*hub_, Dialect::kVllmOmni);
  Hold hold(device_);
  other.conversation->receive(message_of(seen()), true);
  hold.begun.get_future().wait();
  const std::string jpeg =
      read_file(std::filesystem::path(PI0_SOURCE_DIR) / "testdata/cmyk/ycck.jpg");
  Encoder encoder;
  encoder.map(3).text("observation.images.base_0_rgb").bytes(std::as_bytes(std::span(jpeg)));
  encoder.text("observation.state").array({4}, seen().state).text("task").text("go");
  EXPECT_TRUE(client.conversation->receive(encoder.take(), true));
  EXPECT_TRUE(client.answers.frames.empty());
  hold.go_on.set_value();
  const std::string sentence = to_text(read(client).at({"message"}), "");
  EXPECT_NE(sentence.find("expected at most 100 in all files of a message"), std::string::npos)
      << sentence;
  EXPECT_EQ(hub_->metrics.calls["invalid"], 1u);
}

// Whoever it is who sends it, and from whichever port.
TEST_F(ConversationTest, WhatIsWrongIsLoggedOnce) {
  std::vector<std::string> said;
  hub_->said = [&said](const std::string& sentence) { said.push_back(sentence); };
  for (const char* peer : {"127.0.0.1:1", "127.0.0.1:2"}) {
    Client client(*hub_, Dialect::kOpenpi, peer);
    client.conversation->receive({}, false);
  }
  EXPECT_EQ(said, std::vector<std::string>{
                      "127.0.0.1:1: a text frame, expected a binary one of msgpack"});
}

}  // namespace
}  // namespace pi0
