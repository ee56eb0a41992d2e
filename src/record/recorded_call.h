// A call of a policy server as it is kept: what came in, what was settled for it, what went out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "pi0/policy.h"

namespace pi0 {

// What all calls of a file have in common.
struct RecordHead {
  std::string checkpoint = {};             // its directory, as the server was told
  std::vector<std::byte> metadata = {};    // what clients were told first: robot, kind, sizes
  std::optional<std::string> prompt = {};  // of requests without one
};

struct RecordedArray {
  std::vector<std::int64_t> shape = {};
  std::vector<float> values = {};
};

// Numbers count the calls of a directory, from 1 on, whichever server made them. A client is called
// by the number of its first call.
struct RecordedCall {
  std::uint64_t number = 0;
  std::uint64_t client = 0;
  std::string peer = {};                    // the client's address
  double arrived = 0;                       // seconds since 1970
  std::span<const std::byte> message = {};  // the request as it came
  std::shared_ptr<const void> keeps = {};   // that; may be empty

  // What the request left open; without steps it was never begun.
  int steps = 0;
  std::optional<std::uint64_t> seed = {};
  RecordedArray noise = {};  // [observations, horizon, network's dims]: the seed's, or as requested
  std::optional<int> inference_delay = {};  // rows; with rtc
  LastChunk last = {};

  std::string device = {};
  double least_correlation = 0;  // NetworkInfo's
  double queue_ms = 0, infer_ms = 0;
  double total_ms = 0;  // from the request's last byte until its answer was made

  // Either an error, or these.
  std::string error_code = {}, error = {};
  RecordedArray outputs = {};  // [observations, horizon, network's dims], as the network gave them
  RecordedArray actions = {};  // [observations, horizon, policy's dims]
};

std::vector<std::byte> encode_head(const RecordHead& head);
std::vector<std::byte> encode_call(const RecordedCall& call);

// `message` of a call is of `bytes`. Throw Error (kInvalidInput) where it is none.
RecordHead decode_head(std::span<const std::byte> bytes);
RecordedCall decode_call(std::span<const std::byte> bytes);

}  // namespace pi0
