#include "policy/last_chunk.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "pi0/error.h"
#include "runtime/pack_input.h"

namespace pi0 {
namespace {

void require(bool holds, const std::string& sentence) {
  if (!holds) throw Error(ErrorCode::kInvalidInput, "rtc: " + sentence);
}

void require_limits(const char* name, std::span<const float> limits, int dims) {
  require(limits.size() <= 1 || limits.size() == static_cast<std::size_t>(dims),
          fmt::format("{} has {} values, expected one, or one for each of {} dimensions", name,
                      limits.size(), dims));
  for (const float limit : limits) {
    require(limit >= 0, fmt::format("{} is {}, expected a number from 0 on", name, limit));
  }
}

void require_within(const char* what, std::span<const float> found, const char* name,
                    std::span<const float> limits, const std::vector<std::string>& names) {
  for (std::size_t i = 0; !limits.empty() && i < found.size(); ++i) {
    const float limit = limits[limits.size() == 1 ? 0 : i];
    if (!(std::abs(found[i]) > limit)) continue;
    throw Error(ErrorCode::kLimit,
                fmt::format("rtc: {} of {} from the last chunk to this one is {}, expected at most "
                            "{} ({})",
                            what, names[i], found[i], limit, name));
  }
}

}  // namespace

int rows_of(const LastChunk& last, int dims) {
  return static_cast<int>(last.actions.size()) / dims;
}

std::span<const float> sent(const LastChunk& last, int dims, std::int64_t step) {
  if (step < last.begun && !last.preceding.empty()) return last.preceding;
  const std::int64_t row = std::clamp<std::int64_t>(step, 0, rows_of(last, dims) - 1);
  return std::span(last.actions).subspan(static_cast<std::size_t>(row * dims), dims);
}

LastChunk completed(LastChunk last, const Pipeline& pipeline) {
  const CheckpointData& checkpoint = pipeline.checkpoint();
  const auto dims = static_cast<std::size_t>(checkpoint.action_dims);
  const auto check = [](bool holds, const std::string& sentence) {
    if (!holds) throw Error(ErrorCode::kInvalidInput, "the last chunk " + sentence);
  };
  check(last.actions.size() % dims == 0,
        fmt::format("has {} values, expected rows of {}", last.actions.size(), dims));
  const std::size_t rows = last.actions.size() / dims;
  require_finite_values("the last chunk", last.actions);
  if (last.model_actions.empty()) {
    // From which state relative actions are counted does not matter: they are counted anew.
    last.state.assign(std::max(checkpoint.action_dims, checkpoint.state_dims), 0.0f);
    last.model_actions = pipeline.unfinished(last.actions, last.state);
    last.preceding.clear();
    last.begun = 0;
    return last;
  }
  const auto width = static_cast<std::size_t>(checkpoint.model.action_dim);
  check(last.model_actions.size() == rows * width,
        fmt::format("has {} values of the network, expected [{}, {}]", last.model_actions.size(),
                    rows, width));
  check(last.preceding.empty() || last.preceding.size() == dims,
        fmt::format("is preceded by {} values, expected {}", last.preceding.size(), dims));
  for (const auto* const values : {&last.model_actions, &last.state, &last.preceding}) {
    require_finite_values("the last chunk", *values);
  }
  return last;
}

void require_continuable(const RealTimeChunking& rtc, const Pipeline& pipeline, int rows,
                         std::size_t state_dims) {
  const CheckpointData& checkpoint = pipeline.checkpoint();
  const int horizon = checkpoint.model.action_horizon;
  require(rtc.prev_chunk_left_over.empty(),
          "executed and prev_chunk_left_over are given, expected one of them");
  require(
      *rtc.executed >= 0 && *rtc.executed <= rows,
      fmt::format("executed is {}, expected 0 to {}, the rows of a chunk", *rtc.executed, rows));
  require_limits("max_jump", rtc.max_jump, checkpoint.action_dims);
  require_limits("max_velocity_change", rtc.max_velocity_change, checkpoint.action_dims);
  require(rtc.inference_delay >= 0,
          fmt::format("inference_delay is {}, expected none or more rows", rtc.inference_delay));
  if (!rtc.roll_state_forward) {
    require(rtc.inference_delay < horizon,
            fmt::format("inference_delay is {}, expected 0 to {}: of the {} rows of a chunk none "
                        "would go out",
                        rtc.inference_delay, horizon - 1, horizon));
    return;
  }
  require(!pipeline.raw(),
          "the state cannot be rolled forward with raw values, of which actions and states have "
          "other scales");
  require(!checkpoint.adapt_to_pi,
          "the state cannot be rolled forward with adapt_to_pi, where a gripper is commanded in "
          "other units than its state has");
  require(state_dims == static_cast<std::size_t>(checkpoint.action_dims),
          fmt::format("the state cannot be rolled forward: it has {} values and an action {}, "
                      "expected the same ones",
                      state_dims, checkpoint.action_dims));
}

Takeover takeover_of(const RealTimeChunking& rtc) {
  const std::int64_t executed = *rtc.executed, next = executed + rtc.inference_delay;
  return {rtc.roll_state_forward ? next : executed, next};
}

int held_rows(const RealTimeChunking& rtc, int rows, int longest,
              std::vector<std::string>& warnings) {
  if (longest == 0) return rtc.inference_delay;  // which the network refuses
  const int left = rows - *rtc.executed;
  const int held = std::min({rtc.inference_delay, left, longest});
  if (held < rtc.inference_delay) {
    warnings.push_back(
        fmt::format("rtc: inference_delay is {}, taken as {}: {} rows of the last chunk were left, "
                    "and the checkpoint was trained for {} at most",
                    rtc.inference_delay, held, left, longest));
  }
  return held;
}

RealTimeChunking towards_left_over(const LastChunk& last, const RealTimeChunking& rtc,
                                   const Pipeline& pipeline, std::span<const float> state) {
  const auto [first, next] = takeover_of(rtc);
  const CheckpointData& checkpoint = pipeline.checkpoint();
  const auto width = static_cast<std::ptrdiff_t>(checkpoint.model.action_dim);
  const std::int64_t rows = rows_of(last, checkpoint.action_dims);
  // Until the new chunk is there a robot holds its last action where it has none left.
  const std::int64_t end = rows == 0
                               ? first
                               : std::min<std::int64_t>(std::max<std::int64_t>(rows, next),
                                                        first + checkpoint.model.action_horizon);
  std::vector<float> left_over;
  for (std::int64_t step = first; step < end; ++step) {
    const std::int64_t row = std::min<std::int64_t>(step, rows - 1);
    const auto begin = last.model_actions.begin() + row * width;
    left_over.insert(left_over.end(), begin, begin + width);
  }
  return {.mode = rtc.mode,
          .prev_chunk_left_over = pipeline.seen_from(left_over, last.state, state),
          .dims = checkpoint.action_dims,
          .inference_delay = static_cast<int>(next - first),
          .execution_horizon = rtc.execution_horizon,
          .max_guidance_weight = rtc.max_guidance_weight,
          .prefix_attention_schedule = rtc.prefix_attention_schedule};
}

Seam seam_between(const LastChunk& last, const RealTimeChunking& rtc, const ActionChunk& chunk) {
  const auto [first, next] = takeover_of(rtc);
  Seam seam{.delay = rtc.inference_delay, .row = static_cast<int>(next - first)};
  const std::span<const float> now = chunk.row(seam.row), planned = sent(last, chunk.dims, next),
                               out = sent(last, chunk.dims, next - 1),
                               before = sent(last, chunk.dims, next - 2);
  for (std::size_t i = 0; i < now.size(); ++i) {
    seam.jump.push_back(now[i] - planned[i]);
    seam.velocity_change.push_back((now[i] - out[i]) - (out[i] - before[i]));
  }
  return seam;
}

void require_within_limits(const Seam& seam, const RealTimeChunking& rtc,
                           const std::vector<std::string>& names) {
  require_within("the jump", seam.jump, "max_jump", rtc.max_jump, names);
  require_within("the change of velocity", seam.velocity_change, "max_velocity_change",
                 rtc.max_velocity_change, names);
}

}  // namespace pi0
