// What all clients of a server share. Everything here is for the one thread that the connections
// are handled on; `post` is how others reach it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "serve/board.h"
#include "serve/call_recorder.h"
#include "serve/dispatcher.h"
#include "serve/metrics.h"
#include "serve/options.h"
#include "serve/said_before.h"

namespace pi0 {

class Conversation;

class Hub {
 public:
  using Post = std::function<void(std::function<void()>)>;
  Hub(const ServerOptions& options, Dispatcher& dispatcher, Post post)
      : options(options), dispatcher(dispatcher), post(std::move(post)) {}

  const ServerOptions& options;
  Dispatcher& dispatcher;
  const Post post;
  Metrics metrics = {};
  CallRecorder* recorder = nullptr;  // none: calls are not recorded
  Board board = {};
  std::set<Conversation*> conversations = {};
  bool stopping = false;
  std::function<void()> idle = {};                    // called when the last client has left
  std::function<void(const std::string&)> said = {};  // worth a line of a log

  std::uint64_t next_id() { return ++last_id_; }
  Metrics::Now now() const;
  bool is_full() const {
    return conversations.size() >= static_cast<std::size_t>(options.limits.connections);
  }

  // A call that came to an end. What is worth saying of it is said, the same but once.
  void ended(const Call& call, const std::variant<CallResult, CallError>& outcome);

  // Clients are told as soon as none of their calls is computed; then `idle`.
  void stop();

 private:
  // `what`: the part of the sentence that is the same whoever brought it about.
  void say_once(const std::string& what, const std::string& sentence);

  std::uint64_t last_id_ = 0;
  SaidBefore say_now_;
};

}  // namespace pi0
