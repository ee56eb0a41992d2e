#include "serve/dispatcher.h"

#include <gtest/gtest.h>

#include <deque>
#include <future>
#include <map>
#include <mutex>

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
  EXPECT_TRUE(read_request(*call));
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

// What each opening of a device does, in turn: no: it is out of memory.
void script(HookedBackend& device, std::map<std::string, std::deque<bool>> opens) {
  const auto left = std::make_shared<decltype(opens)>(std::move(opens));
  device.set([left](const std::string& which) {  // a reload's, on one thread
    std::deque<bool>& mine = left->at(which);
    ASSERT_FALSE(mine.empty()) << which;
    const bool opens = mine.front();
    mine.pop_front();
    if (!opens) throw Error(ErrorCode::kOutOfMemory, "no room on " + which);
  });
}

// Loaded, on devices that then do as scripted.
struct Loaded {
  explicit Loaded(const std::vector<std::string>& names)
      : options(on_hooked(names)),
        dispatcher(options, open_model(options),
                   {.ready = [this] { std::call_once(once, [this] { ready.set_value(); }); },
                    .failed = [this](std::exception_ptr error) { failed.set_value(error); }}) {
    ready.get_future().wait();
  }
  std::once_flag once;
  std::promise<void> ready;
  std::promise<std::exception_ptr> failed;
  ServerOptions options;
  Dispatcher dispatcher;
};

// The one before is given up for the new one, which then does not fit either.
TEST(DispatcherTest, AReloadThatFailsPutsBackWhatWasGivenUp) {
  HookedBackend& device = hooked();
  Loaded loaded({"a"});
  script(device, {{"a", {false, false, true}}});
  expect_error(ErrorCode::kOutOfMemory, {"no room on a"},
               [&] { loaded.dispatcher.reload(open_model(loaded.options)); });
  EXPECT_TRUE(loaded.dispatcher.ready());
  EXPECT_EQ(actions_of(ask(loaded.dispatcher)), expected(10));
}

// b's is put back though a's cannot be, and computes.
TEST(DispatcherTest, ADeviceThatIsLostTakesNoOtherWithIt) {
  HookedBackend& device = hooked();
  Loaded loaded({"a", "b"});
  script(device, {{"a", {false, true, false}}, {"b", {false, false, true}}});
  expect_error(ErrorCode::kUnsupported, {"no room on b; but no longer on hooked:a: no room on a"},
               [&] { loaded.dispatcher.reload(open_model(loaded.options)); });
  EXPECT_EQ(loaded.dispatcher.devices(), (std::vector<std::string>{"", "hooked:b (named)"}));
  EXPECT_EQ(actions_of(ask(loaded.dispatcher)), expected(10));
  // The next reload has it compute again.
  script(device, {{"a", {true}}, {"b", {true}}});
  loaded.dispatcher.reload(open_model(loaded.options));
  EXPECT_TRUE(loaded.dispatcher.ready());
}

TEST(DispatcherTest, FailsWhereNothingCanBePutBack) {
  HookedBackend& device = hooked();
  Loaded loaded({"a"});
  script(device, {{"a", {false, false, false}}});
  const char* const lost = "no room on a; what was served before is lost on hooked:a: no room on a";
  expect_error(ErrorCode::kUnsupported, {lost},
               [&] { loaded.dispatcher.reload(open_model(loaded.options)); });
  const std::exception_ptr failed = loaded.failed.get_future().get();
  expect_error(ErrorCode::kUnsupported, {lost}, [&] { std::rethrow_exception(failed); });
  EXPECT_EQ(std::get<CallError>(ask(loaded.dispatcher)).code, "stopping");
}

}  // namespace
}  // namespace pi0
