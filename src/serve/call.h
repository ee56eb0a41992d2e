// One call of a policy that a client asked for, from its message to its answer.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "pi0/policy.h"
#include "robots/robot.h"
#include "serve/dialect.h"
#include "serve/model.h"

namespace pi0 {

using Clock = std::chrono::steady_clock;

inline double ms_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

// Real-time chunking as a request asks for it.
struct RtcRequest {
  RealTimeChunking rtc = {};  // with `executed`
  bool delay_given = false;   // else it is the server's, measured
  double hz = 0;              // control steps a second, to make rows of milliseconds
};

// What a request says beside the observation, under its key "pi0".
struct CallOptions {
  bool given = false;  // the client knows this server: an error leaves its connection open
  SampleOptions sample = {};
  std::optional<RtcRequest> rtc = {};
  std::optional<double> deadline_ms = {};   // from its arrival
  bool latest = false;                      // what the client asked before is no longer wanted
  bool reset = false;                       // its last chunk is forgotten: an episode begins
  std::optional<std::string> session = {};  // vllm-omni's: another one resets
};

// What outlives the calls of one client: its last chunk.
struct Caller {
  std::uint64_t id = 0;
  std::string peer = {};         // its address
  LastChunk last = {};           // of the worker that computes its call
  std::uint64_t generation = 0;  // of the policy whose it is, and its actions' dimensions
  int action_dims = 0;
  std::uint64_t first_recorded = 0;  // the number of its first call that was; 0: none yet
};

// Why there is no answer.
struct CallError {
  std::string code =
      {};  // "invalid", "busy", "stale", "superseded", "stopping", "limit", "internal"
  std::string sentence = {};
};

struct CallResult {
  std::vector<ActionChunk> chunks = {};  // one an observation
  std::vector<std::vector<float>> outputs =
      {};               // the network's own: LastChunk::model_actions after each
  double queue_ms = 0;  // from its arrival until it was begun
  double infer_ms = 0;
  std::string device = {};
  double least_correlation = 0;  // NetworkInfo's
  int assumed_delay = 0;         // rows; of a call that continues another
};

// What a call was computed with, where its request left it open: whoever has it and the request
// can compute it again.
struct CallBasis {
  SampleOptions sample = {};  // with a seed or noise, and its steps
  LastChunk last = {};        // which it may go on from
};

// What it is computed with is there once it was begun.
struct Call : std::enable_shared_from_this<Call> {
  std::shared_ptr<Caller> caller;
  std::vector<std::byte> message;  // which the observations' views are of
  Dialect dialect = Dialect::kOpenpi;
  bool batch = false;
  CallOptions options;
  Clock::time_point arrived = Clock::now();
  std::atomic<const char*> cancelled = nullptr;  // a CallError's code
  // Of the worker, which may compute it with another than is served when it is answered; until
  // then.
  std::shared_ptr<const ServedModel> model = {};
  std::vector<RobotObservation> observations = {};
  std::optional<CallBasis> basis = {};
  // On the worker's thread.
  std::function<void(std::variant<CallResult, CallError>)> done;
};

// What it holds on to: its message, and what was made of its images.
inline std::size_t bytes_of(const Call& call) {
  std::size_t bytes = call.message.size();
  for (const RobotObservation& one : call.observations) {
    for (const std::vector<float>& pixels : one.pixels) bytes += pixels.size() * sizeof(float);
    for (const auto& [name, image] : one.observation.images) bytes += image.rgb.size();
  }
  return bytes;
}

}  // namespace pi0
