#include "serve/conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "serve/protocol.h"

namespace pi0 {
namespace {

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

Conversation::Conversation(Hub& hub, Channel& channel, std::string peer, Dialect dialect)
    : hub_(hub), dialect_(dialect), channel_(&channel) {
  caller_->id = hub.next_id();
  caller_->peer = std::move(peer);
  hub_.conversations.insert(this);
  hub_.board.joined(*caller_);
}

Conversation::~Conversation() { leave(); }

void Conversation::begin() {
  channel_->send(
      encode_metadata(*hub_.dispatcher.model(), hub_.options, hub_.dispatcher.devices(), dialect_),
      true, {});
}

bool Conversation::over_rate() {
  const double rate = hub_.options.limits.rate;
  if (rate <= 0) return false;
  const Clock::time_point now = Clock::now();
  // A second's worth of them may come at once.
  allowance_ =
      std::min(std::max(rate, 1.0), allowance_ + ms_between(allowed_at_, now) / 1000 * rate);
  allowed_at_ = now;
  if (allowance_ < 1) return true;
  allowance_ -= 1;
  return false;
}

bool Conversation::receive(std::vector<std::byte> message, bool binary) {
  if (closed_) return false;
  hub_.metrics.bytes_in += message.size();
  auto call = std::make_shared<Call>();
  call->caller = caller_;
  call->message = std::move(message);
  call->dialect = dialect_;
  std::optional<CallError> refused;
  try {
    if (!binary) {
      throw Error(ErrorCode::kInvalidInput, "a text frame, expected a binary one of msgpack");
    }
    read_request(hub_.dispatcher.model()->robot, hub_.options.prompt, *call);
  } catch (const Error& error) {
    refused = {"invalid", error.what()};
  }
  const ServerLimits& limits = hub_.options.limits;
  if (!refused && over_rate()) {
    refused = {"busy", fmt::format("more than {} calls a second, which is all that this server "
                                   "takes of one client",
                                   limits.rate)};
  }
  if (!refused && call->options.latest) {
    for (const std::shared_ptr<Call>& earlier : calls_) earlier->cancelled = "superseded";
  }
  if (!refused && calls_.size() >= static_cast<std::size_t>(limits.per_client)) {
    refused = {"busy", fmt::format("{} calls of this client wait, which is all that this server "
                                   "lets one have",
                                   calls_.size())};
  }
  if (refused) {
    hub_.ended(*call, *refused);
    fail(*call, *refused);
    return false;
  }
  if (call->observations.empty()) {
    reset_ = true;
    channel_->send(encode_reset_done(), true, {});
    return true;
  }
  if (call->options.session && call->options.session != session_) {
    session_ = call->options.session;
    reset_ = true;
  }
  calls_.push_back(std::move(call));
  if (calls_.size() == 1) submit();
  return true;
}

void Conversation::submit() {
  Call& call = *calls_.front();
  call.options.reset = call.options.reset || reset_;
  computing_ = true;
  // Holds this conversation until it is called, and no longer: a server that stops without waiting
  // may never get round to what is posted.
  call.done = [&hub = hub_, self = shared_from_this(), raw = &call](auto outcome) mutable {
    hub.post([self = std::move(self), raw, outcome = std::move(outcome)]() mutable {
      self->finish(raw->shared_from_this(), std::move(outcome));
    });
  };
  hub_.dispatcher.submit(calls_.front());
}

void Conversation::finish(const std::shared_ptr<Call>& call,
                          std::variant<CallResult, CallError> outcome) {
  calls_.pop_front();
  computing_ = false;
  hub_.ended(*call, outcome);
  if (const auto* error = std::get_if<CallError>(&outcome)) {
    fail(*call, *error);
  } else if (channel_) {
    if (call->options.reset) reset_ = false;
    std::vector<std::byte> answer =
        encode_answer(*call, std::get<CallResult>(outcome), prev_total_ms_);
    hub_.metrics.bytes_out += answer.size();
    channel_->send(std::move(answer), true, [self = shared_from_this(), arrived = call->arrived] {
      self->prev_total_ms_ = ms_between(arrived, Clock::now());
    });
  }
  if (!calls_.empty() && !closed_) {
    submit();
  } else if (hub_.stopping) {
    stop();
  }
}

void Conversation::fail(const Call& call, const CallError& error) {
  if (!channel_ || closed_) return;
  if (call.options.given || dialect_ == Dialect::kVllmOmni) {
    channel_->send(encode_error(error, dialect_), true, {});
    return;
  }
  // As openpi's server, without its traceback.
  channel_->send(bytes_of(error.sentence), false, {});
  channel_->close(kInternalError, "the sentence before says why");
  closed_ = true;
}

void Conversation::leave() {
  channel_ = nullptr;
  closed_ = true;
  for (const std::shared_ptr<Call>& call : calls_) call->cancelled = "left";
  calls_.resize(computing_ ? 1 : 0);  // the others are nobody's
  hub_.board.left(*caller_);
  if (hub_.conversations.erase(this) != 0 && hub_.stopping && hub_.conversations.empty() &&
      hub_.idle) {
    hub_.idle();
  }
}

void Conversation::stop() {
  if (!calls_.empty() || closed_ || !channel_) return;
  channel_->close(kGoingAway, "the server is stopping");
  closed_ = true;
}

}  // namespace pi0
