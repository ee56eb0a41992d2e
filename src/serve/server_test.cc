#include "serve/server.h"

#include <gtest/gtest.h>

#include <boost/asio/read.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <cstdio>
#include <fstream>
#include <future>

#include "device/registry/counting_testing.h"
#include "net/certificate_testing.h"
#include "serve/hooked_device_testing.h"
#include "serve/server_testing.h"

namespace pi0 {
namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

std::vector<std::byte> options_of(const std::function<void(Encoder&)>& write) {
  Encoder encoder;
  write(encoder);
  return encoder.take();
}

std::vector<std::byte> seeded(std::uint64_t seed) {
  return options_of([seed](Encoder& encoder) { encoder.map(1).text("seed").integer(seed); });
}

// After four rows of the last chunk, while two more go out.
std::vector<std::byte> continued(std::uint64_t seed) {
  return options_of([seed](Encoder& encoder) {
    encoder.map(2).text("seed").integer(seed).text("rtc").map(2);
    encoder.text("executed").integer(4).text("inference_delay").integer(2);
  });
}

// A call that takes a minute unless it is stopped.
std::vector<std::byte> slow(double deadline_ms = 0) {
  Encoder encoder;
  encoder.map(2).text("batch").list(100);
  for (int i = 0; i < 100; ++i) encoder.encoded(message_of(seen()));
  encoder.text("pi0").map(deadline_ms > 0 ? 2 : 1).text("steps").integer(1000);
  if (deadline_ms > 0) encoder.text("deadline_ms").number(deadline_ms);
  return encoder.take();
}

std::vector<float> actions_of(const Frame& frame) {
  return to_floats(frame.at({"actions"}), "actions");
}

std::string error_code(const Frame& frame) { return to_text(frame.at({"error", "code"}), "code"); }

TEST(ServerTest, AnswersAsOpenpisServerDoes) {
  RunningServer running(served());
  RawClient client(running.port());
  const Frame metadata = client.read();
  EXPECT_TRUE(metadata.binary);
  EXPECT_EQ(to_integer(metadata.at({"pi0", "action_horizon"}), "", 0, 1000), 16);
  const Frame first = client.ask(message_of(seen()));
  EXPECT_EQ(first.at({"actions"}).as<NumpyArray>()->shape, (std::vector<std::int64_t>{16, 4}));
  EXPECT_GT(to_number(first.at({"policy_timing", "infer_ms"}), ""), 0);
  EXPECT_GT(to_number(first.at({"server_timing", "infer_ms"}), ""), 0);
  EXPECT_FALSE(find_value(to_map(first.at({"server_timing"}), ""), "prev_total_ms"));
  EXPECT_FALSE(first.has("pi0"));
  const Frame second = client.ask(message_of(seen()));
  EXPECT_GT(to_number(second.at({"server_timing", "prev_total_ms"}), ""), 0);
  EXPECT_NE(actions_of(second), actions_of(first));  // other noise
}

// What sglang's and vllm-omni's clients expect at their paths.
TEST(ServerTest, SpeaksSglangs) {
  RunningServer running(served());
  RawClient client(running.port(), "/openpi/policy?model=pi05");
  const Frame metadata = client.read();
  EXPECT_EQ(to_text(metadata.at({"object"}), ""), "action.metadata");
  EXPECT_EQ(to_text(metadata.at({"input", "image_keys"}).as<ValueList>()->at(0), ""),
            "observation.images.base_0_rgb");
  EXPECT_EQ(to_integer(metadata.at({"input", "state_dim"}), "", 0, 100), 4);
  EXPECT_EQ(to_integer(metadata.at({"output", "action_horizon"}), "", 0, 100), 16);
  EXPECT_EQ(to_integer(metadata.at({"output", "action_dim"}), "", 0, 100), 4);
  EXPECT_EQ(to_integer(metadata.at({"output", "padded_action_dim"}), "", 0, 100), 8);
  const std::vector<float> noise(16 * 8, 0.25f);
  Encoder encoder;
  const Observation observation = seen();
  const Image& image = observation.images.begin()->second;
  encoder.map(5).text("noise").array({16, 8}, noise).text("num_inference_steps").integer(3);
  encoder.text("observation.images.base_0_rgb").pixels(image.height, image.width, image.rgb);
  encoder.text("observation.state").array({4}, observation.state);
  encoder.text("task").text(*observation.prompt);
  EXPECT_EQ(actions_of(client.ask(encoder.take())),
            local().infer(observation, {.steps = 3, .noise = noise}).actions);
}

TEST(ServerTest, SpeaksVllmOmnis) {
  RunningServer running(served());
  RawClient client(running.port(), "/v1/realtime/robot/openpi");
  client.read();
  const auto ask = [&client](const char* endpoint, const char* session, bool with_image = true) {
    Encoder encoder;
    const Observation observation = seen();
    const Image& image = observation.images.begin()->second;
    encoder.map(with_image ? 7 : 6)
        .text("endpoint")
        .text(endpoint)
        .text("session_id")
        .text(session);
    encoder.text("seed").integer(7).text("observation.state").array({4}, observation.state);
    encoder.text("task").text(*observation.prompt).text("pi0").encoded(options_of([](Encoder& own) {
      own.map(1).text("rtc").map(2).text("executed").integer(4).text("inference_delay").integer(2);
    }));
    if (with_image) {
      encoder.text("observation.images.base_0_rgb").pixels(image.height, image.width, image.rgb);
    }
    return client.ask(encoder.take());
  };
  const std::vector<float> first = local().infer(seen(), {.seed = 7}).actions;
  const auto actions = [](const Frame& frame) { return to_floats(frame.value, "actions"); };
  EXPECT_EQ(actions(ask("infer", "a")), first);
  EXPECT_NE(actions(ask("infer", "a")), first);  // goes on from it
  EXPECT_EQ(to_text(ask("reset", "a", false).at({"status"}), ""), "reset successful");
  // What is refused is said in a map, the connection stays, and the reset is still to come.
  const Frame refused = ask("infer", "a", false);
  EXPECT_EQ(to_text(refused.at({"type"}), ""), "error");
  EXPECT_NE(to_text(refused.at({"message"}), "").find("image"), std::string::npos);
  EXPECT_EQ(actions(ask("infer", "a")), first);
  EXPECT_EQ(actions(ask("infer", "b")), first);  // another session
  EXPECT_NE(to_text(ask("explode", "b").at({"message"}), "").find("explode"), std::string::npos);
}

TEST(ServerTest, GivesWhatTheLibraryGives) {
  RunningServer running(served());
  RawClient client(running.port());
  client.read();
  const ActionChunk expected = local().infer(seen(), {.seed = 7});
  EXPECT_EQ(actions_of(client.ask(message_of(seen(), seeded(7)))), expected.actions);
  const std::vector<float> noise(16 * 8, 0.25f);
  const auto with_noise = options_of([&noise](Encoder& encoder) {
    encoder.map(1).text("noise").array({16, 8}, noise);
  });
  EXPECT_EQ(actions_of(client.ask(message_of(seen(), with_noise))),
            local().infer(seen(), {.noise = noise}).actions);
}

// {"batch": [observations], "pi0": {"seed": seed}}, at 0.1, 0.2, … of what seen() takes.
std::vector<std::byte> batch_of(int count, std::uint64_t seed) {
  Encoder encoder;
  encoder.map(2).text("batch").list(static_cast<std::uint32_t>(count));
  for (int i = 1; i <= count; ++i) encoder.encoded(message_of(seen(0.1f * static_cast<float>(i))));
  encoder.text("pi0").encoded(seeded(seed));
  return encoder.take();
}

void expect_batch(const Frame& answer, int count, std::uint64_t seed) {
  const auto* const batch = answer.at({"batch"}).as<ValueList>();
  ASSERT_TRUE(batch && batch->size() == static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    const Value* const actions =
        find_value(to_map((*batch)[static_cast<std::size_t>(i)], ""), "actions");
    EXPECT_EQ(to_floats(*actions, ""), local()
                                           .infer(seen(0.1f * static_cast<float>(i + 1)),
                                                  {.seed = seed + static_cast<std::uint64_t>(i)})
                                           .actions);
  }
}

TEST(ServerTest, ABatchIsItsObservations) {
  RunningServer running(served());
  RawClient client(running.port());
  client.read();
  expect_batch(client.ask(batch_of(2, 3)), 2, 3);
}

// A device that is free helps with a batch, beside another client's calls.
TEST(ServerTest, ABatchIsSharedOutAmongDevices) {
  counting();
  ServerOptions options = served();
  options.devices = {{.device = "counting:a"}, {.device = "counting:b"}};
  RunningServer running(options);
  RawClient client(running.port()), other(running.port());
  client.read();
  other.read();
  const Frame alone = client.ask(batch_of(4, 3));
  EXPECT_EQ(asked_in([&] { client.ask(batch_of(4, 3)); }), std::pair(true, true));
  client.send(batch_of(4, 3));
  const std::vector<float> single = actions_of(other.ask(message_of(seen(), seeded(1))));
  EXPECT_EQ(client.read().at({"batch"}).as<ValueList>()->size(), 4u);
  EXPECT_EQ(actions_of(other.ask(message_of(seen(), seeded(1)))), single);
  // Its observations are each what they are in a call of their own.
  const auto* const batch = alone.at({"batch"}).as<ValueList>();
  ASSERT_TRUE(batch && batch->size() == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    const Value* const actions = find_value(to_map((*batch)[i], ""), "actions");
    const Observation one = seen(0.1f * static_cast<float>(i + 1));
    EXPECT_EQ(to_floats(*actions, ""), actions_of(other.ask(message_of(one, seeded(3 + i))))) << i;
  }
}

// On two devices in turn, as a session of its own would be.
TEST(ServerTest, AChunkGoesOnFromTheLast) {
  ServerOptions options = served();
  options.devices.push_back(options.devices.front());
  RunningServer running(options);
  RawClient client(running.port()), other(running.port());
  client.read();
  other.read();
  Session session = local().session();
  client.ask(message_of(seen(0.1f), seeded(1)));
  session.infer(seen(0.1f), {.seed = 1});
  other.ask(message_of(seen(0.9f), seeded(5)));
  SampleOptions sample{.seed = 2};
  sample.rtc = {.executed = 4, .inference_delay = 2};
  const std::vector<float> expected = session.infer(seen(0.2f), sample).actions;
  const Frame answer = client.ask(message_of(seen(0.2f), continued(2)));
  EXPECT_EQ(actions_of(answer), expected);
  EXPECT_NE(expected, local().infer(seen(0.2f), {.seed = 2}).actions);
  EXPECT_EQ(to_integer(answer.at({"pi0", "rtc", "inference_delay"}), "", 0, 100), 2);
  // After a reset there is nothing to go on from.
  const auto anew = options_of([](Encoder& encoder) {
    encoder.map(3).text("seed").integer(2).text("reset").boolean(true).text("rtc").map(2);
    encoder.text("executed").integer(4).text("hz").number(50);
  });
  EXPECT_EQ(actions_of(client.ask(message_of(seen(0.2f), anew))),
            local().infer(seen(0.2f), {.seed = 2}).actions);
}

TEST(ServerTest, TellsAPlainClientInTextAndCloses) {
  RunningServer running(served());
  RawClient client(running.port());
  client.read();
  Observation none = seen();
  none.state = {1, 2};
  client.send(message_of(none));
  const Frame answer = client.read();
  EXPECT_FALSE(answer.binary);
  EXPECT_EQ(answer.text(), "state: 2 values, expected 4");
  EXPECT_EQ(client.close_code(), 1011);
  EXPECT_TRUE(running.says("expected 4"));
  RawClient other(running.port());
  other.read();
  other.send({std::byte{'h'}, std::byte{'i'}}, false);
  EXPECT_NE(other.read().text().find("a text frame, expected a binary one"), std::string::npos);
  EXPECT_EQ(other.close_code(), 1011);
}

TEST(ServerTest, TellsOneThatKnowsItAndStays) {
  RunningServer running(served());
  RawClient client(running.port());
  client.read();
  const auto wrong = options_of([](Encoder& encoder) { encoder.map(1).text("sed").integer(1); });
  const Frame answer = client.ask(message_of(seen(), wrong));
  EXPECT_EQ(error_code(answer), "invalid");
  EXPECT_NE(to_text(answer.at({"error", "message"}), "").find("\"sed\" is no option"),
            std::string::npos);
  EXPECT_EQ(actions_of(client.ask(message_of(seen(), seeded(1)))).size(), 64u);
}

TEST(ServerTest, WhoIsRefusedWaitsAMoment) {
  RunningServer running(served());
  RawClient client(running.port());
  client.read();
  const auto wrong = options_of([](Encoder& encoder) { encoder.map(1).text("sed").integer(1); });
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) client.send(message_of(seen(), wrong));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(error_code(client.read()), "invalid");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(190));
}

