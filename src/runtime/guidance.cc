#include "runtime/guidance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "pi0/error.h"
#include "runtime/pack_input.h"

namespace pi0 {
namespace {

void require_rtc(bool holds, const std::string& sentence) {
  if (!holds) throw Error(ErrorCode::kInvalidInput, "rtc: " + sentence);
}

// What is left of the chunk before, checked.
struct LeftOver {
  const std::vector<float>& values;
  int rows = 0, width = 0;

  // Its first rows in a chunk, which has zeros elsewhere.
  std::vector<float> in_chunk(int first, const NetworkInfo& info) const {
    std::vector<float> chunk(static_cast<std::size_t>(info.action_horizon) * info.action_dim, 0.0f);
    for (std::int64_t row = 0; row < first; ++row) {
      std::copy_n(values.begin() + row * width, width, chunk.begin() + row * info.action_dim);
    }
    return chunk;
  }
};

// Nothing where there was none.
std::optional<LeftOver> left_over(const RealTimeChunking& rtc, const NetworkInfo& info) {
  require_rtc(!rtc.executed,
              "executed is for a policy's session; a network is given prev_chunk_left_over");
  require_rtc(
      rtc.max_jump.empty() && rtc.max_velocity_change.empty() && !rtc.roll_state_forward,
      "max_jump, max_velocity_change and roll_state_forward are for a policy's session that "
      "is given executed");
  require_rtc(
      rtc.inference_delay >= 0,
      fmt::format("inference_delay is {}, expected none or more rows", rtc.inference_delay));
  if (rtc.prev_chunk_left_over.empty()) return std::nullopt;
  const int width = rtc.dims != 0 ? rtc.dims : info.action_dim;
  require_rtc(width > 0 && width <= info.action_dim,
              fmt::format("dims is {}, expected 1 to {}", rtc.dims, info.action_dim));
  const auto values = static_cast<std::int64_t>(rtc.prev_chunk_left_over.size());
  require_rtc(
      values % width == 0 && values / width <= info.action_horizon,
      fmt::format("prev_chunk_left_over has {} values, expected rows of {}, at most {} of them",
                  values, width, info.action_horizon));
  require_finite_values("rtc: prev_chunk_left_over", rtc.prev_chunk_left_over);
  return LeftOver{rtc.prev_chunk_left_over, static_cast<int>(values / width), width};
}

}  // namespace

RtcMode parse_rtc_mode(const std::string& text, const std::string& where) {
  if (text == "guided") return RtcMode::kGuided;
  if (text == "trained") return RtcMode::kTrained;
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("{}: the mode is {}, expected guided or trained", where, text));
}

RtcSchedule parse_rtc_schedule(const std::string& text, const std::string& where) {
  std::string upper = text;
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c += 'A' - 'a';
  }
  if (upper == "LINEAR") return RtcSchedule::kLinear;
  if (upper == "EXP") return RtcSchedule::kExp;
  if (upper == "ONES") return RtcSchedule::kOnes;
  if (upper == "ZEROS") return RtcSchedule::kZeros;
  throw Error(
      ErrorCode::kInvalidInput,
      fmt::format("{}: the schedule is {}, expected LINEAR, EXP, ONES or ZEROS", where, text));
}

std::vector<float> prefix_weights(RtcSchedule schedule, int inference_delay, int execution_horizon,
                                  int rows) {
  std::vector<float> weights(static_cast<std::size_t>(rows), 0.0f);
  const int end = execution_horizon, start = std::min(inference_delay, end);
  const int between = std::min(end, rows) - start;
  for (int row = 0; row < std::min(end, rows); ++row) {
    double weight = 1;
    if (row >= start && schedule != RtcSchedule::kOnes) {
      weight = 1 - double{1} * (row - start + 1) / (between + 1);
      if (schedule == RtcSchedule::kExp) weight *= std::expm1(weight) / (std::numbers::e - 1);
      if (schedule == RtcSchedule::kZeros) weight = 0;
    }
    weights[static_cast<std::size_t>(row)] = static_cast<float>(weight);
  }
  return weights;
}

std::optional<Pi0Guidance> pack_guidance(const RealTimeChunking& rtc, const NetworkInfo& info) {
  require_rtc(
      rtc.execution_horizon > 0,
      fmt::format("execution_horizon is {}, expected a row or more", rtc.execution_horizon));
  require_rtc(std::isfinite(rtc.max_guidance_weight) && rtc.max_guidance_weight >= 0,
              fmt::format("max_guidance_weight is {}, expected a finite number from 0 on",
                          rtc.max_guidance_weight));
  const std::optional<LeftOver> before = left_over(rtc, info);
  if (!before || rtc.max_guidance_weight == 0) return std::nullopt;
  const std::vector<float> weights =
      prefix_weights(rtc.prefix_attention_schedule, rtc.inference_delay,
                     std::min(rtc.execution_horizon, before->rows), info.action_horizon);
  Pi0Guidance guidance{before->in_chunk(before->rows, info), {}, rtc.max_guidance_weight};
  guidance.weights.resize(guidance.target.size());
  for (std::size_t i = 0; i < guidance.weights.size(); ++i) {
    guidance.weights[i] = weights[i / info.action_dim];
  }
  return guidance;
}

std::optional<Pi0HeldRows> pack_held_rows(const RealTimeChunking& rtc, const NetworkInfo& info) {
  const int longest = info.rtc_training_max_delay, delay = rtc.inference_delay;
  require_rtc(longest > 0,
              "the mode is trained, expected guided: the checkpoint was not trained for it "
              "(rtc_training_max_delay above 0, of a pi05)");
  const std::optional<LeftOver> before = left_over(rtc, info);
  if (!before || delay == 0) return std::nullopt;
  require_rtc(delay <= longest,
              fmt::format("inference_delay is {}, expected at most {}, the checkpoint's "
                          "rtc_training_max_delay",
                          delay, longest));
  require_rtc(
      delay <= before->rows,
      fmt::format("inference_delay is {}, but prev_chunk_left_over has {} rows, expected as "
                  "many or more",
                  delay, before->rows));
  return Pi0HeldRows{before->in_chunk(delay, info), delay};
}

void require_rtc_fits(const RealTimeChunking& rtc, const NetworkInfo& info) {
  if (rtc.mode == RtcMode::kTrained) {
    pack_held_rows(rtc, info);
  } else {
    pack_guidance(rtc, info);
  }
}

}  // namespace pi0
