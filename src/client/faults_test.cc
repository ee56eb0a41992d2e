// The client against servers that do not do as they should.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cmath>
#include <future>

#include "base/test_support.h"
#include "client/client_testing.h"
#include "pi0/client.h"

namespace pi0 {
namespace {

using Socket = ScriptedServer::Socket;

Observation observation() {
  Observation now;
  now.images["top"] = {2, 2, std::vector<std::uint8_t>(12, 7)};
  now.state = {1, 2};
  now.prompt = "open";
  return now;
}

// Seconds that a test may wait.
ClientOptions impatient(const std::string& url, int reconnects = 0) {
  return {.url = url,
          .connect_timeout_s = 0.3,
          .call_timeout_s = 0.3,
          .reconnects = reconnects,
          .backoff_s = 0.01};
}

double seconds_of(const std::function<void()>& what) {
  const auto begin = std::chrono::steady_clock::now();
  what();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Of the constructor.
void expect_no_client(const ClientOptions& options, const std::vector<std::string>& words) {
  expect_error(ErrorCode::kServer, words, [&] { Client client(options); });
}

TEST(ClientFaultsTest, NobodyListens) {
  std::string url;
  {
    const ScriptedServer server([](Socket&, int) {});
    url = server.url();
  }
  expect_no_client(impatient(url), {url + ": cannot connect: Connection refused"});
  expect_no_client(impatient(url, 2), {"Connection refused (try 3 of 3)"});
}

TEST(ClientFaultsTest, AServerThatIsSilent) {
  const ScriptedServer server([](Socket& socket, int) {
    char byte;
    while (socket.receive(boost::asio::buffer(&byte, 1)) > 0) continue;
  });
  const double took =
      seconds_of([&] { expect_no_client(impatient(server.url()), {"no metadata within 0.3 s"}); });
  EXPECT_GT(took, 0.25);
  EXPECT_LT(took, 5);
}

TEST(ClientFaultsTest, AServerThatIsSilentAfterItsHandshake) {
  const ScriptedServer server([](Socket& socket, int) { ScriptedSocket(socket).be_silent(); });
  expect_no_client(impatient(server.url()), {"no metadata within"});
}

TEST(ClientFaultsTest, AServerThatClosesAtOnce) {
  std::atomic<int> connections = 0;
  const ScriptedServer server([&](Socket&, int) { ++connections; });
  expect_no_client(impatient(server.url(), 3), {"(try 4 of 4)"});
  EXPECT_EQ(connections, 4);
}

TEST(ClientFaultsTest, AServerOfSomethingElse) {
  const ScriptedServer server([](Socket& socket, int) {
    char bytes[1000];
    socket.receive(boost::asio::buffer(bytes));
    boost::asio::write(
        socket, boost::asio::buffer(
                    std::string("HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\n\r\nno\x1bsuch ")));
  });
  expect_no_client(impatient(server.url(), 1000), {"it answers 404 Not Found: no such"});
  const ScriptedServer other([](Socket& socket, int) {
    boost::asio::write(socket, boost::asio::buffer(std::string("SSH-2.0-OpenSSH_9.2\r\n\r\n")));
  });
  expect_no_client(impatient(other.url()), {other.url()});
}

// What a proxy says while its servers are away.
TEST(ClientFaultsTest, AProxyWithoutServersIsTriedAgain) {
  const ScriptedServer server([](Socket& socket, int before) {
    if (before < 2) {
      char bytes[1000];
      socket.receive(boost::asio::buffer(bytes));
      boost::asio::write(socket,
                         boost::asio::buffer(std::string(
                             "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")));
      return;
    }
    ScriptedSocket websocket(socket);
    websocket.send(metadata_of_ours());
    websocket.be_silent();
  });
  const Client client(impatient(server.url(), 2));
  EXPECT_EQ(client.info().cameras, std::vector<std::string>{"top"});
}

TEST(ClientFaultsTest, MetadataThatAreNone) {
  const auto with = [](const std::vector<std::byte>& metadata) {
    return [metadata](Socket& socket, int) {
      ScriptedSocket websocket(socket);
      websocket.send(metadata);
      websocket.be_silent();
    };
  };
  const ScriptedServer garbage(with({std::byte{0xc1}, std::byte{7}}));
  expect_no_client(impatient(garbage.url(), 1000), {"metadata: ", "no msgpack"});
  const ScriptedServer list(with(Encoder().list(0).take()));
  expect_no_client(impatient(list.url(), 1000), {"metadata: ", "a list of 0, expected a map"});
  const ScriptedServer dims(with(Encoder()
                                     .map(1)
                                     .text("pi0")
                                     .map(2)
                                     .text("robot")
                                     .map(1)
                                     .text("images")
                                     .map(0)
                                     .text("state_dims")
                                     .integer(-1)
                                     .take()));
  expect_no_client(impatient(dims.url(), 1000), {"metadata: state_dims", "-1"});
  const ScriptedServer bare(with(bare_metadata()));
  expect_no_client(impatient(bare.url(), 1000), {"expected ClientOptions::robot"});
  const ScriptedServer text([](Socket& socket, int) {
    ScriptedSocket websocket(socket);
    websocket.say("no more of you");
    websocket.be_silent();
  });
  expect_no_client(impatient(text.url(), 1000), {"says at first: no more of you"});
}

// openpi's own server, as its websocket_policy_server.py has it: an observation with its keys and
// nothing else in it, an answer, and then a traceback.
TEST(ClientFaultsTest, OpenpisServer) {
  std::vector<std::byte> request;
  const ScriptedServer server([&](Socket& socket, int) {
    ScriptedSocket websocket(socket);
    websocket.send(Encoder().map(1).text("reset_pose").list(2).integer(0).number(-1.5).take());
    request = websocket.receive();
    Encoder answer;
    answer.map(2).text("actions").array({1, 2}, std::vector<float>{1, 2});
    answer.text("policy_timing").map(1).text("infer_ms").number(12.5);
    websocket.send(answer.take());
    websocket.receive();
    websocket.say("Traceback (most recent call last):\n  File \"a.py\"\nKeyError: 'prompt'\n");
    websocket.close(1011, "Internal server error. Traceback included in previous frame.");
  });
  ClientOptions options = impatient(server.url());
  options.robot = "libero";
  Client client(options);
  EXPECT_EQ(client.info().metadata, R"({"reset_pose":[0,-1.5]})");
  Observation now;
  now.images["base_0_rgb"] = {2, 2, std::vector<std::uint8_t>(12, 7)};
  now.images["left_wrist_0_rgb"] = {2, 2, std::vector<std::uint8_t>(12, 8)};
  now.state = {1, 2, 3, 4, 5, 6, 7, 8};
  const ServedChunk chunk = client.infer(now);
  EXPECT_EQ(chunk.actions, (std::vector<float>{1, 2}));
  EXPECT_EQ(chunk.names, (std::vector<std::string>{"action_0", "action_1"}));
  EXPECT_EQ(chunk.n_action_steps, 1);
  EXPECT_EQ(chunk.timing.total_ms, 12.5);
  const Value root = decode(request);
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : to_map(root, "request")) keys.push_back(key);
  EXPECT_EQ(keys, (std::vector<std::string_view>{"observation/image", "observation/wrist_image",
                                                 "observation/state"}));
  expect_error(ErrorCode::kUnsupported, {"seed", "openpi"},
               [&] { client.infer(now, {.sample = {.seed = 1}}); });
  expect_error(ErrorCode::kServer, {"it failed: KeyError: 'prompt'"}, [&] { client.infer(now); });
}

// As its AlohaInputs reads them: a map of cameras, whose images have their channels first.
TEST(ClientFaultsTest, OpenpisServerOfAloha) {
  std::vector<std::byte> request;
  const ScriptedServer server([&](Socket& socket, int) {
    ScriptedSocket websocket(socket);
    websocket.send(bare_metadata());
    request = websocket.receive();
    websocket.send(answer());
    websocket.be_silent();
  });
  ClientOptions options = impatient(server.url());
  options.robot = "aloha";
  Client client(options);
  Observation now;
  now.images["base_0_rgb"] = {1, 2, {1, 2, 3, 4, 5, 6}};
  now.state = {1, 2, 3};
  client.infer(now);
  const Value root = decode(request);
  const ValueMap& map = to_map(root, "request");
  ASSERT_EQ(map.size(), 2u);
  const ValueMap& images = to_map(*find_value(map, "images"), "images");
  ASSERT_EQ(images.size(), 1u);
  EXPECT_EQ(images[0].first, "cam_high");
  const auto* const image = images[0].second.as<NumpyArray>();
  ASSERT_TRUE(image);
  EXPECT_EQ(image->shape, (std::vector<std::int64_t>{3, 1, 2}));
  EXPECT_EQ(to_floats(images[0].second, "image"), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(to_floats(*find_value(map, "state"), "state"), now.state);
}

// `then` answers each request.
ScriptedServer::Script answering(std::function<void(ScriptedSocket&, int before)> then) {
  return [then](Socket& socket, int before) {
    ScriptedSocket websocket(socket);
    websocket.send(metadata_of_ours());
    for (;;) {
      websocket.receive();
      then(websocket, before);
    }
  };
}

TEST(ClientFaultsTest, NoAnswerInTime) {
  const ScriptedServer server(answering([](ScriptedSocket& websocket, int before) {
    if (before == 0) return;  // says nothing
    websocket.send(answer(9));
  }));
  Client client(impatient(server.url()));
  const double took = seconds_of([&] {
    expect_error(ErrorCode::kServer, {"no answer within 0.3 s"},
                 [&] { client.infer(observation()); });
  });
  EXPECT_GT(took, 0.25);
  EXPECT_LT(took, 5);
  // A late answer would not be taken for another's.
  const ServedChunk chunk = client.infer(observation());
  EXPECT_EQ(chunk.actions[0], 9);
  EXPECT_EQ(chunk.reconnects, 0);
}

TEST(ClientFaultsTest, HalfAFrame) {
  const ScriptedServer server(answering([](ScriptedSocket& websocket, int) {
    const std::string half(
        "\x82\x7e\x10\x00"
        "abc",
        7);  // 4096 bytes would follow
    boost::asio::write(websocket.lowest(), boost::asio::buffer(half));
    websocket.be_silent();
  }));
  Client client(impatient(server.url()));
  expect_error(ErrorCode::kServer, {"no answer within"}, [&] { client.infer(observation()); });
}

TEST(ClientFaultsTest, AnswersThatAreNone) {
  struct Case {
    std::vector<std::byte> message;
    const char* word;
  };
  Encoder one_side, not_finite, texts, batch;
  one_side.map(1).text("actions").array({3}, std::vector<float>(3));
  not_finite.map(1).text("actions").array({1, 1}, std::vector<float>{NAN});
  texts.map(1).text("actions").text("none");
  batch.map(1).text("batch").list(2);
  for (int i = 0; i < 2; ++i) batch.encoded(answer());
  const Case cases[] = {{{std::byte{0xc1}}, "no msgpack"},
                        {Encoder().map(0).take(), "no \"actions\""},
                        {one_side.take(), "actions: an array <f4 [3], expected"},
                        {not_finite.take(), "not all are finite"},
                        {texts.take(), "actions: \"none\""},
                        {batch.take(), "a batch of 2 chunks"},
                        {Encoder().map(1).text("error").nil().take(), "no \"actions\""},
                        {Encoder().map(1).text("error").integer(3).take(), "error: is 3"}};
  for (const Case& one : cases) {
    SCOPED_TRACE(one.word);
    const ScriptedServer server(answering([&one](ScriptedSocket& websocket, int before) {
      websocket.send(before == 0 ? one.message : answer());
    }));
    Client client(impatient(server.url(), 5));
    expect_error(ErrorCode::kServer, {"its answer: ", one.word},
                 [&] { client.infer(observation()); });
    EXPECT_EQ(client.infer(observation()).horizon, 2);
  }
}

// Nothing that was asked is lost with a connection, as long as it may be asked again.
TEST(ClientFaultsTest, WhatABrokenConnectionLostIsSentAgain) {
  std::atomic<int> asked = 0;
  const ScriptedServer server(answering([&](ScriptedSocket& websocket, int before) {
    ++asked;
    if (before == 0) return websocket.lowest().close();
    if (before == 1) return websocket.close(1001, "going");
    if (before == 2) return websocket.send(error_answer("stopping", "the server is stopping"));
    websocket.send(answer(static_cast<float>(before)));
  }));
  {
    Client client(impatient(server.url(), 3));
    std::future<ServedChunk> first = client.infer_async(observation());
    std::future<ServedChunk> second = client.infer_async(observation());
    const ServedChunk chunk = first.get();
    EXPECT_EQ(chunk.actions[0], 3);
    EXPECT_EQ(chunk.reconnects, 3);
    EXPECT_EQ(second.get().reconnects, 0);
    EXPECT_EQ(asked, 5);
  }
  const ScriptedServer other(
      answering([&](ScriptedSocket& websocket, int) { websocket.close(1001, "going"); }));
  Client client(impatient(other.url(), 2));
  expect_error(ErrorCode::kServer, {"the server closed (1001): going (try 3 of 3)"},
               [&] { client.infer(observation()); });
}

// What cannot go well another time is not tried again: a message that is too big.
TEST(ClientFaultsTest, WhatTheServerClosesForIsNotSentAgain) {
  std::atomic<int> asked = 0;
  const ScriptedServer server(answering([&](ScriptedSocket& websocket, int) {
    ++asked;
    websocket.close(1009, "");
  }));
  Client client(impatient(server.url(), 5));
  expect_error(ErrorCode::kServer, {"closed (1009)"}, [&] { client.infer(observation()); });
  EXPECT_EQ(asked, 1);
}

TEST(ClientFaultsTest, ErrorsAreTheServers) {
  const ScriptedServer server(answering([](ScriptedSocket& websocket, int) {
    websocket.send(error_answer("busy", "64 calls\x1b[2J are waiting"));
  }));
  Client client(impatient(server.url(), 5));
  expect_error(ErrorCode::kServer, {"64 calls [2J are waiting"},
               [&] { client.infer(observation()); });
}

// The server is told at once, and what had not been sent yet never is.
TEST(ClientFaultsTest, TheLatestTakesTheOthersPlaces) {
  std::promise<void> begun;
  const ScriptedServer server([&](Socket& socket, int) {
    ScriptedSocket websocket(socket);
    websocket.send(metadata_of_ours());
    websocket.receive();
    begun.set_value();
    const std::vector<std::byte> request = websocket.receive();
    const Value root = decode(request);
    const Value* const ours = find_value(to_map(root, "request"), "pi0");
    ASSERT_TRUE(ours);
    const Value* const latest = find_value(to_map(*ours, "pi0"), "latest");
    EXPECT_TRUE(latest && to_bool(*latest, "latest"));
    websocket.send(error_answer("superseded", "a later request took its place"));
    websocket.send(answer(3));
    websocket.be_silent();
  });
  Client client(impatient(server.url()));
  std::future<ServedChunk> first = client.infer_async(observation());
  begun.get_future().wait();
  std::future<ServedChunk> second = client.infer_async(observation());
  std::future<ServedChunk> third = client.infer_async(observation(), {.latest = true});
  expect_error(ErrorCode::kServer, {"took its place"}, [&] { first.get(); });
  expect_error(ErrorCode::kServer, {"took its place"}, [&] { second.get(); });
  EXPECT_EQ(third.get().actions[0], 3);
}

// A call that still waits is of the episode before: the next one's first call would go on from it.
TEST(ClientFaultsTest, AResetIsOfTheCallsAfterIt) {
  std::promise<void> reset;
  std::vector<bool> resets;
  {
    const ScriptedServer server([&](Socket& socket, int) {
      ScriptedSocket websocket(socket);
      websocket.send(metadata_of_ours());
      for (;;) {
        const std::vector<std::byte> request = websocket.receive();
        const Value root = decode(request);
        const Value* const ours = find_value(to_map(root, "request"), "pi0");
        ASSERT_TRUE(ours);
        const Value* const begins = find_value(to_map(*ours, "pi0"), "reset");
        if (resets.empty()) reset.get_future().wait();
        resets.push_back(begins && to_bool(*begins, "reset"));
        websocket.send(answer());
      }
    });
    Client client({.url = server.url()});
    std::future<ServedChunk> computed = client.infer_async(observation());
    std::future<ServedChunk> waits = client.infer_async(observation());
    client.reset();
    std::future<ServedChunk> next = client.infer_async(observation());
    reset.set_value();
    for (std::future<ServedChunk>* const call : {&computed, &waits, &next}) call->get();
    client.infer(observation());
  }
  EXPECT_EQ(resets, (std::vector<bool>{false, false, true, false}));
}

TEST(ClientFaultsTest, AClientThatEndsLeavesNoCallWaiting) {
  const ScriptedServer server(answering([](ScriptedSocket&, int) {}));
  std::future<ServedChunk> first, second;
  {
    Client client(impatient(server.url()));
    first = client.infer_async(observation());
    second = client.infer_async(observation());
  }
  expect_error(ErrorCode::kServer, {"the client ended"}, [&] { first.get(); });
  expect_error(ErrorCode::kServer, {"the client ended"}, [&] { second.get(); });
}

TEST(ClientFaultsTest, OptionsThatCannotBe) {
  const auto refused = [](const ClientOptions& options, const char* word) {
    expect_error(ErrorCode::kInvalidInput, {word}, [&] { Client client(options); });
  };
  refused({.url = "http://host"}, "url");
  refused({.api_key = "a b\r\n"}, "api_key");
  refused({.connect_timeout_s = 0}, "connect_timeout_s is 0");
  refused({.call_timeout_s = NAN}, "call_timeout_s");
  refused({.reconnects = -1}, "reconnects is -1");
  refused({.backoff_s = 2, .max_backoff_s = 1}, "max_backoff_s");
  refused({.robot = "spot"}, "spot");
  const ScriptedServer server(answering([](ScriptedSocket&, int) {}));
  Client client(impatient(server.url()));
  const auto unsupported = [&](const ClientCall& call, const char* word) {
    expect_error(ErrorCode::kUnsupported, {word}, [&] { client.infer(observation(), call); });
  };
  unsupported({.sample = {.rtc = RealTimeChunking()}}, "expected executed");
  unsupported({.sample = {.progress = [](const Progress&) {}}}, "progress");
  expect_error(ErrorCode::kInvalidInput, {"hz"}, [&] { client.infer(observation(), {.hz = 50}); });
  expect_error(ErrorCode::kInvalidInput, {"deadline_ms"},
               [&] { client.infer(observation(), {.deadline_ms = -1}); });
}

}  // namespace
}  // namespace pi0
