#include "cli/rtc_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "cli/policy_arguments.h"
#include "runtime/guidance.h"

namespace pi0 {

void add_rtc_options(CLI::App& verb, RtcArguments& arguments) {
  RealTimeChunking& rtc = arguments.rtc;
  CLI::Option* last_chunk =
      verb.add_option("--rtc-last-chunk", arguments.last_chunk,
                      "Real-time chunking: continue the chunk that --out wrote there")
          ->type_name("FILE");
  CLI::Option* executed =
      verb.add_option_function<int>(
              "--rtc-executed", [&rtc](const int& rows) { rtc.executed = rows; },
              "Steps of it that had gone by at this observation")
          ->type_name("N")
          ->check(whole_number(0));
  last_chunk->needs(executed);
  const auto add = [&](const std::string& name, auto& value, const std::string& text,
                       const std::string& type) {
    return verb.add_option(name, value, text)->type_name(type)->needs(last_chunk);
  };
  executed->needs(last_chunk);
  add("--rtc-delay", rtc.inference_delay,
      "Steps of it that go out before the new chunk is there; default: 0", "N")
      ->check(whole_number(0));
  add("--rtc-mode", arguments.mode,
      "How they are held to: guided, or, where the checkpoint was trained for it, trained",
      "guided|trained");
  add("--rtc-horizon", rtc.execution_horizon,
      "Steps that are held to what is left of it; default: 10", "N")
      ->check(whole_number(1));
  add("--rtc-max-guidance-weight", rtc.max_guidance_weight,
      "How strongly; 0: not at all, to see the seam without; default: 10", "W");
  add("--rtc-schedule", arguments.schedule,
      "How that falls from the delay to the horizon; default: linear", "linear|exp|ones|zeros");
  verb.add_flag("--rtc-roll-state-forward", rtc.roll_state_forward,
                "Give the network the state that the robot will have after the delay, the chunk's "
                "action there: for actions that are positions of just what the state tells")
      ->needs(last_chunk);
}

std::optional<RecordedActions> read_last_chunk(RtcArguments& arguments, int dims) {
  if (arguments.last_chunk.empty()) return std::nullopt;
  RealTimeChunking& rtc = arguments.rtc;
  if (!arguments.schedule.empty()) {
    rtc.prefix_attention_schedule = parse_rtc_schedule(arguments.schedule, "--rtc-schedule");
  }
  if (!arguments.mode.empty()) rtc.mode = parse_rtc_mode(arguments.mode, "--rtc-mode");
  RecordedActions last_chunk = read_actions(arguments.last_chunk);
  const std::string where = arguments.last_chunk.string();
  if (last_chunk.dims != dims) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: {} dimensions, the policy's actions have {}", where,
                            last_chunk.dims, dims));
  }
  if (*rtc.executed > last_chunk.rows) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("--rtc-executed is {}, expected at most the {} steps of {}",
                            *rtc.executed, last_chunk.rows, where));
  }
  return last_chunk;
}

RecordedActions left_over_of(const RecordedActions& last_chunk, const RealTimeChunking& rtc) {
  const std::int64_t begin =
      std::int64_t{*rtc.executed} + (rtc.roll_state_forward ? rtc.inference_delay : 0);
  const auto first = static_cast<int>(std::min<std::int64_t>(begin, last_chunk.rows));
  return {last_chunk.rows - first,
          last_chunk.dims,
          {last_chunk.values.begin() + std::ptrdiff_t{first} * last_chunk.dims,
           last_chunk.values.end()},
          last_chunk.names};
}

}  // namespace pi0
