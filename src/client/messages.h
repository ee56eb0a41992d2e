// What a client and a server tell one another: openpi's messages, and libpi0's "pi0" in them. The
// server's side of it is serve/protocol.h.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pi0/client.h"
#include "robots/robot.h"

namespace pi0 {

// What a server's metadata say.
struct Served {
  ServerInfo info = {};
  bool ours = false;  // it knows "pi0"
  Robot robot = {};
  std::vector<std::byte> keys = {};  // the robot's, to be compared
};

// Of openpi's own server, as ClientOptions::robot names it. Throws Error (kInvalidInput).
Robot openpi_robot(const std::string& name);

// `robot`: in place of the metadata's own. Throws Error (kInvalidInput).
Served read_metadata(std::span<const std::byte> message, const std::optional<Robot>& robot);

// A request without its last entry, encode_options(), which a server that is `ours` is sent too.
// Throws Error (kInvalidInput, kUnsupported) where the server has no such camera or option.
std::vector<std::byte> encode_request(const Served& served, const Observation& observation,
                                      const ClientCall& call);

// `call.deadline_ms`: what is left of it.
std::vector<std::byte> encode_options(const ClientCall& call, bool reset);

// Why a server gave no chunk.
struct Refusal {
  std::string code = {};
  std::string sentence = {};

  Error error() const;
};

// A text frame: the server's sentence, or the last line of a traceback, which tells the exception.
std::string read_text(std::span<const std::byte> message);

// The chunks of an answer: one, or as many as the request's batch has observations. Throws what it
// says if that is an error, as Refusal; Error (kInvalidInput) where it is no answer.
std::vector<ServedChunk> read_chunks(std::span<const std::byte> message, const ServerInfo& info);

}  // namespace pi0
