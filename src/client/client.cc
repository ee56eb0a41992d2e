#include "pi0/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cmath>
#include <deque>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "client/link.h"
#include "client/messages.h"
#include "client/options.h"

namespace pi0 {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

Clock::duration seconds(double s) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
}

double ms_since(Clock::time_point then) {
  return std::chrono::duration<double, std::milli>(Clock::now() - then).count();
}

}  // namespace

// Calls go to its thread, which has all of the connection.
struct Client::Impl {
  struct Call {
    Call(net::io_context& io, std::shared_ptr<const Served> of) : served(std::move(of)), late(io) {}
    std::promise<ServedChunk> promise;
    std::shared_ptr<const Served> served;  // for whose keys it is encoded; nullptr: the
                                           // constructor's, which only waits for a connection
    std::shared_ptr<const std::vector<std::byte>> request;  // kept: it may be sent again
    ClientCall says;
    Clock::time_point began = Clock::now();
    net::steady_timer late;
    int reconnects = 0;
    std::uint64_t reset = 0;  // how often reset() had been called before it
  };
  using CallPtr = std::shared_ptr<Call>;

  explicit Impl(const ClientOptions& given)
      : options((require_options(given), given)),
        url(parse_url(given.url)),
        robot(given.robot.empty() ? std::nullopt : std::optional(openpi_robot(given.robot))),
        tls(make_tls(given)) {
    const auto first = std::make_shared<Call>(io, nullptr);
    std::future<ServedChunk> connected = first->promise.get_future();
    waiting.push_back(first);
    thread = std::thread([this] {
      connect();
      run();
    });
    try {
      connected.get();
    } catch (...) {
      stop();
      throw;
    }
  }

  ~Impl() {
    if (thread.joinable()) stop();
  }

  void stop() {
    net::post(io, [this] {
      drop_link();
      requeue();
      fail_waiting({ErrorCode::kServer, "the client ended before its answer was there"});
      io.stop();
    });
    thread.join();
  }

  void run() {
    for (;;) {
      try {
        io.run();
        return;
      } catch (const std::exception& error) {  // out of memory, say
        lost({fmt::format("unexpected: {}", error.what()), false});
      }
    }
  }

  std::shared_ptr<const Served> last_served() const {
    const std::lock_guard lock(mutex);
    return served;
  }

  std::future<ServedChunk> infer_async(const Observation& observation, const ClientCall& says) {
    const auto call = std::make_shared<Call>(io, last_served());
    call->request = std::make_shared<const std::vector<std::byte>>(
        encode_request(*call->served, observation, says));
    call->says = says;
    call->reset = resets;
    std::future<ServedChunk> future = call->promise.get_future();
    net::post(io, [this, call] { submit(call); });
    return future;
  }

  // From here on: on the thread.

  void submit(const CallPtr& call) {
    if (call->says.latest) {
      fail_waiting({ErrorCode::kServer, "a later call of this client took its place"});
    }
    waiting.push_back(call);
    call->late.expires_at(call->began + seconds(options.call_timeout_s));
    call->late.async_wait([this, weak = std::weak_ptr(call)](error_code stopped) {
      const CallPtr late = weak.lock();
      if (!stopped && late) time_out(late);
    });
    pump();
  }

  // Sends what may go.
  void pump() {
    if (!link) {
      if (!waiting.empty() && !backing_off) connect();
      return;
    }
    // One after another: what a server refuses at once would overtake an answer that is computed.
    // The latest makes it give up the one before, whatever comes of that.
    while (open && !waiting.empty() &&
           flying.size() < (waiting.front()->says.latest && served->ours ? 2u : 1u)) {
      const CallPtr call = waiting.front();
      waiting.pop_front();
      send(call);
    }
  }

  void send(const CallPtr& call) {
    if (!call->served) {
      call->promise.set_value({});
      return;
    }
    if (call->served->keys != served->keys) {
      return fail(call, {ErrorCode::kServer, named("another robot is served since it connected")});
    }
    ClientCall says = call->says;
    if (says.deadline_ms > 0) {
      says.deadline_ms -= ms_since(call->began);
      if (says.deadline_ms <= 0) {
        return fail(call, {ErrorCode::kServer, named("its deadline passed before it was sent")});
      }
    }
    flying.push_back(call);
    link->send(call->request, served->ours ? encode_options(says, call->reset > resets_done)
                                           : std::vector<std::byte>());
  }

  void connect() {
    open = false;
    Link::Events events;
    events.received = [this](const std::vector<std::byte>& message, bool binary) {
      received(message, binary);
    };
    events.lost = [this](const LinkFailure& failure) { lost(failure); };
    link = open_link(io, url, tls, options.api_key, std::move(events));
    timer.expires_after(seconds(options.connect_timeout_s));
    timer.async_wait([this](error_code stopped) {
      if (!stopped && link && !open) {
        lost({fmt::format("no metadata within {} s", options.connect_timeout_s)});
      }
    });
  }

  void drop_link() {
    timer.cancel();
    if (link) link->leave();
    link.reset();
    open = false;
  }

  void received(const std::vector<std::byte>& message, bool binary) {
    try {
      if (!open) {
        begin(message, binary);
      } else if (flying.empty()) {
        lost({binary ? "a message that nothing asked for" : read_text(message)});
      } else {
        answered(message, binary);
      }
    } catch (const Error& error) {
      lost({error.what(), false});
    }
    pump();
  }

  void begin(const std::vector<std::byte>& message, bool binary) {
    if (!binary) return lost({"it says at first: " + read_text(message), false});
    try {
      auto now = std::make_shared<const Served>(read_metadata(message, robot));
      const std::lock_guard lock(mutex);
      served = std::move(now);
    } catch (const Error& error) {
      return lost({fmt::format("the server's metadata: {}", error.what()), false});
    }
    timer.cancel();
    open = true;
    if (!served->ours) link->expect_no_pongs();
  }

