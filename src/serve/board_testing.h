// Calls as the board is told of them.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "serve/call.h"

namespace pi0 {

inline std::shared_ptr<Caller> make_caller(std::uint64_t id) {
  auto caller = std::make_shared<Caller>();
  caller->id = id;
  caller->peer = "127.0.0.1:" + std::to_string(1000 + id);
  return caller;
}

// With one camera, "top": 2 x 1 pixels, red and blue.
inline std::shared_ptr<Call> make_call(std::shared_ptr<Caller> caller, std::string prompt = "go") {
  auto call = std::make_shared<Call>();
  call->caller = std::move(caller);
  RobotObservation& one = call->observations.emplace_back();
  one.observation.images["top"] = {1, 2, {255, 0, 0, 0, 0, 255}};
  one.observation.state = {0.5f, 2};
  one.observation.prompt = std::move(prompt);
  return call;
}

// [2, 2] actions, whose values count from `first`.
inline CallResult make_result(float first = 0) {
  CallResult result;
  result.device = "a card";
  result.queue_ms = 3;
  ActionChunk& chunk = result.chunks.emplace_back();
  chunk.horizon = chunk.dims = 2;
  chunk.n_action_steps = 1;
  chunk.actions = {first, first + 1, first + 2, first + 3};
  chunk.names = {"x", "y"};
  chunk.ranges = {{-1, 1}, {0, 0}};
  chunk.timing = {.preprocess_ms = 1, .vision_ms = 2, .prefix_ms = 4, .denoise_ms = 8};
  return result;
}

}  // namespace pi0
