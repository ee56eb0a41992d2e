#include "calls.h"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "pi0/client.h"

namespace pi0 {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kBetween{100};  // two looks for a signal

std::vector<float> limits_of(nb::handle rtc, const char* name) {
  const nb::object value = rtc.attr(name);
  if (nb::isinstance<nb::float_>(value) || nb::isinstance<nb::int_>(value)) {
    return {nb::cast<float>(value)};
  }
  return to_floats(value, name);
}

RealTimeChunking to_rtc(nb::handle from) {
  RealTimeChunking rtc;
  rtc.mode = parse_rtc_mode(nb::cast<std::string>(from.attr("mode")), "mode");
  rtc.prefix_attention_schedule = parse_rtc_schedule(
      nb::cast<std::string>(from.attr("prefix_attention_schedule")), "prefix_attention_schedule");
  int rows = 0;
  rtc.prev_chunk_left_over =
      to_matrix(from.attr("prev_chunk_left_over"), "prev_chunk_left_over", &rows, &rtc.dims);
  if (const nb::object executed = from.attr("executed"); !executed.is_none()) {
    rtc.executed = nb::cast<int>(executed);
  }
  rtc.inference_delay = nb::cast<int>(from.attr("inference_delay"));
  rtc.execution_horizon = nb::cast<int>(from.attr("execution_horizon"));
  rtc.max_guidance_weight = nb::cast<float>(from.attr("max_guidance_weight"));
  rtc.max_jump = limits_of(from, "max_jump");
  rtc.max_velocity_change = limits_of(from, "max_velocity_change");
  rtc.roll_state_forward = nb::cast<bool>(from.attr("roll_state_forward"));
  return rtc;
}

nb::dict to_dict(const Timing& timing) {
  nb::dict result;
  result["infer_ms"] = timing.total_ms - timing.preprocess_ms;  // openpi's: the network
  result["preprocess_ms"] = timing.preprocess_ms;
  result["vision_ms"] = timing.vision_ms;
  result["prefix_ms"] = timing.prefix_ms;
  result["denoise_ms"] = timing.denoise_ms;
  return result;
}

}  // namespace

void require_own_process(int owner, const char* what) {
  if (owner == getpid()) return;
  throw Error(ErrorCode::kUnsupported,
              std::string("this ") + what + " is of process " + std::to_string(owner) +
                  ", and this one, " + std::to_string(getpid()) +
                  ", was forked from it and has none of its threads: make one here, or start "
                  "processes by \"spawn\"");
}

template <typename T>
OfThisProcess<T>::OfThisProcess(const char* what, std::unique_ptr<T> value)
    : what_(what), owner_(getpid()), value_(std::move(value)) {}

template <typename T>
OfThisProcess<T>::~OfThisProcess() {
  if (owner_ != getpid()) static_cast<void>(value_.release());
  if (!value_) return;
  // Its end waits for threads, and a call that keeps it waiting asks for the GIL: to_progress().
  const nb::gil_scoped_release released;
  value_.reset();
}

template class OfThisProcess<Policy>;
template class OfThisProcess<Session>;
template class OfThisProcess<Client>;

SampleOptions to_sample_options(int steps, std::optional<std::uint64_t> seed, nb::handle noise,
                                nb::handle rtc, bool time_stages) {
  SampleOptions options;
  options.steps = steps;
  options.seed = seed;
  options.noise = to_floats(noise, "noise");
  if (!rtc.is_none()) options.rtc = to_rtc(rtc);
  options.time_stages = time_stages;
  return options;
}

std::function<void(const Progress&)> to_progress(nb::handle callback) {
  return [callback, asked = Clock::now()](const Progress& progress) mutable {
    // Another thread may keep the GIL for milliseconds: it is asked for where there is a reason.
    const Clock::time_point now = Clock::now();
    if (callback.is_none() && now - asked < kBetween) return;
    const nb::gil_scoped_acquire gil;
    if (now - asked >= kBetween) {
      asked = now;
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }
    if (!callback.is_none()) {
      callback(nb::str(progress.stage.data(), progress.stage.size()), progress.done,
               progress.total);
    }
  };
}

nb::dict to_dict(ActionChunk chunk, int dims) {
  const auto rows = static_cast<std::size_t>(chunk.horizon),
             all = static_cast<std::size_t>(chunk.dims);
  const auto kept = static_cast<std::size_t>(dims);
  if (kept < all) {
    for (std::size_t row = 0; row < rows; ++row) {
      std::copy_n(chunk.actions.begin() + static_cast<std::ptrdiff_t>(row * all), kept,
                  chunk.actions.begin() + static_cast<std::ptrdiff_t>(row * kept));
    }
    chunk.actions.resize(rows * kept);
  }
  nb::dict result;
  result["actions"] = to_numpy(std::move(chunk.actions), {rows, kept});
  result["policy_timing"] = to_dict(chunk.timing);
  if (chunk.seam) {
    nb::dict seam;
    seam["delay"] = chunk.seam->delay;
    seam["row"] = chunk.seam->row;
    chunk.seam->jump.resize(kept);
    chunk.seam->velocity_change.resize(kept);
    seam["jump"] = to_numpy(std::move(chunk.seam->jump), {kept});
    seam["velocity_change"] = to_numpy(std::move(chunk.seam->velocity_change), {kept});
    result["seam"] = seam;
  }
  if (!chunk.warnings.empty()) {
    nb::list warnings;
    for (const std::string& warning : chunk.warnings) warnings.append(warning);
    result["warnings"] = warnings;
  }
  return result;
}

}  // namespace pi0
