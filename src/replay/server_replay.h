// Plays recorded calls on a policy server: whether it gives what was recorded, and how it bears the
// load.
#pragma once

#include <functional>

#include "pi0/client.h"
#include "replay/played_call.h"
#include "replay/record.h"

namespace pi0 {

struct ServerReplayOptions {
  ClientOptions server = {};  // url, api_key, ca_file, call_timeout_s
  int clients = 0;            // at once; 0: as many as were recorded
  double rate = 0;  // calls a second of each, answered or not; 0: the next when one is answered
  int repeat = 1;   // times; each on connections of its own
};

// A client plays the calls of one that was recorded, in their order: the first, the second and so
// on, and again from the first where there are more of them. Sent are those that can be compared:
// as they came, with seed, steps and delay as they were settled. What continues a chunk that this
// server has not given is not compared. Latencies are from a request to its answer: then as the
// server saw it, now as the client does. Without the network's outputs, correlation is that of
// actions. Throws Error (kServer) where the server cannot be reached, or says nothing in time;
// Error (kInvalidInput) for an option.
void replay_on_server(const Record& record, const ServerReplayOptions& options,
                      const Tolerances& tolerances, const std::function<void(PlayedCall)>& played);

}  // namespace pi0
