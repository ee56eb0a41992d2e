#include "replay/replay.h"

#include <optional>
#include <string>

#include "replay/request.h"
#include "serve/compute.h"

namespace pi0 {
namespace {

PlayedCall play(const RecordedCall& recorded, const Robot& robot, const RecordHead& head,
                const Policy& policy, Session& session, const Tolerances& tolerances) {
  Outcome now;
  now.least_correlation = policy.network().info().least_correlation;
  std::optional<double> ms;
  try {
    const std::shared_ptr<const Call> call = [&] {
      try {
        return read_recorded(recorded, robot, head.prompt);
      } catch (const Error&) {
        now.error_code = "invalid";  // as the server has it, whatever the error's own code
        throw;
      }
    }();
    const Clock::time_point begin = Clock::now();
    const CallResult result = compute_call(session, call->observations, *call->basis, [] {});
    ms = ms_between(begin, Clock::now());
    for (std::size_t i = 0; i < result.chunks.size(); ++i) {
      const auto& [actions, outputs] = std::tie(result.chunks[i].actions, result.outputs[i]);
      now.actions.insert(now.actions.end(), actions.begin(), actions.end());
      now.outputs.insert(now.outputs.end(), outputs.begin(), outputs.end());
    }
  } catch (const Error& error) {
    if (now.error_code.empty()) now.error_code = code_of(error.code());
    now.error = error.what();
  }
  PlayedCall played = judge(recorded, now, tolerances);
  if (recorded.error_code.empty()) played.then_ms = recorded.infer_ms;
  played.now_ms = ms;
  played.device = policy.network().device();
  return played;
}

}  // namespace

void replay(const Record& record, const Checkpoint& checkpoint, const Policy& policy,
            const Tolerances& tolerances, const std::function<void(PlayedCall)>& played) {
  Session session = policy.session();
  std::optional<std::size_t> file;  // whose the robot is
  std::optional<Robot> robot;
  std::string unfit;
  for (const Record::Entry& entry : record.calls) {
    const RecordHead& head = record.files[entry.file].head;
    if (file != entry.file) {
      file = entry.file;
      robot.reset();
      try {
        require_fitting(head, checkpoint);
        robot = recorded_robot(head);
      } catch (const Error& error) {
        unfit = error.what();
      }
    }
    const RecordedCall recorded = entry.call();
    if (!robot) {
      played(not_compared(recorded, unfit));
    } else if (is_circumstance(recorded.error_code)) {
      played(not_compared(recorded, recorded.error_code));
    } else {
      played(play(recorded, *robot, head, policy, session, tolerances));
    }
  }
}

}  // namespace pi0
