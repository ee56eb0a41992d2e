#include "serve/conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "serve/protocol.h"

namespace pi0 {
namespace {

// Of one client, that wait for their answers: far more than come of asking too often for a while.
constexpr std::size_t kMostRequests = 4096;

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

Conversation::Conversation(Hub& hub, Channel& channel, std::string peer, Dialect dialect)
    : hub_(hub), dialect_(dialect), channel_(&channel), allowance_(hub.options.limits.rate) {
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

bool Conversation::receive(std::vector<std::byte> message, bool binary) {
  if (closed_) return false;
  hub_.metrics.bytes_in += message.size();
  auto call = std::make_shared<Call>();
  call->caller = caller_;
  call->message = std::move(message);
  call->dialect = dialect_;
  std::optional<CallError> refused;
  bool is_call = true;
  try {
    if (!binary) {
      throw Error(ErrorCode::kInvalidInput, "a text frame, expected a binary one of msgpack");
    }
    is_call = read_request(*call);
  } catch (const Error& error) {
    refused = {"invalid", error.what()};
  }
  const ServerLimits& limits = hub_.options.limits;
  if (!refused && limits.rate > 0 && !allowance_.take()) {
    refused = {"busy", fmt::format("more than {} calls a second, which is all that this server "
                                   "takes of one client",
                                   limits.rate)};
  }
  int calls = 0;
  for (const Request& earlier : requests_) {
    if (!earlier.call) continue;
    ++calls;
    if (!refused && call->options.latest) earlier.call->cancelled = "superseded";
  }
  if (!refused && is_call && calls >= limits.per_client) {
    refused = {"busy", fmt::format("{} calls of this client wait, which is all that this server "
                                   "lets one have",
                                   calls)};
  }
  if (refused) {
    hub_.ended(*call, *refused);
    add({.refused = std::move(refused),
         .given = call->options.given,
         .reset = call->options.reset});
    return false;
  }
  if (!is_call) {
    add({.reset = true});
    return true;
  }
  if (call->options.session && call->options.session != session_) {
    session_ = call->options.session;
    call->options.reset = true;
  }
  const bool reset = call->options.reset;
  add({.call = std::move(call), .reset = reset});
  return true;
}

void Conversation::add(Request request) {
  if (requests_.size() >= kMostRequests) {
    closed_ = true;
    return channel_->close(kPolicyViolation, "it asks, and never waits");
  }
  requests_.push_back(std::move(request));
  if (requests_.size() == 1) go_on();
}

// To the next of them, each when the one before is answered.
void Conversation::go_on() {
  if (computing_ || closed_) return;
  if (requests_.empty()) {
    if (hub_.stopping) stop();
    return;
  }
  // Whatever becomes of the request, an episode begins.
  reset_ = reset_ || requests_.front().reset;
  if (requests_.front().call) return submit();
  const Request request = std::move(requests_.front());
  requests_.pop_front();
  const auto sent = [self = shared_from_this()] { self->go_on(); };
  if (request.refused) return fail(*request.refused, request.given, sent);
  channel_->send(encode_reset_done(), true, sent);
}

void Conversation::submit() {
  Call& call = *requests_.front().call;
  call.options.reset = reset_;
  computing_ = true;
  // Holds this conversation until it is called, and no longer: a server that stops without waiting
  // may never get round to what is posted.
  call.done = [&hub = hub_, self = shared_from_this(), raw = &call](auto outcome) mutable {
    hub.post([self = std::move(self), raw, outcome = std::move(outcome)]() mutable {
      self->finish(raw->shared_from_this(), std::move(outcome));
    });
  };
  hub_.dispatcher.submit(requests_.front().call);
}

void Conversation::finish(const std::shared_ptr<Call>& call,
                          std::variant<CallResult, CallError> outcome) {
  requests_.pop_front();
  computing_ = false;
  hub_.ended(*call, outcome);
  if (const auto* error = std::get_if<CallError>(&outcome)) {
    fail(*error, call->options.given, {});
  } else if (channel_) {
    reset_ = false;
    std::vector<std::byte> answer =
        encode_answer(*call, std::get<CallResult>(outcome), prev_total_ms_);
    hub_.metrics.bytes_out += answer.size();
    channel_->send(std::move(answer), true, [self = shared_from_this(), arrived = call->arrived] {
      self->prev_total_ms_ = ms_between(arrived, Clock::now());
    });
  }
  call->model.reset();  // a policy that is no longer served would stay as long as the call is seen
  go_on();
}

void Conversation::fail(const CallError& error, bool given, std::function<void()> sent) {
  if (!channel_ || closed_) return;
  if (given || dialect_ == Dialect::kVllmOmni) {
    channel_->send(encode_error(error, dialect_), true, std::move(sent));
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
  if (computing_) requests_.front().call->cancelled = "left";
  requests_.resize(computing_ ? 1 : 0);  // the others are nobody's
  hub_.board.left(*caller_);
  if (hub_.conversations.erase(this) != 0 && hub_.stopping && hub_.conversations.empty() &&
      hub_.idle) {
    hub_.idle();
  }
}

void Conversation::stop() {
  if (!requests_.empty() || closed_ || !channel_) return;
  channel_->close(kGoingAway, "the server is stopping");
  closed_ = true;
}

}  // namespace pi0
