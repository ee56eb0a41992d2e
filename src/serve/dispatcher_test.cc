#include "serve/dispatcher.h"

#include <gtest/gtest.h>

#include <future>

#include "serve/hooked_device_testing.h"
#include "serve/protocol.h"
#include "serve/server_testing.h"

namespace pi0 {
namespace {

ServerOptions on_hooked(const std::vector<std::string>& names) {
  ServerOptions options = served();
  options.devices.clear();
  for (const std::string& name : names) options.devices.push_back({.device = "hooked:" + name});
  return options;
}

std::variant<CallResult, CallError> ask(Dispatcher& dispatcher) {
  auto call = std::make_shared<Call>();
  call->caller = std::make_shared<Caller>();
  call->message = message_of(seen());
  read_request(dispatcher.model()->robot, {}, *call);
  call->options.sample.seed = 1;
  std::promise<std::variant<CallResult, CallError>> outcome;
  call->done = [&outcome](auto what) { outcome.set_value(std::move(what)); };
  dispatcher.submit(call);
  return outcome.get_future().get();
}

std::vector<float> actions_of(const std::variant<CallResult, CallError>& outcome) {
  const auto* const result = std::get_if<CallResult>(&outcome);
  if (!result) ADD_FAILURE() << std::get<CallError>(outcome).sentence;
  return result ? result->chunks.front().actions : std::vector<float>();
}

std::vector<float> expected(int steps) {
  static const Policy policy = Policy::load(kServedPolicy, {.device = "reference"});
  return policy.infer(seen(), {.steps = steps, .seed = 1}).actions;
}

TEST(DispatcherTest, AReloadWaitsForTheFirstLoad) {
  HookedBackend& device = hooked();
  std::promise<void> opening, go_on;
  std::atomic<int> opened = 0;
  device.set([&](const std::string&) {
    if (++opened > 1) return;
    opening.set_value();
    go_on.get_future().wait();
  });
  const TemporaryDirectory directory;
  const ServerOptions options = on_hooked({"a"});
  ServerOptions other = options;
  other.checkpoint = policy_of_two_steps(directory / "other");
  Dispatcher dispatcher(options, open_model(options), {});
  opening.get_future().wait();
  std::future<void> reload =
      std::async(std::launch::async, [&] { dispatcher.reload(open_model(other)); });
  reload.wait_for(std::chrono::milliseconds(300));
  EXPECT_EQ(opened, 1);
  go_on.set_value();
  reload.get();
  EXPECT_EQ(actions_of(ask(dispatcher)), expected(2));
}

}  // namespace
}  // namespace pi0
