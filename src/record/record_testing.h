// Calls to record, for tests only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "record/recorded_call.h"

namespace pi0 {

inline RecordedCall call_of(std::uint64_t number, std::size_t message_bytes = 1000) {
  auto message = std::make_shared<std::vector<std::byte>>(message_bytes,
                                                          static_cast<std::byte>(number & 0xff));
  RecordedCall call;
  call.number = number;
  call.client = 1;
  call.peer = "127.0.0.1:4242";
  call.message = *message;
  call.keeps = message;
  call.steps = 10;
  call.seed = ~std::uint64_t{0} - number;
  call.noise = {{1, 2, 3}, {1, 2, 3, 4, 5, 6}};
  call.inference_delay = 3;
  call.last = {{6, 5, 4, 3}, {6, 5, 4, 3, 2, 1}, {0.5f}, {7, 8}, 1};
  call.device = "cpu (fp32)";
  call.least_correlation = 0.995;
  call.arrived = 1.75e9 + 0.125;
  call.queue_ms = 1.5;
  call.infer_ms = 2.5;
  call.total_ms = 5;
  call.outputs = {{1, 2, 3}, {-1, -2, -3, -4, -5, -6}};
  call.actions = {{1, 2, 2}, {1e-30f, 2, 3, 4}};
  return call;
}

inline std::shared_ptr<const RecordHead> head_of(const std::string& checkpoint) {
  return std::make_shared<const RecordHead>(
      RecordHead{checkpoint, {std::byte{0x80}}, std::string("open the drawer")});
}

}  // namespace pi0
