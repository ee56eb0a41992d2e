#include "replay/server_replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <memory>

#include "client/link.h"
#include "client/options.h"
#include "client/url.h"
#include "pi0/error.h"
#include "replay/answer.h"
#include "replay/seeded_request.h"
#include "serve/call.h"

namespace pi0 {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using Plan = std::vector<const Record::Entry*>;

constexpr int kMostLosses = 5;  // of connections, without an answer between

// By the client that they were recorded of, those that came first before others.
std::vector<Plan> plans_of(const Record& record) {
  std::vector<Plan> plans;
  std::map<std::uint64_t, std::size_t> plan_of;
  for (const Record::Entry& entry : record.calls) {
    if (is_circumstance(entry.call().error_code)) continue;
    const auto [found, is_new] = plan_of.try_emplace(entry.client, plans.size());
    if (is_new) plans.emplace_back();
    plans[found->second].push_back(&entry);
  }
  return plans;
}

class Player {
 public:
  struct Shared {
    net::io_context& io;
    net::ssl::context& tls;
    const Url url;
    const ServerReplayOptions& options;
    const Tolerances& tolerances;
    const std::function<void(PlayedCall)>& played;
    std::size_t playing = 0;  // players that are not done
  };

  Player(Shared& shared, const Plan& plan)
      : shared_(shared), plan_(plan), due_(shared.io), late_(shared.io) {}

  void begin() { connect(); }

 private:
  struct Sent {
    RecordedCall recorded;
    Clock::time_point at;
  };

  void connect() {
    connected_ = false;
    // What the server remembers of this client is lost with its connection.
    last_outputs_.clear();
    wait_for_answer();
    Link::Events events;
    events.received = [this](const std::vector<std::byte>& message, bool binary) {
      receive(message, binary);
    };
    events.lost = [this](LinkFailure failure) { lose(failure.sentence); };
    link_ = open_link(shared_.io, shared_.url, shared_.tls, shared_.options.server.api_key,
                      std::move(events));
  }

  [[noreturn]] void fail(const std::string& sentence) const {
    throw Error(ErrorCode::kServer, fmt::format("{}: {}", shared_.options.server.url, sentence));
  }

  void wait_for_answer() {
    late_.expires_after(std::chrono::milliseconds(
        static_cast<std::int64_t>(shared_.options.server.call_timeout_s * 1e3)));
    late_.async_wait([this](error_code stopped) {
      if (!stopped) fail(fmt::format("no answer in {} s", shared_.options.server.call_timeout_s));
    });
  }

  void receive(std::span<const std::byte> message, bool binary) {
    late_.cancel();
    if (!connected_) {  // its metadata
      connected_ = true;
      begin_ = Clock::now();
      sent_of_connection_ = 0;
      return go_on();
    }
    if (sent_.empty()) fail("an answer that nobody asked for");
    losses_ = 0;
    const Sent sent = std::move(sent_.front());
    sent_.pop_front();
    tell(sent, read_answer(message, binary));
    const bool closes = !binary && next_ < plan_.size();  // as it does after a text
    if (closes || !sent_.empty()) wait_for_answer();
    if (!closes) go_on();
  }

  void tell(const Sent& sent, const Answer& answer) {
    RecordedCall recorded = sent.recorded;
    if (is_circumstance(answer.outcome.error_code)) {
      shared_.played(not_compared(recorded, answer.outcome.error_code));
      return;
    }
    PlayedCall played = judge(with_dims(recorded, answer.dims), answer.outcome, shared_.tolerances);
    const bool continues = recorded.inference_delay && !recorded.last.actions.empty();
    // Without them it is another policy's chunk, from before a reload.
    const std::vector<float>& last = recorded.last.model_actions;
    if (continues && (last.empty() || last != last_outputs_)) {
      played = not_compared(recorded, "it continues a chunk that was not played before it");
    }
    const std::vector<float>& outputs = recorded.outputs.values;
    if (played.verdict != Verdict::kEqual && played.verdict != Verdict::kClose) {
      last_outputs_.clear();  // the server has another chunk
    } else if (!outputs.empty()) {
      const auto size =
          static_cast<std::ptrdiff_t>(recorded.outputs.shape[1] * recorded.outputs.shape[2]);
      last_outputs_.assign(outputs.end() - size, outputs.end());
    }
    if (recorded.error_code.empty()) played.then_ms = recorded.total_ms;
    if (answer.outcome.error.empty()) {
      played.now_ms = ms_between(sent.at, Clock::now());
    }
    played.device = answer.device;
    shared_.played(std::move(played));
  }

  void lose(const std::string& sentence) {
    late_.cancel();
    due_.cancel();
    Answer answer;
    answer.outcome.error = sentence;
    for (const Sent& sent : sent_) tell(sent, answer);
    sent_.clear();
    if (++losses_ > kMostLosses) fail(sentence);
    connect();
  }

  void go_on() {
    if (next_ == plan_.size()) {
      if (!sent_.empty()) return;
      next_ = 0;
      link_->leave();
      if (++round_ == shared_.options.repeat) {
        // Without waiting for what a connection that is left still has under way: its timers.
        if (--shared_.playing == 0) shared_.io.stop();
        return;
      }
      return connect();
    }
    const double rate = shared_.options.rate;
    if (rate <= 0) {
      if (sent_.empty()) send();
      return;
    }
    if (waiting_) return;
    waiting_ = true;
    due_.expires_at(begin_ +
                    std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                        static_cast<double>(sent_of_connection_) / rate)));
    due_.async_wait([this](error_code stopped) {
      waiting_ = false;
      if (stopped) return;
      send();
      go_on();
    });
  }

  void send() {
    RecordedCall recorded = plan_[next_++]->call();
    ++sent_of_connection_;
    if (sent_.empty()) wait_for_answer();
    static const auto kNothing = std::make_shared<const std::vector<std::byte>>();
    std::vector<std::byte> request = seeded_request(recorded);
    sent_.push_back({std::move(recorded), Clock::now()});
    link_->send(kNothing, std::move(request));
  }

  Shared& shared_;
  const Plan& plan_;
  std::shared_ptr<Link> link_;
  net::steady_timer due_, late_;
  bool connected_ = false;
  bool waiting_ = false;  // for the time of the next
  int losses_ = 0;
  int round_ = 0;
  std::size_t next_ = 0;  // of the plan
  std::size_t sent_of_connection_ = 0;
  Clock::time_point begin_;
  std::deque<Sent> sent_;
  std::vector<float> last_outputs_;  // as recorded, of the chunk that the server goes on from
};

}  // namespace

void replay_on_server(const Record& record, const ServerReplayOptions& options,
                      const Tolerances& tolerances, const std::function<void(PlayedCall)>& played) {
  require_options(options.server);
  const std::vector<Plan> plans = plans_of(record);
  if (plans.empty()) return;
  net::ssl::context tls = make_tls(options.server);
  net::io_context io(1);
  Player::Shared shared{io, tls, parse_url(options.server.url), options, tolerances, played};
  const std::size_t clients =
      options.clients != 0 ? static_cast<std::size_t>(options.clients) : plans.size();
  shared.playing = clients;
  std::vector<std::unique_ptr<Player>> players;
  for (std::size_t i = 0; i < clients; ++i) {
    players.push_back(std::make_unique<Player>(shared, plans[i % plans.size()]));
    players.back()->begin();
  }
  io.run();
}

}  // namespace pi0
