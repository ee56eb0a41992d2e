#include "serve/compute.h"

namespace pi0 {

CallResult compute_call(Session& session, const std::vector<RobotObservation>& observations,
                        const CallBasis& basis, const std::function<void()>& ask) {
  SampleOptions sample = basis.sample;
  sample.progress = [&ask](const Progress&) { ask(); };
  const std::vector<float> noise = std::move(sample.noise);
  const std::size_t each = noise.size() / observations.size();
  CallResult result;
  session.set_last_chunk(basis.last);
  for (std::size_t i = 0; i < observations.size(); ++i) {
    if (i + 1 < observations.size()) session.prefetch(observations[i + 1].observation);
    const auto first = noise.begin() + static_cast<std::ptrdiff_t>(i * each);
    sample.noise.assign(first, first + static_cast<std::ptrdiff_t>(each));
    result.chunks.push_back(session.infer(observations[i].observation, sample));
    result.outputs.push_back(session.last_chunk().model_actions);
    if (sample.seed) ++*sample.seed;
  }
  return result;
}

}  // namespace pi0
