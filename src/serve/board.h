// What the page shows: the last calls, and of each client its last two chunks and what it saw.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "files/json.h"
#include "serve/call.h"

namespace pi0 {

// Bounded whatever clients do: 256 calls; all who are connected and, for a minute, 64 who have
// left; 128 MiB of what was seen, that of those who called last. A call is kept, not copied, and
// nothing is made of it until somebody looks. For one thread.
class Board {
 public:
  void joined(const Caller& caller, Clock::time_point now = Clock::now());
  void left(const Caller& caller, Clock::time_point now = Clock::now());
  // `dims`: how many of a chunk's are the robot's.
  void ended(std::shared_ptr<const Call> call, const std::variant<CallResult, CallError>& outcome,
             int dims, Clock::time_point now = Clock::now());

  // Calls with numbers after `since`; the 64 clients who were heard of last; the chunks of one of
  // them, if the last is of a call after `since`: of `client`, or where that is none of them, of
  // the one who called last. Times are milliseconds since the board was made. Texts are printable.
  Json state(std::uint64_t since, std::uint64_t client, Clock::time_point now = Clock::now()) const;

  // A picture (image/bmp) of what a client last saw, by one of the cameras that `state` names; none
  // where there is no such client or camera.
  std::optional<std::string> picture(std::uint64_t client, std::size_t camera) const;

 private:
  struct Chunk {
    std::uint64_t call = 0;
    int dims = 0;
    int executed = 0;  // rows of the one before, where there is a seam
    ActionChunk chunk = {};
  };
  struct Client {
    std::string peer = {};
    Clock::time_point heard = {};  // when it called last, or came
    std::optional<Clock::time_point> left = {};
    std::uint64_t calls = 0;
    std::uint64_t last_call = 0;
    std::shared_ptr<const Call> seen = {};  // the last with an observation
    std::size_t seen_bytes = 0;
    std::deque<Chunk> chunks = {};
  };
  using Clients = std::map<std::uint64_t, Client>;

  double ms_at(Clock::time_point time) const { return ms_between(begin_, time); }
  void keep(Client& client, std::shared_ptr<const Call> call);
  void forget(Clients::iterator client);
  std::vector<Clients::const_iterator> by_last_heard() const;
  Json describe_client(std::uint64_t id, const Client& client) const;

  const Clock::time_point begin_ = Clock::now();
  // Another server's numbers begin anew.
  const std::int64_t instance_ = std::chrono::system_clock::now().time_since_epoch().count();
  std::uint64_t count_ = 0;
  std::deque<Json> calls_ = {};  // the last is number count_
  Clients clients_ = {};
  std::size_t seen_bytes_ = 0;
};

}  // namespace pi0
