// openpi's messages (websocket_policy_server.py), and what this server's own clients may add to
// them under the key "pi0". docs/serving.md has it in words.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "serve/call.h"
#include "serve/model.h"

namespace pi0 {

// What a client is told first.
std::vector<std::byte> encode_metadata(const ServedModel& model, const ServerOptions& options,
                                       const std::vector<std::string>& devices, Dialect dialect);

// `call` has its message and dialect, of which its options become what that says: all of it that
// takes no time. False where it is a reset alone, which has no observations. Throws Error
// (kInvalidInput) naming what does not fit; `call.options.given` is right even then, if the message
// could be read so far.
bool read_request(Call& call);

// The observations of a call that read_request has read, their images decoded; `prompt` is of
// messages without one. `ask` is called before each, and may throw to stop it. Throws Error naming
// what does not fit.
std::vector<RobotObservation> read_observations(const Robot& robot,
                                                const std::optional<std::string>& prompt,
                                                FilePixels files, const Call& call,
                                                const std::function<void()>& ask);

// Of a call that was computed. `prev_total_ms`: what the client's last answer took from its request
// to its last byte.
std::vector<std::byte> encode_answer(const Call& call, const CallResult& result,
                                     std::optional<double> prev_total_ms);

// For a client that knows this server, or of a dialect whose errors are messages.
std::vector<std::byte> encode_error(const CallError& error, Dialect dialect);

// What a reset alone is answered with.
std::vector<std::byte> encode_reset_done();

}  // namespace pi0
