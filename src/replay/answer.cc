#include "replay/answer.h"

#include <algorithm>

#include "pi0/error.h"
#include "wire/decode.h"

namespace pi0 {
namespace {

void append_actions(const Value& value, Answer& answer) {
  const Value* const actions = find_value(to_map(value, "answer"), "actions");
  const auto* const array = actions ? actions->as<NumpyArray>() : nullptr;
  if (!array || array->shape.size() != 2) {
    throw Error(ErrorCode::kInvalidInput, "an answer without actions [rows, dims]");
  }
  answer.dims = array->shape[1];
  const std::vector<float> values = to_floats(*actions, "actions");
  answer.outcome.actions.insert(answer.outcome.actions.end(), values.begin(), values.end());
}

void read(const Value& root, Answer& answer) {
  const ValueMap& map = to_map(root, "answer");
  const auto text_of = [](const Value& of, const char* key) {
    const Value* const value = find_value(to_map(of, "answer"), key);
    return value ? to_text(*value, key) : std::string();
  };
  if (const Value* const error = find_value(map, "error")) {
    answer.outcome.error = text_of(*error, "message");
    answer.outcome.error_code = text_of(*error, "code");
    return;
  }
  if (const Value* const own = find_value(map, "pi0")) answer.device = text_of(*own, "device");
  const Value* const batch = find_value(map, "batch");
  const auto* const chunks = batch ? batch->as<ValueList>() : nullptr;
  if (!chunks) return append_actions(root, answer);
  for (const Value& chunk : *chunks) append_actions(chunk, answer);
}

}  // namespace

Answer read_answer(std::span<const std::byte> frame, bool binary) {
  Answer answer;
  if (!binary) {  // of what it cannot read: the others are sent so that it tells a code
    answer.outcome.error_code = "invalid";
    answer.outcome.error.assign(reinterpret_cast<const char*>(frame.data()), frame.size());
    return answer;
  }
  try {
    read(decode(frame), answer);
  } catch (const Error& error) {
    answer.outcome = {};
    answer.outcome.error = error.what();
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