  void answered(const std::vector<std::byte>& message, bool binary) {
    const CallPtr call = flying.front();
    const auto failed = [&](Error error) {
      flying.pop_front();
      fail(call, std::move(error));
    };
    if (!binary) {  // after which a server closes
      failed({ErrorCode::kServer, named("it failed: " + read_text(message))});
      return lost({"the server closed after an error"});
    }
    ServedChunk chunk;
    try {
      std::vector<ServedChunk> chunks = read_chunks(message, served->info);
      if (chunks.size() != 1) {
        throw Error(ErrorCode::kInvalidInput,
                    fmt::format("a batch of {} chunks, expected one chunk", chunks.size()));
      }
      chunk = std::move(chunks.front());
    } catch (const Refusal& refusal) {
      if (refusal.code == "stopping") return lost({refusal.sentence});  // another may be there
      return failed(refusal.error());
    } catch (const Error& error) {
      failed({ErrorCode::kServer, named(fmt::format("its answer: {}", error.what()))});
      return lost({"an answer that cannot be read"});
    }
    flying.pop_front();
    failures = 0;
    resets_done = std::max(resets_done, call->reset);
    chunk.reconnects = call->reconnects;
    if (call->says.sample.rtc && !chunk.seam && call->reconnects > 0) {
      chunk.warnings.push_back("the connection was made anew: this chunk goes on from none");
    }
    chunk.round_trip_ms = ms_since(call->began);
    call->late.cancel();
    call->promise.set_value(std::move(chunk));
  }

  // The connection is gone, or was never there.
  void lost(const LinkFailure& failure) {
    const bool was_open = open;
    drop_link();
    ++failures;
    last_failure = failure.sentence;
    // Those that it was not about go on as they are.
    const std::size_t concerned = was_open ? flying.size() : waiting.size();
    requeue();
    std::deque<CallPtr> left;
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      const CallPtr& call = waiting[i];
      if (i >= concerned || (failure.passing && call->reconnects < options.reconnects)) {
        call->reconnects += i < concerned ? 1 : 0;
        left.push_back(call);
      } else {
        fail(call, {ErrorCode::kServer, named(failure.sentence + times(call->reconnects))});
      }
    }
    waiting = std::move(left);
    if (waiting.empty()) return;
    backing_off = true;
    timer.expires_after(backoff());
    timer.async_wait([this](error_code stopped) {
      if (stopped) return;
      backing_off = false;
      pump();
    });
  }

  Clock::duration backoff() {
    const double longest =
        std::min(options.max_backoff_s, std::ldexp(options.backoff_s, std::min(failures - 1, 30)));
    return seconds(longest * std::uniform_real_distribution<double>(0.5, 1)(random));
  }

  void time_out(const CallPtr& call) {
    const std::string waited = fmt::format("no answer within {} s", options.call_timeout_s);
    const auto in = [&call](std::deque<CallPtr>& calls) {
      return std::find(calls.begin(), calls.end(), call);
    };
    if (const auto at = in(waiting); at != waiting.end()) {
      waiting.erase(at);
      fail(call, {ErrorCode::kServer,
                  named(waited + (open ? "" : ", nor a connection: " + last_failure))});
    } else if (const auto flies = in(flying); flies != flying.end()) {
      flying.erase(flies);
      fail(call, {ErrorCode::kServer, named(waited)});
      drop_link();  // the answer, should it come, would be taken for another's
      requeue();
      pump();
    }
  }

  void requeue() {
    waiting.insert(waiting.begin(), flying.begin(), flying.end());
    flying.clear();
  }

  void fail(const CallPtr& call, Error error) {
    call->late.cancel();
    call->promise.set_exception(std::make_exception_ptr(std::move(error)));
  }

  void fail_waiting(const Error& error) {
    for (const CallPtr& call : std::exchange(waiting, {})) fail(call, error);
  }

  std::string named(const std::string& sentence) const { return options.url + ": " + sentence; }

  std::string times(int reconnects) const {
    if (reconnects == 0) return "";
    return fmt::format(" (try {} of {})", reconnects + 1, options.reconnects + 1);
  }

  const ClientOptions options;
  const Url url;
  const std::optional<Robot> robot;
  net::ssl::context tls;
  net::io_context io{1};
  net::executor_work_guard<net::io_context::executor_type> work{io.get_executor()};
  std::thread thread;

  mutable std::mutex mutex;
  std::shared_ptr<const Served> served;  // written on the thread alone
  std::atomic<std::uint64_t> resets = 0;

  std::shared_ptr<Link> link;
  bool open = false;            // it has told its metadata
  net::steady_timer timer{io};  // of connecting, or until it is tried again
  bool backing_off = false;
  int failures = 0;  // since the last answer
  std::string last_failure = "none yet";
  std::deque<CallPtr> flying;  // sent, oldest first
  std::deque<CallPtr> waiting;
  std::uint64_t resets_done = 0;
  std::mt19937_64 random{std::random_device()()};
};

Client::Client(const ClientOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Client::~Client() = default;

ServerInfo Client::info() const { return impl_->last_served()->info; }

RobotKeys Client::keys() const { return keys_of(impl_->last_served()->robot); }

ServedChunk Client::infer(const Observation& observation, const ClientCall& call) {
  return impl_->infer_async(observation, call).get();
}

std::future<ServedChunk> Client::infer_async(const Observation& observation,
                                             const ClientCall& call) {
  return impl_->infer_async(observation, call);
}

void Client::reset() { ++impl_->resets; }

}  // namespace pi0
