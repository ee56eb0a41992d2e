#include "serve/compute.h"

#include "policy/batch_options.h"

namespace pi0 {

CallResult compute_call(Session& session, std::span<const RobotObservation> observations,
                        const CallBasis& basis, const std::function<void()>& ask) {
  CallResult result;
  session.set_last_chunk(basis.last);
  for (std::size_t i = 0; i < observations.size(); ++i) {
    if (i + 1 < observations.size()) session.prefetch(observations[i + 1].observation);
    SampleOptions sample = options_of_one(basis.sample, i, observations.size());
    sample.progress = [&ask](const Progress&) { ask(); };
    result.chunks.push_back(session.infer(observations[i].observation, sample));
    result.outputs.push_back(session.last_chunk().model_actions);
  }
  return result;
}

const char* code_of(ErrorCode code) {
  if (code == ErrorCode::kLimit) return "limit";
  return code == ErrorCode::kInvalidInput ? "invalid" : "internal";
}

}  // namespace pi0