TEST(ServerTest, AnInstructionOfMegabytesIsRefused) {
  RunningServer running(served());
  RawClient client(running.port());
  client.read();
  Observation one = seen();
  one.prompt = std::string(16385, 'a');
  client.send(message_of(one));
  EXPECT_EQ(client.read().text(), "task: has 16385 bytes, expected an instruction, at most 16384");
}

TEST(ServerTest, DoesNotWaitForWhoNeverAnswersAClose) {
  RunningServer running(served());
  RawClient client(running.port());
  client.read();  // and never again
  const auto begin = std::chrono::steady_clock::now();
  running.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8));  // 10 of Beast's
}

// The pong is there before the answer.
TEST(ServerTest, AnswersPingsWhileItComputes) {
  RunningServer running(served());
  RawClient client(running.port());
  client.read();
  client.send(slow(500));
  bool ponged = false;
  client.socket().control_callback([&ponged](auto kind, auto) {
    ponged = ponged || kind == boost::beast::websocket::frame_type::pong;
  });
  client.socket().ping({});
  boost::beast::flat_buffer buffer;
  client.socket().read_some(buffer, 1);  // of the answer
  EXPECT_TRUE(ponged);
}

// A client that says nothing is pinged; one that does not answer that is left, another stays.
TEST(ServerTest, WhoAnswersNoPingIsLeft) {
  ServerOptions options = served();
  options.limits.idle_s = 0.5;
  RunningServer running(options);
  RawClient gone(running.port()), there(running.port());
  gone.read();
  there.read();
  const auto begin = std::chrono::steady_clock::now();
  there.send(slow(2500));
  EXPECT_EQ(error_code(there.read()), "stale");  // longer than the other has
  std::vector<std::byte> heard(100);
  boost::system::error_code error;
  const std::size_t bytes =
      boost::asio::read(gone.socket().next_layer(), boost::asio::buffer(heard), error);
  EXPECT_TRUE(error);  // its end
  ASSERT_GE(bytes, 1u);
  EXPECT_EQ(heard.front(), std::byte{0x89});                                      // RFC 6455's ping
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));  // 60 unless said
}

