// What is said with one client, whatever carries it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/allowance.h"
#include "serve/call.h"
#include "serve/hub.h"

namespace pi0 {

// What carries it: a websocket. A frame is binary or text.
class Channel {
 public:
  virtual ~Channel() = default;
  // `sent` may be empty.
  virtual void send(std::vector<std::byte> frame, bool binary, std::function<void()> sent) = 0;
  // After what was sent before.
  virtual void close(std::uint16_t code, std::string_view reason) = 0;
};

// RFC 6455's.
inline constexpr std::uint16_t kGoingAway = 1001;
inline constexpr std::uint16_t kPolicyViolation = 1008;
inline constexpr std::uint16_t kInternalError = 1011;

// Requests of one client are answered in their order, one of them being computed at a time.
class Conversation : public std::enable_shared_from_this<Conversation> {
 public:
  Conversation(Hub& hub, Channel& channel, std::string peer, Dialect dialect);
  ~Conversation();

  void begin();
  // False where it is refused, which it is told when what it asked before is answered.
  bool receive(std::vector<std::byte> message, bool binary);
  // The channel is gone, with or without a word: what is computed for it stops.
  void leave();
  // The server is stopping: closes as soon as nothing is computed for it.
  void stop();

 private:
  // A request that is not answered yet: a call, what is answered in place of one, or neither, which
  // is a reset alone.
  struct Request {
    std::shared_ptr<Call> call = {};
    std::optional<CallError> refused = {};
    bool given = false, reset = false;  // CallOptions'
  };
  void add(Request request);
  void go_on();
  void submit();
  void finish(const std::shared_ptr<Call>& call, std::variant<CallResult, CallError> outcome);
  void fail(const CallError& error, bool given, std::function<void()> sent);

  Hub& hub_;
  const Dialect dialect_;
  Channel* channel_;  // nullptr once it is gone
  std::shared_ptr<Caller> caller_ = std::make_shared<Caller>();
  std::deque<Request> requests_;
  bool computing_ = false;  // the first of them
  std::optional<double> prev_total_ms_;
  std::optional<std::string> session_;
  bool reset_ = false;  // asked for, and no call has been answered since
  Allowance allowance_;
  bool closed_ = false;
};

}  // namespace pi0
