#include "serve/hub.h"

#include <fmt/format.h>

#include "serve/conversation.h"
#include "serve/protocol.h"

namespace pi0 {

Metrics::Now Hub::now() const {
  return {static_cast<int>(conversations.size()),
          dispatcher.waiting(),
          dispatcher.computing(),
          dispatcher.ready(),
          recorder ? recorder->written() : 0,
          recorder ? recorder->dropped() : 0};
}

void Hub::ended(const Call& call, const std::variant<CallResult, CallError>& outcome) {
  if (recorder) {
    recorder->add(call, outcome, call.model ? call.model : dispatcher.model(),
                  dispatcher.devices());
  }
  const auto* const result = std::get_if<CallResult>(&outcome);
  const int dims = result ? action_dims(call.model->robot, result->chunks.front().dims) : 0;
  board.ended(call.shared_from_this(), outcome, dims);
  if (!result) {
    const CallError& error = std::get<CallError>(outcome);
    ++metrics.calls[error.code];
    if (error.code == "invalid" || error.code == "internal") {
      say_once(error.code + ": " + error.sentence,
               fmt::format("{}: {}", call.caller->peer, error.sentence));
    }
    return;
  }
  ++metrics.calls["ok"];
  metrics.total.add(ms_between(call.arrived, Clock::now()));
  metrics.queue.add(result->queue_ms);
  for (const ActionChunk& chunk : result->chunks) {
    metrics.stages["preprocess"].add(chunk.timing.preprocess_ms);
    metrics.stages["vision"].add(chunk.timing.vision_ms);
    metrics.stages["prefix"].add(chunk.timing.prefix_ms);
    metrics.stages["denoise"].add(chunk.timing.denoise_ms);
    for (const std::string& warning : chunk.warnings) {
      say_once("warning: " + warning, "warning: " + warning);
    }
  }
}

void Hub::say_once(const std::string& what, const std::string& sentence) {
  if (said && say_now_(what)) said(sentence);
}

void Hub::stop() {
  stopping = true;
  dispatcher.drain();
  const std::set<Conversation*> all = conversations;
  for (Conversation* conversation : all) conversation->stop();
  if (conversations.empty() && idle) idle();
}

}  // namespace pi0
