#include "replay/answer.h"

#include "client/messages.h"

namespace pi0 {
Answer read_answer(std::span<const std::byte> frame, bool binary) {
  Answer answer;
  Outcome& outcome = answer.outcome;
  if (!binary) {  // of what it cannot read: the others are sent so that it tells a code
    outcome.error_code = "invalid";
    outcome.error = read_text(frame);
    return answer;
  }
  try {
    for (const ServedChunk& chunk : read_chunks(frame, {})) {
      answer.dims = chunk.dims;
      answer.device = chunk.device;
      outcome.actions.insert(outcome.actions.end(), chunk.actions.begin(), chunk.actions.end());
    }
  } catch (const Refusal& refusal) {
    outcome.error_code = refusal.code;
    outcome.error = refusal.sentence;
  } catch (const Error& error) {
    outcome.error = error.what();
  }
  return answer;
}

RecordedCall with_dims(RecordedCall recorded, std::int64_t dims) {
  RecordedArray& actions = recorded.actions;
  if (actions.values.empty() || dims <= 0 || dims >= actions.shape[2]) return recorded;
  const auto width = static_cast<std::size_t>(actions.shape[2]);
  const auto kept = static_cast<std::size_t>(dims);
  std::vector<float> values;
  for (std::size_t row = 0; row < actions.values.size() / width; ++row) {
    const auto first = actions.values.begin() + static_cast<std::ptrdiff_t>(row * width);
    values.insert(values.end(), first, first + static_cast<std::ptrdiff_t>(kept));
  }
  actions.values = std::move(values);
  actions.shape[2] = dims;
  return recorded;
}

}  // namespace pi0
