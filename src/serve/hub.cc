#include "serve/hub.h"

#include "serve/conversation.h"

namespace pi0 {

Metrics::Now Hub::now() const {
  return {static_cast<int>(conversations.size()), dispatcher.waiting(), dispatcher.computing(),
          dispatcher.ready()};
}

void Hub::ended(const Call& call, const std::variant<CallResult, CallError>& outcome) {
  const auto* const result = std::get_if<CallResult>(&outcome);
  ++metrics.calls[result ? "ok" : std::get<CallError>(outcome).code];
  if (!result) return;
  metrics.total.add(ms_between(call.arrived, Clock::now()));
  metrics.queue.add(result->queue_ms);
  for (const ActionChunk& chunk : result->chunks) {
    metrics.stages["preprocess"].add(chunk.timing.preprocess_ms);
    metrics.stages["vision"].add(chunk.timing.vision_ms);
    metrics.stages["prefix"].add(chunk.timing.prefix_ms);
    metrics.stages["denoise"].add(chunk.timing.denoise_ms);
  }
}

void Hub::stop() {
  stopping = true;
  dispatcher.drain();
  const std::set<Conversation*> all = conversations;
  for (Conversation* conversation : all) conversation->stop();
  if (conversations.empty() && idle) idle();
}

}  // namespace pi0
