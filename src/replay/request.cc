#include "replay/request.h"

#include <fmt/format.h>

#include "robots/robot_keys.h"
#include "serve/protocol.h"
#include "wire/decode.h"

namespace pi0 {

Robot recorded_robot(const RecordHead& head) {
  const Value metadata = decode(head.metadata);
  return robot_from_metadata(to_map(metadata, "metadata"));
}

void require_fitting(const RecordHead& head, const Checkpoint& checkpoint) {
  const Value metadata = decode(head.metadata);
  const Value* const own = find_value(to_map(metadata, "metadata"), "pi0");
  const auto number = [own](const char* key) {
    const Value* const value = own ? find_value(to_map(*own, "pi0"), key) : nullptr;
    return value ? to_integer(*value, key, 0, 1 << 30) : 0;
  };
  const PolicyInfo& policy = checkpoint.info();
  const auto horizon = number("action_horizon"), state = number("state_dims");
  if (horizon != policy.action_horizon || state != policy.state_dims) {
    throw Error(
        ErrorCode::kInvalidInput,
        fmt::format("recorded of {}, whose chunks have {} rows and whose state has {} "
                    "dimensions; this checkpoint's have {} and {}",
                    head.checkpoint, horizon, state, policy.action_horizon, policy.state_dims));
  }
}

std::shared_ptr<const Call> read_recorded(const RecordedCall& recorded, const Robot& robot,
                                          const std::optional<std::string>& prompt) {
  auto call = std::make_shared<Call>();
  call->message.assign(recorded.message.begin(), recorded.message.end());
  read_request(*call);
  call->observations = read_observations(robot, prompt, {}, *call, [] {});
  SampleOptions sample = call->options.sample;
  sample.seed.reset();
  sample.noise = recorded.noise.values;
  sample.steps = recorded.steps;
  if (call->options.rtc) {
    sample.rtc = call->options.rtc->rtc;
    sample.rtc->inference_delay = recorded.inference_delay.value_or(0);
  }
  call->basis = {std::move(sample), recorded.last};
  return call;
}

}  // namespace pi0
