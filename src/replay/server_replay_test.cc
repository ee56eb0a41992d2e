// Calls of one server, played on another, through real sockets.
#include "replay/server_replay.h"

#include "client/client_testing.h"
#include "replay/replay_testing.h"
#include "serve/call.h"
#include "serve/server_testing.h"

namespace pi0 {
namespace {

std::vector<std::byte> options_of(const std::function<void(Encoder&)>& encode) {
  Encoder encoder;
  encode(encoder);
  return encoder.take();
}

std::vector<std::byte> continuing(int executed) {
  return options_of([executed](Encoder& encoder) {
    encoder.map(1).text("rtc").map(2);
    encoder.text("executed").integer(executed).text("hz").number(1000);
  });
}

class ServerReplayTest : public testing::Test {
 protected:
  // Seven calls of three clients, the last of which is refused.
  static void SetUpTestSuite() {
    directory = std::make_unique<TemporaryDirectory>();
    ServerOptions options = served();
    options.record = *directory / "calls";
    options.sample.steps = 3;
    RunningServer server(options);
    RawClient first(server.port());
    first.read();
    first.ask(message_of(seen(0.1f)));
    first.ask(message_of(seen(0.2f), continuing(4)));
    first.ask(message_of(seen(0.3f), continuing(8)));
    RawClient second(server.port());
    second.read();
    second.ask(message_of(seen(0.4f), options_of([](Encoder& encoder) {
                            encoder.map(1).text("seed").unsigned_integer(~std::uint64_t{0});
                          })));
    second.ask(message_of(seen(0.5f), continuing(2)));
    second.ask(message_of(seen(0.6f)));
    RawClient third(server.port());
    third.read();
    third.ask(options_of([](Encoder& encoder) { encoder.map(0); }));
  }
  static void TearDownTestSuite() { directory.reset(); }

  static Record open(const WhichCalls& which = {}) {
    return open_record(*directory / "calls", which);
  }
  static std::vector<PlayedCall> play(int port, ServerReplayOptions options = {},
                                      const Record& record = open(),
                                      const Tolerances& tolerances = {.difference = 0}) {
    options.server.url = "ws://127.0.0.1:" + std::to_string(port);
    std::vector<PlayedCall> played;
    replay_on_server(record, options, tolerances,
                     [&](PlayedCall call) { played.push_back(std::move(call)); });
    return played;
  }
  static std::size_t equal(const std::vector<PlayedCall>& played) {
    std::size_t count = 0;
    for (const PlayedCall& call : played) {
      count += call.verdict == Verdict::kEqual ? 1 : 0;
      EXPECT_EQ(call.verdict, Verdict::kEqual) << call.number << ": " << call.why;
    }
    return count;
  }

  static inline std::unique_ptr<TemporaryDirectory> directory;
};

TEST_F(ServerReplayTest, AnotherServerGivesTheSame) {
  RunningServer server(served());
  const std::vector<PlayedCall> played = play(server.port());
  EXPECT_EQ(equal(played), 7u);
  for (const PlayedCall& call : played) {
    EXPECT_EQ(call.now_ms.has_value(), call.number != 7) << call.number;
    if (call.now_ms) {
      EXPECT_GT(*call.now_ms, 0);
      EXPECT_NE(call.device.find("cpu (fp32"), std::string::npos) << call.device;
    }
  }
}

TEST_F(ServerReplayTest, ManyClientsPlayItAgainAndAgain) {
  RunningServer server(served());
  // Two play each of the first two clients' calls, one the third's: 3 + 3 + 1 + 3 + 3, twice.
  EXPECT_EQ(equal(play(server.port(), {.clients = 5, .repeat = 2})), 26u);
}

TEST_F(ServerReplayTest, ARateIsKept) {
  RunningServer server(served());
  const auto begin = Clock::now();
  EXPECT_EQ(equal(play(server.port(), {.clients = 1, .rate = 10}, open({.client = 1}))), 3u);
  EXPECT_GE(ms_between(begin, Clock::now()), 199);  // at 0, 100 and 200 ms
}

// Nor what goes on from what it gave instead.
TEST_F(ServerReplayTest, WhatGoesOnFromAChunkThatIsNotThereIsNotCompared) {
  RunningServer server(served());
  Record record = open({.client = 1});
  record.calls.erase(record.calls.begin());
  const std::vector<PlayedCall> played = play(server.port(), {}, record);
  ASSERT_EQ(played.size(), 2u);
  for (const PlayedCall& call : played) {
    EXPECT_EQ(call.verdict, Verdict::kNotCompared) << call.number;
    EXPECT_TRUE(call.now_ms);
  }
}

TEST_F(ServerReplayTest, AnotherPolicysActionsDiffer) {
  ServerOptions options = served();
  options.read.raw = true;
  RunningServer server(options);
  const std::vector<PlayedCall> played = play(server.port(), {}, open({.client = 1}));
  ASSERT_EQ(played.size(), 3u);
  EXPECT_EQ(played[0].verdict, Verdict::kDiffers);
  // These go on from it.
  EXPECT_EQ(played[1].verdict, Verdict::kNotCompared);
  EXPECT_EQ(played[2].verdict, Verdict::kNotCompared);
}

// Where they are judged by correlation: another type's are close, those of other units are not.
TEST_F(ServerReplayTest, AnotherUnnormalisationDiffers) {
  const TemporaryDirectory copy;
  copy_with_wider_actions(kServedPolicy, copy / "policy", 2);
  for (const char* const type : {"bf16", "int8"}) {
    SCOPED_TRACE(type);
    const auto first = [&](ServerOptions options) {
      options.devices = {{.device = "cpu", .dtype = type, .threads = 1}};
      RunningServer server(options);
      return play(server.port(), {}, open({.client = 1}), {.least_correlation = 0.99}).at(0);
    };
    EXPECT_NE(first(served()).verdict, Verdict::kDiffers);
    ServerOptions raw = served();
    raw.read.raw = true;
    EXPECT_EQ(first(raw).verdict, Verdict::kDiffers);
    const PlayedCall wider = first(served(copy / "policy"));
    EXPECT_EQ(wider.verdict, Verdict::kDiffers);
    EXPECT_GT(wider.correlation, 0.99);
    EXPECT_NE(wider.why.find("further off"), std::string::npos) << wider.why;
  }
}

// As the server that answers an error, which the call had then, would be.
TEST_F(ServerReplayTest, AConnectionThatIsLostIsNoAnswer) {
  const ScriptedServer server([](ScriptedServer::Socket& socket, int) {
    ScriptedSocket websocket(socket);
    websocket.send(bare_metadata());
    websocket.receive();
    websocket.close(1011, "gone");
  });
  const std::string url = server.url();
  const int port = std::stoi(url.substr(url.rfind(':') + 1));
  const std::vector<PlayedCall> played = play(port, {}, open({.client = 7}));
  ASSERT_EQ(played.size(), 1u);
  EXPECT_EQ(played[0].verdict, Verdict::kDiffers);
  EXPECT_NE(played[0].why.find("gone"), std::string::npos) << played[0].why;
}

TEST_F(ServerReplayTest, AServerThatIsNotThereIsAnError) {
  int port = 0;
  {
    RunningServer server(served());
    port = server.port();
  }
  expect_error(ErrorCode::kServer, {"ws://127.0.0.1:" + std::to_string(port)}, [&] { play(port); });
  ServerReplayOptions options;
  options.server.ca_file = "/nowhere.pem";
  expect_error(ErrorCode::kInvalidInput, {"nowhere.pem"}, [&] { play(port, options); });
}

}  // namespace
}  // namespace pi0
