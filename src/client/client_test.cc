// The client against libpi0's own server.
#include "pi0/client.h"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "base/test_support.h"
#include "files/json.h"
#include "net/certificate_testing.h"
#include "serve/server_testing.h"

namespace pi0 {
namespace {

const std::filesystem::path kExamples = std::filesystem::path(PI0_SOURCE_DIR) / "examples";

std::string url_of(const RunningServer& server, const std::string& scheme = "ws") {
  return scheme + "://127.0.0.1:" + std::to_string(server.port());
}

Observation observation(float x = -0.0066f) {
  Observation now;
  now.images["base_0_rgb"] = load_image(kExamples / "frames/drawer_open_corner.png");
  now.state = {x, 0.6386f, 0.2493f, 1.0f};
  now.prompt = "open the drawer";
  return now;
}

ClientCall with_seed(std::uint64_t seed) { return {.sample = {.seed = seed}}; }

ClientCall continuing(std::uint64_t seed, int executed) {
  ClientCall call = with_seed(seed);
  call.sample.rtc = RealTimeChunking{.inference_delay = 2};
  call.sample.rtc->executed = executed;
  return call;
}

ClientCall rolled(ClientCall call) {
  call.sample.rtc->roll_state_forward = true;
  return call;
}

TEST(ClientTest, IsAsASessionHere) {
  const RunningServer server(served());
  Client client({.url = url_of(server)});
  const Policy policy = Policy::load(kServedPolicy, served().devices[0]);
  const ServerInfo info = client.info();
  EXPECT_EQ(info.kind, "pi0");
  EXPECT_EQ(info.cameras, std::vector<std::string>{"base_0_rgb"});
  EXPECT_EQ(info.state_dims, 4);
  EXPECT_EQ(info.action_horizon, 16);
  EXPECT_EQ(info.action_names, policy.info().action_names);
  const RobotKeys expected = RobotKeys::find("none", policy.info());
  EXPECT_EQ(client.keys().images(), expected.images());
  EXPECT_EQ(client.keys().state(), expected.state());
  EXPECT_EQ(client.keys().prompt(), expected.prompt());
  EXPECT_EQ(parse_json(info.metadata, "metadata").at("pi0").at("n_action_steps"), 8);

  Session session = policy.session();
  for (const ClientCall& call : {with_seed(1), continuing(2, 3), rolled(continuing(3, 8))}) {
    const Observation now = observation(static_cast<float>(*call.sample.seed) * 0.01f);
    const ServedChunk served = client.infer(now, call);
    const ActionChunk here = session.infer(now, call.sample);
    EXPECT_EQ(served.actions, here.actions);
    EXPECT_EQ(served.horizon, here.horizon);
    EXPECT_EQ(served.dims, here.dims);
    EXPECT_EQ(served.n_action_steps, here.n_action_steps);
    EXPECT_EQ(served.names, here.names);
    EXPECT_EQ(served.warnings, here.warnings);
    ASSERT_EQ(served.seam.has_value(), call.sample.rtc.has_value());
    ASSERT_EQ(here.seam.has_value(), call.sample.rtc.has_value());
    if (here.seam) {
      EXPECT_EQ(served.seam->delay, here.seam->delay);
      EXPECT_EQ(served.seam->row, here.seam->row);
      EXPECT_EQ(served.seam->jump, here.seam->jump);
      EXPECT_EQ(served.seam->velocity_change, here.seam->velocity_change);
    }
    EXPECT_EQ(served.device, policy.network().device());
    EXPECT_GT(served.timing.denoise_ms, 0);
    EXPECT_GE(served.server_ms, served.timing.total_ms * 0.9);
    EXPECT_GE(served.round_trip_ms, served.server_ms);
    EXPECT_EQ(served.reconnects, 0);
  }
}

TEST(ClientTest, TakesNoiseStepsAndViews) {
  const RunningServer server(served());
  Client client({.url = url_of(server)});
  const Policy policy = Policy::load(kServedPolicy, served().devices[0]);
  ClientCall call = {.sample = {.steps = 3, .noise = std::vector<float>(16 * 8, 0.25f)}};
  const Observation whole = observation();
  const Image& image = whole.images.at("base_0_rgb");
  Observation now = whole;
  now.images.clear();
  now.views["base_0_rgb"] = {
      .data = image.rgb.data(), .height = image.height, .width = image.width};
  EXPECT_EQ(client.infer(now, call).actions, policy.infer(whole, call.sample).actions);
}

TEST(ClientTest, AfterResetNothingIsContinued) {
  const RunningServer server(served());
  Client client({.url = url_of(server)});
  const Observation now = observation();
  const std::vector<float> alone = client.infer(now, with_seed(5)).actions;
  EXPECT_NE(client.infer(now, continuing(5, 4)).actions, alone);
  client.reset();
  ServedChunk chunk = client.infer(now, continuing(5, 4));
  EXPECT_EQ(chunk.actions, alone);
  EXPECT_FALSE(chunk.seam);
  EXPECT_TRUE(client.infer(now, continuing(5, 4)).seam);
}

TEST(ClientTest, WhatTheServerRefusesIsItsSentence) {
  const RunningServer server(served());
  Client client({.url = url_of(server), .reconnects = 0});
  client.infer(observation(), with_seed(1));
  Observation wrong = observation();
  wrong.state.push_back(1);
  expect_error(ErrorCode::kInvalidInput, {"state", "5"}, [&] { client.infer(wrong); });
  expect_error(ErrorCode::kInvalidInput, {"rtc"},
               [&] { client.infer(observation(), continuing(1, 99)); });
  Observation other = observation();
  other.images["left"] = other.images.at("base_0_rgb");
  expect_error(ErrorCode::kInvalidInput, {"left", "base_0_rgb"}, [&] { client.infer(other); });
  // The connection is as it was, and with it the last chunk.
  EXPECT_TRUE(client.infer(observation(), continuing(2, 1)).seam);
  ClientCall limited = continuing(3, 4);
  limited.sample.rtc->max_jump = {1e-6f};
  expect_error(ErrorCode::kLimit, {"jump"}, [&] { client.infer(observation(), limited); });
  limited.sample.rtc->max_jump.clear();
  limited.sample.rtc->max_velocity_change = {1e-6f};
  expect_error(ErrorCode::kLimit, {"velocity"}, [&] { client.infer(observation(), limited); });
}

TEST(ClientTest, ConnectsAnewToAServerThatCameBack) {
  std::optional<RunningServer> server(std::in_place, served());
  const int port = server->port();
  Client client({.url = url_of(*server), .reconnects = 100, .max_backoff_s = 0.2});
  const std::vector<float> alone = client.infer(observation(), with_seed(7)).actions;
  server.reset();
  std::future<ServedChunk> next = client.infer_async(observation(), continuing(7, 4));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  ServerOptions there = served();
  there.port = port;
  server.emplace(there);
  const ServedChunk chunk = next.get();
  EXPECT_EQ(chunk.actions, alone);
  EXPECT_FALSE(chunk.seam);
  EXPECT_GT(chunk.reconnects, 0);
  ASSERT_EQ(chunk.warnings.size(), 1u);
  EXPECT_NE(chunk.warnings[0].find("goes on from none"), std::string::npos);
  EXPECT_TRUE(client.infer(observation(), continuing(7, 4)).seam);
}

TEST(ClientTest, AStoppedServerIsAnError) {
  std::optional<RunningServer> server(std::in_place, served());
  Client client({.url = url_of(*server), .reconnects = 1, .backoff_s = 0.01});
  client.infer(observation());
  server.reset();
  expect_error(ErrorCode::kServer, {"ws://127.0.0.1", "cannot connect"},
               [&] { client.infer(observation()); });
}

TEST(ClientTest, ADeadlineIsTheServersToo) {
  const RunningServer server(served());
  Client client({.url = url_of(server)});
  client.infer(observation());
  expect_error(ErrorCode::kServer, {"deadline passed before it was sent"},
               [&] { client.infer(observation(), {.deadline_ms = 1e-6}); });
  expect_error(ErrorCode::kServer, {"deadline passed before its actions were there"}, [&] {
    client.infer(observation(), {.sample = {.steps = 1000}, .deadline_ms = 200});
  });
  client.infer(observation(), {.deadline_ms = 60000});
}

TEST(ClientTest, HasAKey) {
  ServerOptions options = served();
  options.api_keys = {"0123456789abcdef"};
  const RunningServer server(options);
  Client client({.url = url_of(server), .api_key = "0123456789abcdef"});
  client.infer(observation());
  for (const char* const key : {"", "0123456789abcdeX"}) {
    expect_error(ErrorCode::kServer, {"it answers 401", "with a key alone"},
                 [&] { Client({.url = url_of(server), .api_key = key, .reconnects = 1000}); });
  }
}

TEST(ClientTest, TrustsWhomItIsTold) {
  const TemporaryDirectory directory;
  write_certificate(directory / "cert.pem", directory / "key.pem", "IP:127.0.0.1");
  ServerOptions options = served();
  options.tls_cert = directory / "cert.pem";
  options.tls_key = directory / "key.pem";
  const RunningServer server(options);
  Client client({.url = url_of(server, "wss"), .ca_file = directory / "cert.pem"});
  EXPECT_EQ(client.infer(observation()).dims, 4);
  expect_error(ErrorCode::kServer, {"no encryption", "certificate verify failed"},
               [&] { Client({.url = url_of(server, "wss"), .reconnects = 1000}); });
  // It is for the address, and for no name.
  const std::string by_name = "wss://localhost:" + std::to_string(server.port());
  expect_error(ErrorCode::kServer, {"certificate verify failed"}, [&] {
    Client({.url = by_name, .ca_file = directory / "cert.pem", .reconnects = 1000});
  });
  expect_error(ErrorCode::kInvalidInput, {"ca_file", "expected PEM"},
               [&] { Client({.url = url_of(server, "wss"), .ca_file = directory / "no.pem"}); });
}

TEST(ClientTest, IsForAnyThread) {
  const RunningServer server(served());
  Client client({.url = url_of(server)});
  const Observation now = observation();
  const std::vector<float> expected = client.infer(now, with_seed(3)).actions;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < 3; ++call) {
        client.reset();
        EXPECT_EQ(client.infer(now, with_seed(3)).actions, expected);
        EXPECT_EQ(client.info().action_dims, 4);
      }
    });
  }
}

}  // namespace
}  // namespace pi0