// Rows of so many a second in the longest of the last calls.
TEST(ServerTest, TheDelayIsTheTimeOfACallInRows) {
  RunningServer running(served());
  RawClient client(running.port());
  client.read();
  const auto delay_at = [&client](double hz) {
    const Frame answer = client.ask(message_of(seen(), options_of([hz](Encoder& encoder) {
                                                 encoder.map(1).text("rtc").map(2);
                                                 encoder.text("executed").integer(0);
                                                 encoder.text("hz").number(hz);
                                               })));
    return to_integer(answer.at({"pi0", "rtc", "inference_delay"}), "", 0, 100);
  };
  EXPECT_EQ(delay_at(1e-3), 1);    // one at least
  EXPECT_EQ(delay_at(999e3), 15);  // and what is left of a chunk at most
}

TEST(ServerTest, AStaleObservationIsNotComputed) {
  RunningServer running(served());
  RawClient busy(running.port()), client(running.port());
  busy.read();
  client.read();
  busy.send(slow(700));
  const auto begin = std::chrono::steady_clock::now();
  const auto in_time =
      options_of([](Encoder& encoder) { encoder.map(1).text("deadline_ms").number(100); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(error_code(client.ask(message_of(seen(), in_time))), "stale");
  EXPECT_EQ(error_code(busy.read()), "stale");  // it stops between steps
  EXPECT_LT(Milliseconds(std::chrono::steady_clock::now() - begin).count(), 5000);
}

TEST(ServerTest, TheLatestTakesThePlaceOfThoseBefore) {
  RunningServer running(served());
  RawClient client(running.port());
  client.read();
  client.send(slow());
  client.send(slow());
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  client.send(message_of(seen(0.2f), options_of([](Encoder& encoder) {
                           encoder.map(2).text("latest").boolean(true).text("seed").integer(4);
                         })));
  EXPECT_EQ(error_code(client.read()), "superseded");
  EXPECT_EQ(error_code(client.read()), "superseded");
  EXPECT_EQ(actions_of(client.read()), local().infer(seen(0.2f), {.seed = 4}).actions);
}

TEST(ServerTest, AFullQueueSaysSoAtOnce) {
  ServerOptions options = served();
  options.limits.queue = 1;
  options.limits.per_client = 2;
  RunningServer running(options);
  RawClient computing(running.port()), waiting(running.port()), client(running.port());
  for (RawClient* each : {&computing, &waiting, &client}) each->read();
  computing.send(slow());
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  waiting.send(message_of(seen(), seeded(1)));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(error_code(client.ask(message_of(seen(), seeded(1)))), "busy");
  waiting.send(message_of(seen(), seeded(1)));
  waiting.send(message_of(seen(), seeded(1)));  // a third of its own
  // Whose client leaves is not computed to its end.
  computing.hang_up();
  EXPECT_EQ(actions_of(waiting.read()), local().infer(seen(), {.seed = 1}).actions);
  EXPECT_EQ(actions_of(waiting.read()), local().infer(seen(), {.seed = 1}).actions);
  EXPECT_EQ(error_code(waiting.read()), "busy");
}

TEST(ServerTest, TakesNoMoreThanSoManyCallsASecond) {
  ServerOptions options = served();
  options.limits.rate = 1;
  RunningServer running(options);
  RawClient client(running.port());
  client.read();
  EXPECT_TRUE(client.ask(message_of(seen(), seeded(1))).has("actions"));
  EXPECT_EQ(error_code(client.ask(message_of(seen(), seeded(1)))), "busy");
}

TEST(ServerTest, StopsWhenWhatItComputesIsDone) {
  RunningServer running(served());
  RawClient computing(running.port()), idle(running.port());
  computing.read();
  idle.read();
  computing.send(message_of(seen(), options_of([](Encoder& encoder) {
                              encoder.map(2).text("steps").integer(1000).text("seed").integer(1);
                            })));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  computing.send(message_of(seen(), seeded(2)));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::future<void> stopping = std::async(std::launch::async, [&] { running.stop(); });
  EXPECT_EQ(idle.close_code(), 1001);
  const std::vector<float> actions = actions_of(computing.read());
  EXPECT_EQ(error_code(computing.read()), "stopping");
  EXPECT_EQ(computing.close_code(), 1001);
  stopping.wait();
  EXPECT_TRUE(running.done());
  EXPECT_EQ(actions, local().infer(seen(), {.steps = 1000, .seed = 1}).actions);
  EXPECT_THROW(RawClient(running.port()), boost::system::system_error);
}

// A connection from before the end is no client after it, for whom the server would wait.
TEST(ServerTest, WhoComesWhileItStopsIsRefused) {
  RunningServer running(served());
  RawClient computing(running.port()), idle(running.port());
  computing.read();
  idle.read();
  computing.send(slow(60'000));
  while (get(running.port(), "/metrics").body.find("pi0_computing_calls 1\n") ==
         std::string::npos) {
  }
  boost::asio::io_context io;
  boost::asio::ip::tcp::socket early(io);
  early.connect(
      {boost::asio::ip::make_address("127.0.0.1"), static_cast<unsigned short>(running.port())});
  EXPECT_EQ(get(early, running.port(), "/healthz").status, 200u);
  running.server().stop();
  EXPECT_EQ(idle.close_code(), 1001);  // it stops
  const Headers upgrade = {{"Connection", "Upgrade"},
                           {"Upgrade", "websocket"},
                           {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                           {"Sec-WebSocket-Version", "13"}};
  EXPECT_EQ(get(early, running.port(), "/", upgrade).status, 503u);
  computing.socket().next_layer().close();  // the last that it waits for
}

TEST(ServerTest, OneThatIsNotDoneInTimeIsLeft) {
  ServerOptions options = served();
  options.limits.grace_s = 0.2;
  RunningServer running(options);
  RawClient client(running.port());
  client.read();
  client.send(slow());
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto begin = std::chrono::steady_clock::now();
  running.stop();
  EXPECT_LT(Milliseconds(std::chrono::steady_clock::now() - begin).count(), 5000);
}

TEST(ServerTest, Encrypts) {
  const TemporaryDirectory directory;
  ServerOptions options = served();
  options.tls_cert = directory / "cert.pem";
  options.tls_key = directory / "key.pem";
  std::ofstream(options.tls_cert) << "no certificate";
  expect_error(ErrorCode::kInvalidInput, {"cert.pem", "expected PEM"},
               [&] { Server(options, {}); });
  write_certificate(options.tls_cert, options.tls_key);
  RunningServer running(options);
  EXPECT_THROW(RawClient(running.port()), boost::system::system_error);  // it speaks plainly

  boost::asio::io_context io;
  boost::asio::ssl::context tls(boost::asio::ssl::context::tls_client);
  tls.load_verify_file(options.tls_cert.string());
  tls.set_verify_mode(boost::asio::ssl::verify_peer);
  boost::beast::websocket::stream<boost::beast::ssl_stream<boost::asio::ip::tcp::socket>> socket(
      io, tls);
  boost::asio::connect(
      socket.next_layer().next_layer(),
      boost::asio::ip::tcp::resolver(io).resolve("127.0.0.1", std::to_string(running.port())));
  socket.next_layer().handshake(boost::asio::ssl::stream_base::client);
  socket.handshake("localhost", "/");
  boost::beast::flat_buffer buffer;
  socket.read(buffer);
  socket.binary(true);
  socket.write(boost::asio::buffer(message_of(seen(), seeded(1))));
  boost::beast::flat_buffer answer;
  socket.read(answer);
  Frame frame;
  const auto* const begin = static_cast<const std::byte*>(answer.cdata().data());
  frame.bytes.assign(begin, begin + answer.size());
  frame.value = decode(frame.bytes);
  EXPECT_EQ(actions_of(frame), local().infer(seen(), {.seed = 1}).actions);
}

// A link to a checkpoint is put to another one, and connections stay.
TEST(ServerTest, ServesAnotherCheckpointWithoutLosingClients) {
  const TemporaryDirectory directory;
  const std::filesystem::path link = directory / "current";
  const std::filesystem::path other = policy_of_two_steps(directory / "other");
  std::filesystem::create_directory_symlink(kServedPolicy, link);
  RunningServer running(served(link));
  RawClient client(running.port());
  client.read();
  const std::vector<float> before = local().infer(seen(), {.seed = 1}).actions;
  EXPECT_EQ(actions_of(client.ask(message_of(seen(), seeded(1)))), before);

  std::filesystem::remove(link);
  std::filesystem::create_directory_symlink(directory / "nothing", link);
  running.server().reload();
  EXPECT_TRUE(running.says("not reloaded, what was served still is"));
  EXPECT_EQ(actions_of(client.ask(message_of(seen(), seeded(1)))), before);

  std::filesystem::remove(link);
  std::filesystem::create_directory_symlink(other, link);
  running.server().reload();
  EXPECT_TRUE(running.says("reloaded " + link.string()));
  // The robot is in the middle of its chunk, which the new policy goes on from.
  Session session = local().session();
  session.set_last_chunk({.actions = before});
  SampleOptions sample{.steps = 2, .seed = 2};
  sample.rtc = {.executed = 4, .inference_delay = 2};
  const std::vector<float> going_on = session.infer(seen(), sample).actions;
  EXPECT_NE(going_on, local().infer(seen(), {.steps = 2, .seed = 2}).actions);
  EXPECT_EQ(actions_of(client.ask(message_of(seen(), continued(2)))), going_on);
  EXPECT_EQ(actions_of(client.ask(message_of(seen(), seeded(1)))),
            local().infer(seen(), {.steps = 2, .seed = 1}).actions);
}

// The reload's thread is in the dispatcher until what it loads lets it go.
TEST(ServerTest, AReloadUnderWayEndsBeforeTheServerDoes) {
  HookedBackend& device = hooked();
  ServerOptions options = served();
  options.devices = {{.device = "hooked:a"}};
  RunningServer running(options);
  std::promise<void> opening, go_on;
  device.set([&](const std::string&) {
    opening.set_value();
    go_on.get_future().wait();
  });
  running.server().reload();
  opening.get_future().wait();
  const std::future<void> stopping = std::async(std::launch::async, [&] { running.stop(); });
  EXPECT_EQ(stopping.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
  go_on.set_value();
  stopping.wait();
  EXPECT_TRUE(running.done());
  device.set({});
}

TEST(ServerTest, TellsHowItIs) {
  RunningServer running(served());
  EXPECT_EQ(get(running.port(), "/healthz").body, "OK\n");
  EXPECT_EQ(get(running.port(), "/readyz").status, 200u);
  RawClient client(running.port());
  client.read();
  client.ask(message_of(seen(), seeded(1)));
  const std::string metrics = get(running.port(), "/metrics").body;
  for (const char* line : {"pi0_calls_total{outcome=\"ok\"} 1\n", "pi0_clients 1\n",
                           "pi0_call_seconds_count 1\n", "pi0_ready 1\n"}) {
    EXPECT_NE(metrics.find(line), std::string::npos) << line << metrics;
  }
  EXPECT_EQ(get(running.port(), "/nothing").status, 404u);
}

TEST(ServerTest, WhoHasNoKeyIsRefused) {
  ServerOptions options = served();
  options.api_keys = {"one-key-0123456789", "another-key-012345"};
  RunningServer running(options);
  EXPECT_THROW(RawClient(running.port()), boost::system::system_error);
  EXPECT_THROW(RawClient(running.port(), "/", {{"Authorization", "Api-Key one-key-012345678"}}),
               boost::system::system_error);
  RawClient client(running.port(), "/", {{"Authorization", "Api-Key another-key-012345"}});
  EXPECT_TRUE(client.read().has("pi0"));
  const HttpReply refused = get(running.port(), "/metrics");
  EXPECT_EQ(refused.status, 401u);
  EXPECT_NE(refused.authenticate.find("Basic"), std::string::npos);
  EXPECT_EQ(
      get(running.port(), "/metrics", {{"Authorization", "Bearer one-key-0123456789"}}).status,
      200u);
  EXPECT_EQ(get(running.port(), "/healthz").status, 200u);
}

TEST(ServerTest, APageOfAnotherPlaceIsRefused) {
  RunningServer running(served());
  EXPECT_THROW(RawClient(running.port(), "/", {{"Origin", "https://example.org"}}),
               boost::system::system_error);
  RawClient own(running.port(), "/",
                {{"Origin", "http://localhost:" + std::to_string(running.port())}});
  EXPECT_TRUE(own.read().binary);
}

TEST(ServerTest, ClientsThatAreSlowOrTooManyAreLeft) {
  ServerOptions options = served();
  options.limits.message_s = 0.2;
  options.limits.handshake_s = 0.2;
  options.limits.connections = 2;  // the third is told so
  options.limits.message_bytes = 100'000;
  RunningServer running(options);
  RawClient slow_one(running.port()), good(running.port());
  slow_one.read();
  good.read();
  EXPECT_THROW(RawClient(running.port()), boost::system::system_error);  // a third
  slow_one.socket().binary(true);
  const std::byte piece[10] = {};
  slow_one.socket().write_some(false, boost::asio::buffer(piece));  // and nothing more
  boost::beast::flat_buffer buffer;
  boost::system::error_code error;
  slow_one.socket().read(buffer, error);
  EXPECT_TRUE(error);
  EXPECT_TRUE(good.ask(message_of(seen(), seeded(1))).has("actions"));
  RawClient large(running.port());
  large.read();
  EXPECT_THROW(large.ask(std::vector<std::byte>(200'000)), boost::system::system_error);
  EXPECT_TRUE(good.ask(message_of(seen(), seeded(1))).has("actions"));
}

TEST(ServerTest, SaysWhatItCannotDo) {
  ServerOptions options = served();
  options.host = "no.such.host.invalid";
  expect_error(ErrorCode::kInvalidInput, {"no.such.host.invalid"}, [&] { Server(options, {}); });
  RunningServer running(served());
  options = served();
  options.port = running.port();
  expect_error(ErrorCode::kIo, {"cannot listen", "in use"}, [&] { Server(options, {}); });
  options = served();
  options.devices = {{.device = "nothing"}};
  Server server(options, {});
  expect_error(ErrorCode::kUnsupported, {"nothing"}, [&] { server.run(); });
}

}  // namespace
}  // namespace pi0
