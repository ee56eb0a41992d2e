#include "client/messages.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "base/text.h"
#include "client/metadata_json.h"
#include "robots/robot_keys.h"
#include "wire/decode.h"
#include "wire/encode.h"

namespace pi0 {
namespace {

constexpr int kMost = std::numeric_limits<int>::max();
constexpr int kWidth = 300;  // of what a server says

[[noreturn]] void refuse(ErrorCode code, const std::string& sentence) {
  throw Error(code, sentence);
}

// What a map may have under a key; nullptr where there is nothing.
const Value* find(const ValueMap& map, std::string_view key) {
  const Value* const value = find_value(map, key);
  return value && !value->as<std::monostate>() ? value : nullptr;
}

int find_count(const ValueMap& map, std::string_view key) {
  const Value* const value = find(map, key);
  return value ? static_cast<int>(to_integer(*value, key, 0, kMost)) : 0;
}

double find_ms(const ValueMap& map, std::string_view key) {
  const Value* const value = find(map, key);
  return value ? to_number(*value, key) : 0;
}

std::string find_text(const ValueMap& map, std::string_view key) {
  const Value* const value = find(map, key);
  return value ? to_text(*value, key) : "";
}

std::vector<std::string> find_texts(const ValueMap& map, std::string_view key) {
  std::vector<std::string> texts;
  const Value* const value = find(map, key);
  if (!value) return texts;
  const auto* const list = value->as<ValueList>();
  if (!list) {
    refuse(ErrorCode::kInvalidInput,
           fmt::format("{}: is {}, expected texts", key, describe(*value)));
  }
  for (const Value& text : *list) texts.push_back(to_text(text, key));
  return texts;
}

const ValueMap& find_map(const ValueMap& map, std::string_view key) {
  static const ValueMap none;
  const Value* const value = find(map, key);
  return value ? to_map(*value, key) : none;
}

// What a server of another kind would not do, and what none can.
void require_offered(const ClientCall& call, bool ours) {
  const SampleOptions& sample = call.sample;
  if (sample.progress || sample.observe) {
    refuse(ErrorCode::kUnsupported, "progress and observe: a server calls nothing back");
  }
  if (sample.rtc && (!sample.rtc->executed || !sample.rtc->prev_chunk_left_over.empty())) {
    refuse(ErrorCode::kUnsupported,
           "rtc: expected executed, and no prev_chunk_left_over: the server keeps the last chunk");
  }
  if (!sample.rtc && call.hz != 0) {
    refuse(ErrorCode::kInvalidInput, "hz is given without rtc, which it is for");
  }
  if (!(call.deadline_ms >= 0)) {
    refuse(
        ErrorCode::kInvalidInput,
        fmt::format("deadline_ms is {}, expected milliseconds, or 0 for none", call.deadline_ms));
  }
  const auto other = [&](bool given, const char* name) {
    if (given && !ours) {
      refuse(ErrorCode::kUnsupported,
             fmt::format("{}: this server takes an observation alone, as openpi's", name));
    }
  };
  other(sample.steps != 0, "steps");
  other(sample.seed.has_value(), "seed");
  other(!sample.noise.empty(), "noise");
  other(sample.rtc.has_value(), "rtc");
  other(call.deadline_ms > 0, "deadline_ms");
  other(call.latest, "latest");
}

const char* schedule_text(RtcSchedule schedule) {
  switch (schedule) {
    case RtcSchedule::kLinear:
      return "LINEAR";
    case RtcSchedule::kExp:
      return "EXP";
    case RtcSchedule::kOnes:
      return "ONES";
    case RtcSchedule::kZeros:
      return "ZEROS";
  }
  return "";
}

void encode_rtc(Encoder& encoder, const RealTimeChunking& rtc, double hz) {
  encoder.text("rtc").map(7 + (rtc.max_jump.empty() ? 0 : 1) +
                          (rtc.max_velocity_change.empty() ? 0 : 1));
  encoder.text("mode").text(rtc.mode == RtcMode::kTrained ? "trained" : "guided");
  encoder.text("executed").integer(*rtc.executed);
  if (hz != 0) {
    encoder.text("hz").number(hz);
  } else {
    encoder.text("inference_delay").integer(rtc.inference_delay);
  }
  encoder.text("execution_horizon").integer(rtc.execution_horizon);
  encoder.text("max_guidance_weight").number(rtc.max_guidance_weight);
  encoder.text("prefix_attention_schedule").text(schedule_text(rtc.prefix_attention_schedule));
  encoder.text("roll_state_forward").boolean(rtc.roll_state_forward);
  const auto limit = [&encoder](const char* name, const std::vector<float>& most) {
    if (most.empty()) return;
    encoder.text(name).array({static_cast<std::int64_t>(most.size())}, most);
  };
  limit("max_jump", rtc.max_jump);
  limit("max_velocity_change", rtc.max_velocity_change);
}

void read_actions(const Value& value, ServedChunk& chunk) {
  const auto* const array = value.as<NumpyArray>();
  const auto is_side = [](std::int64_t side) { return side > 0 && side <= kMost; };
  if (!array || array->shape.size() != 2 || !is_side(array->shape[0]) ||
      !is_side(array->shape[1])) {
    refuse(ErrorCode::kInvalidInput,
           fmt::format("actions: {}, expected an array [horizon, dims]", describe(value)));
  }
  chunk.horizon = static_cast<int>(array->shape[0]);
  chunk.dims = static_cast<int>(array->shape[1]);
  chunk.actions = to_floats(value, "actions");
  if (!std::all_of(chunk.actions.begin(), chunk.actions.end(),
                   [](float action) { return std::isfinite(action); })) {
    refuse(ErrorCode::kInvalidInput, "actions: not all are finite");
  }
}

void read_seam(const ValueMap& rtc, ServedChunk& chunk) {
  const Value* const jump = find(rtc, "jump");
  const Value* const change = find(rtc, "velocity_change");
  if (!jump || !change) return;
  Seam seam{.delay = find_count(rtc, "inference_delay"),
            .row = find_count(rtc, "row"),
            .jump = to_floats(*jump, "jump"),
            .velocity_change = to_floats(*change, "velocity_change")};
  const auto dims = static_cast<std::size_t>(chunk.dims);
  if (seam.jump.size() != dims || seam.velocity_change.size() != dims ||
      seam.row >= chunk.horizon) {
    refuse(ErrorCode::kInvalidInput,
           fmt::format("rtc: row {}, {} jumps and {} changes of velocity, expected those of a "
                       "chunk [{}, {}]",
                       seam.row, seam.jump.size(), seam.velocity_change.size(), chunk.horizon,
                       chunk.dims));
  }
  chunk.seam = std::move(seam);
}

void read_timing(const ValueMap& map, Timing& timing) {
  timing.preprocess_ms = find_ms(map, "preprocess_ms");
  timing.vision_ms = find_ms(map, "vision_ms");
  timing.prefix_ms = find_ms(map, "prefix_ms");
  timing.denoise_ms = find_ms(map, "denoise_ms");
  timing.total_ms = timing.preprocess_ms + find_ms(map, "infer_ms");
}

ServedChunk read_chunk(const ValueMap& map, const ServerInfo& info) {
  const Value* const actions = find(map, "actions");
  if (!actions) refuse(ErrorCode::kInvalidInput, "no \"actions\" in it");
  ServedChunk chunk;
  read_actions(*actions, chunk);
  const bool named = info.action_names.size() == static_cast<std::size_t>(chunk.dims);
  if (named) chunk.names = info.action_names;
  for (int i = 0; !named && i < chunk.dims; ++i) chunk.names.push_back(fmt::format("action_{}", i));
  chunk.n_action_steps =
      info.n_action_steps != 0 ? std::min(info.n_action_steps, chunk.horizon) : chunk.horizon;
  read_timing(find_map(map, "policy_timing"), chunk.timing);
  return chunk;
}

}  // namespace

Robot openpi_robot(const std::string& name) {
  // Whatever its policies were trained on.
  PolicyInfo policy;
  policy.family = "openpi";
  for (const char* const camera : {"base_0_rgb", "left_wrist_0_rgb", "right_wrist_0_rgb"}) {
    policy.cameras.push_back({camera, camera});
  }
  return find_robot(name, policy);
}

Served read_metadata(std::span<const std::byte> message, const std::optional<Robot>& robot) {
  const Value root = decode(message);
  const ValueMap& all = to_map(root, "it");
  Served served;
  served.info.metadata = metadata_json(root);
  const Value* const of_ours = find(all, "pi0");
  served.ours = of_ours && of_ours->as<ValueMap>();
  if (robot) {
    served.robot = *robot;
  } else if (served.ours) {
    served.robot = robot_from_metadata(all);
  } else {
    refuse(ErrorCode::kInvalidInput,
           "no keys of a robot in it, which libpi0's tells; expected ClientOptions::robot to be "
           "aloha, libero or droid");
  }
  Encoder keys;
  encode_robot(served.robot, keys);
  served.keys = keys.take();
  ServerInfo& info = served.info;
  for (const CameraKey& camera : served.robot.cameras) {
    const bool told = std::find(info.cameras.begin(), info.cameras.end(), camera.camera) !=
                      info.cameras.end();  // under another key
    if (!camera.camera.empty() && !told) info.cameras.push_back(camera.camera);
  }
  if (!served.ours) return served;
  const ValueMap& map = *of_ours->as<ValueMap>();
  info.version = find_text(map, "version");
  info.kind = find_text(map, "kind");
  info.state_dims = find_count(map, "state_dims");
  info.action_dims = find_count(map, "action_dims");
  info.action_horizon = find_count(map, "action_horizon");
  info.n_action_steps = find_count(map, "n_action_steps");
  info.action_names = find_texts(map, "action_names");
  info.devices = find_texts(map, "devices");
  return served;
}

std::vector<std::byte> encode_request(const Served& served, const Observation& observation,
                                      const ClientCall& call) {
  require_offered(call, served.ours);
  Encoder encoder;
  encode_observation(served.robot, observation, encoder, served.ours ? 1 : 0);
  return encoder.take();
}

std::vector<std::byte> encode_options(const ClientCall& call, bool reset) {
  const SampleOptions& sample = call.sample;
  const auto count = [](bool given) { return given ? std::size_t{1} : std::size_t{0}; };
  Encoder encoder;
  encoder.text("pi0").map(count(sample.steps != 0) + count(sample.seed.has_value()) +
                          count(!sample.noise.empty()) + count(call.deadline_ms > 0) +
                          count(call.latest) + count(reset) + count(sample.rtc.has_value()));
  if (sample.steps != 0) encoder.text("steps").integer(sample.steps);
  if (sample.seed) encoder.text("seed").unsigned_integer(*sample.seed);
  if (!sample.noise.empty()) {
    encoder.text("noise").array({static_cast<std::int64_t>(sample.noise.size())}, sample.noise);
  }
  if (call.deadline_ms > 0) encoder.text("deadline_ms").number(call.deadline_ms);
  if (call.latest) encoder.text("latest").boolean(true);
  if (reset) encoder.text("reset").boolean(true);
  if (sample.rtc) encode_rtc(encoder, *sample.rtc, call.hz);
  return encoder.take();
}

Error Refusal::error() const {
  if (code == "invalid") return {ErrorCode::kInvalidInput, sentence};
  if (code == "limit") return {ErrorCode::kLimit, sentence};
  return {ErrorCode::kServer, sentence};
}

std::string read_text(std::span<const std::byte> message) {
  std::string_view text(reinterpret_cast<const char*>(message.data()), message.size());
  text = text.substr(0, text.find_last_not_of(" \r\n") + 1);
  const std::size_t line = text.find_last_of('\n');
  if (line != std::string_view::npos) text.remove_prefix(line + 1);
  return shorten_end(printable(text.substr(0, std::size_t{4} * kWidth)), kWidth);
}

std::vector<ServedChunk> read_chunks(std::span<const std::byte> message, const ServerInfo& info) {
  const Value root = decode(message);
  const ValueMap& map = to_map(root, "it");
  if (const Value* const error = find(map, "error")) {
    const ValueMap& says = to_map(*error, "error");
    throw Refusal{find_text(says, "code"), printable(find_text(says, "message"))};
  }
  std::vector<ServedChunk> chunks;
  const Value* const batch = find(map, "batch");
  const auto* const each = batch ? batch->as<ValueList>() : nullptr;
  if (!each) {
    chunks.push_back(read_chunk(map, info));
  } else {
    for (const Value& one : *each) chunks.push_back(read_chunk(to_map(one, "batch"), info));
  }
  const ValueMap& timing = find_map(map, "server_timing");
  const ValueMap& ours = find_map(map, "pi0");
  for (ServedChunk& chunk : chunks) {
    chunk.server_ms = find_ms(timing, "infer_ms");
    chunk.queue_ms = find_ms(timing, "queue_ms");
    chunk.device = find_text(ours, "device");
    chunk.warnings = find_texts(ours, "warnings");
    read_seam(find_map(ours, "rtc"), chunk);
  }
  return chunks;
}

}  // namespace pi0
