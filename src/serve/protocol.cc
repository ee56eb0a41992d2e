#include "serve/protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "files/json.h"
#include "pi0/version.h"
#include "robots/robot_keys.h"
#include "wire/decode.h"
#include "wire/encode.h"

namespace pi0 {
namespace {

constexpr std::size_t kMostOfABatch = 256;

[[noreturn]] void refuse(const std::string& sentence) {
  throw Error(ErrorCode::kInvalidInput, sentence);
}

// What is under a key is read by `read`; a key that is none of the map's is refused.
class Fields {
 public:
  Fields(const ValueMap& map, std::string where) : map_(map), where_(std::move(where)) {}

  template <typename Read>
  Fields& read(std::string_view key, Read&& read) {
    known_.push_back(key);
    if (const Value* value = find_value(map_, key); value && !value->as<std::monostate>()) {
      read(*value, where_ + "/" + std::string(key));
    }
    return *this;
  }
  void require_known() const {
    for (const auto& [key, value] : map_) {
      if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
        std::string known;
        for (const std::string_view one : known_) (known += known.empty() ? "" : ", ") += one;
        refuse(fmt::format("{}: {} is no option, expected one of {}", where_, describe(Value{key}),
                           known));
      }
    }
  }

 private:
  const ValueMap& map_;
  std::string where_;
  std::vector<std::string_view> known_;
};

constexpr int kMostRows = 1'000'000;
constexpr int kMostSteps = 1000;

std::uint64_t to_seed(const Value& value, const std::string& name) {
  if (const auto* large = value.as<std::uint64_t>()) return *large;
  return static_cast<std::uint64_t>(
      to_integer(value, name, 0, std::numeric_limits<std::int64_t>::max()));
}

RtcRequest read_rtc(const Value& value, const std::string& where) {
  RtcRequest request;
  RealTimeChunking& rtc = request.rtc;
  Fields(to_map(value, where), where)
      .read("executed",
            [&](const Value& is, const std::string& name) {
              rtc.executed = static_cast<int>(to_integer(is, name, 0, kMostRows));
            })
      .read("inference_delay",
            [&](const Value& is, const std::string& name) {
              rtc.inference_delay = static_cast<int>(to_integer(is, name, 0, kMostRows));
              request.delay_given = true;
            })
      .read("hz",
            [&](const Value& is, const std::string& name) {
              request.hz = to_number(is, name);
              if (!(request.hz > 0 && request.hz < 1e6)) {
                refuse(name + " is " + describe(is) + ", expected control steps a second");
              }
            })
      .read("mode",
            [&](const Value& is, const std::string& name) {
              rtc.mode = parse_rtc_mode(to_text(is, name), name);
            })
      .read("execution_horizon",
            [&](const Value& is, const std::string& name) {
              rtc.execution_horizon = static_cast<int>(to_integer(is, name, 1, kMostRows));
            })
      .read("max_guidance_weight",
            [&](const Value& is, const std::string& name) {
              rtc.max_guidance_weight = static_cast<float>(to_number(is, name));
            })
      .read("prefix_attention_schedule",
            [&](const Value& is, const std::string& name) {
              rtc.prefix_attention_schedule = parse_rtc_schedule(to_text(is, name), name);
            })
      .read("roll_state_forward",
            [&](const Value& is, const std::string& name) {
              rtc.roll_state_forward = to_bool(is, name);
            })
      .read("max_jump",
            [&](const Value& is, const std::string& name) { rtc.max_jump = to_floats(is, name); })
      .read("max_velocity_change",
            [&](const Value& is, const std::string& name) {
              rtc.max_velocity_change = to_floats(is, name);
            })
      .require_known();
  if (!rtc.executed) {
    refuse(where + ": no executed, expected how many rows of the chunk before were executed");
  }
  if (!request.delay_given && request.hz == 0) {
    refuse(where +
           ": neither inference_delay nor hz, expected one of them: rows, or control steps "
           "a second, with which the server makes rows of the time it takes");
  }
  return request;
}

void read_options(const Value& value, Call& call) {
  CallOptions& options = call.options;
  const std::string where = "pi0";
  Fields(to_map(value, where), where)
      // First: an episode begins even where the rest is refused.
      .read("reset",
            [&](const Value& is, const std::string& name) { options.reset = to_bool(is, name); })
      .read("seed", [&](const Value& is,
                        const std::string& name) { options.sample.seed = to_seed(is, name); })
      .read("noise", [&](const Value& is,
                         const std::string& name) { options.sample.noise = to_floats(is, name); })
      .read("steps",
            [&](const Value& is, const std::string& name) {
              options.sample.steps = static_cast<int>(to_integer(is, name, 1, kMostSteps));
            })
      .read(
          "deadline_ms",
          [&](const Value& is, const std::string& name) {
            options.deadline_ms = to_number(is, name);
            if (!(*options.deadline_ms > 0)) {
              refuse(name + " is " + describe(is) + ", expected milliseconds from its arrival on");
            }
          })
      .read("latest",
            [&](const Value& is, const std::string& name) { options.latest = to_bool(is, name); })
      .read("rtc",
            [&](const Value& is, const std::string& name) { options.rtc = read_rtc(is, name); })
      .require_known();
}

// What sglang's clients say beside an observation.
void read_sglang_options(const ValueMap& map, SampleOptions& sample) {
  if (const Value* steps = find_value(map, "num_inference_steps")) {
    sample.steps = static_cast<int>(to_integer(*steps, "num_inference_steps", 1, kMostSteps));
  }
  for (const char* key : {"noise", "observation.noise"}) {
    if (const Value* noise = find_value(map, key)) sample.noise = to_floats(*noise, key);
  }
}

// And vllm-omni's. True where it is a reset, which has no observation.
bool read_vllm_omni_options(const ValueMap& map, CallOptions& options) {
  if (const Value* seed = find_value(map, "seed"); seed && !seed->as<std::monostate>()) {
    options.sample.seed = to_seed(*seed, "seed");
  }
  if (const Value* session = find_value(map, "session_id")) {
    options.session = to_text(*session, "session_id");
  }
  const Value* const endpoint = find_value(map, "endpoint");
  const std::string name = endpoint ? to_text(*endpoint, "endpoint") : "infer";
  if (name != "infer" && name != "reset") {
    refuse("endpoint is " + describe(*endpoint) + ", expected \"infer\" or \"reset\"");
  }
  options.reset = name == "reset";
  return options.reset;
}

Json sglang_metadata(const ServedModel& model, int dims) {
  const PolicyInfo& policy = model.checkpoint.info();
  const NetworkInfo& network = model.checkpoint.network();
  Json images = Json::array();
  for (const CameraKey& camera : model.robot.cameras) images.push_back(camera.key);
  return {{"object", "action.metadata"},
          {"policy_family", policy.kind},
          {"input",
           {{"image_keys", images},
            {"image_size", {network.image_size, network.image_size}},
            {"state_dim", policy.state_dims}}},
          {"output",
           {{"action_type", "continuous"},
            {"action_horizon", policy.action_horizon},
            {"action_dim", dims},
            {"padded_action_dim", network.action_dim},
            {"dtype", "float32"}}},
          {"capabilities",
           {{"openpi_websocket", true}, {"batch_inputs", true}, {"multiple_candidates", false}}}};
}

void encode_json(Encoder& encoder, const Json& json) {
  const std::vector<std::uint8_t> bytes = Json::to_msgpack(json);
  encoder.encoded(std::as_bytes(std::span(bytes)));
}

void encode_array(Encoder& encoder, const ActionChunk& chunk, int dims) {
  std::vector<float> actions;
  actions.reserve(static_cast<std::size_t>(chunk.horizon) * static_cast<std::size_t>(dims));
  for (int row = 0; row < chunk.horizon; ++row) {
    const std::span<const float> values = chunk.row(row).first(static_cast<std::size_t>(dims));
    actions.insert(actions.end(), values.begin(), values.end());
  }
  encoder.array({chunk.horizon, dims}, actions);
}

void encode_actions(Encoder& encoder, const ActionChunk& chunk, int dims) {
  encoder.text("actions");
  encode_array(encoder, chunk, dims);
}

void encode_policy_timing(Encoder& encoder, const Timing& timing) {
  encoder.text("policy_timing").map(5);
  encoder.text("infer_ms").number(timing.total_ms - timing.preprocess_ms);
  encoder.text("preprocess_ms").number(timing.preprocess_ms);
  encoder.text("vision_ms").number(timing.vision_ms);
  encoder.text("prefix_ms").number(timing.prefix_ms);
  encoder.text("denoise_ms").number(timing.denoise_ms);
}

}  // namespace

std::vector<std::byte> encode_metadata(const ServedModel& model, const ServerOptions& options,
                                       const std::vector<std::string>& devices, Dialect dialect) {
  const PolicyInfo& policy = model.checkpoint.info();
  const NetworkInfo& network = model.checkpoint.network();
  Json others = Json::object();
  if (model.robot.name == "aloha") others["reset_pose"] = {0, -1.5, 1.5, 0, 0, 0};  // as openpi's
  others.update(options.metadata);
  others.erase("pi0");
  const int dims = action_dims(model.robot, policy.action_dims);
  if (dialect == Dialect::kSglang) others.update(sglang_metadata(model, dims));
  const std::span<const std::string> names = policy.action_names;
  const std::string offers[] = {"batch",       "seed",   "noise", "steps",
                                "deadline_ms", "latest", "reset", "rtc"};
  Encoder encoder;
  encoder.map(others.size() + 1);
  for (const auto& [key, value] : others.items()) {
    encoder.text(key);
    encode_json(encoder, value);
  }
  encoder.text("pi0").map(13);
  encoder.text("version").text(version());
  encoder.text("kind").text(policy.kind);
  encoder.text("robot");
  encode_robot(model.robot, encoder);
  encoder.text("state_dims").integer(policy.state_dims);
  encoder.text("action_dims").integer(dims);
  encoder.text("action_names").texts(names.first(std::min(names.size(), std::size_t(dims))));
  encoder.text("action_horizon").integer(policy.action_horizon);
  encoder.text("n_action_steps").integer(policy.n_action_steps);
  encoder.text("noise").list(2).integer(network.action_horizon).integer(network.action_dim);
  encoder.text("rtc_training_max_delay").integer(network.rtc_training_max_delay);
  encoder.text("image_size").integer(network.image_size);
  encoder.text("devices").texts(devices);
  encoder.text("offers").texts(offers);
  return encoder.take();
}

bool read_request(Call& call) {
  const Value root = decode(call.message);
  const ValueMap& map = to_map(root, "message");
  if (const Value* own = find_value(map, "pi0")) {
    call.options.given = true;
    read_options(*own, call);
  }
  if (call.dialect == Dialect::kSglang) read_sglang_options(map, call.options.sample);
  if (call.dialect == Dialect::kVllmOmni && read_vllm_omni_options(map, call.options)) return false;
  if (const Value* batch = find_value(map, "batch")) {
    const auto* const observations = batch->as<ValueList>();
    if (!observations || observations->empty() || observations->size() > kMostOfABatch) {
      refuse(fmt::format("batch is {}, expected a list of 1 to {} observations", describe(*batch),
                         kMostOfABatch));
    }
    if (call.options.rtc) refuse("pi0/rtc: a batch continues no chunk");
    if (call.dialect == Dialect::kVllmOmni) refuse("batch: an answer at this path is one array");
    call.batch = true;
  }
  return true;
}

std::vector<RobotObservation> read_observations(const Robot& robot,
                                                const std::optional<std::string>& prompt,
                                                FilePixels files, const Call& call,
                                                const std::function<void()>& ask) {
  const Value root = decode(call.message);
  const ValueMap& map = to_map(root, "message");
  std::vector<RobotObservation> observations;
  const auto read = [&](const ValueMap& one) {
    ask();
    observations.push_back(to_observation(robot, one, prompt, files));
  };
  if (!call.batch) {
    read(map);
    return observations;
  }
  for (const Value& one : *find_value(map, "batch")->as<ValueList>()) read(to_map(one, "batch"));
  return observations;
}

std::vector<std::byte> encode_answer(const Call& call, const CallResult& result,
                                     std::optional<double> prev_total_ms) {
  Encoder encoder;
  const ActionChunk& first = result.chunks.front();
  const int dims = action_dims(call.model->robot, first.dims);
  if (call.dialect == Dialect::kVllmOmni) {
    encode_array(encoder, first, dims);
    return encoder.take();
  }
  encoder.map(3 + (call.options.given ? 1 : 0));
  if (call.batch) {
    encoder.text("batch").list(result.chunks.size());
    for (const ActionChunk& chunk : result.chunks) {
      encoder.map(2);
      encode_actions(encoder, chunk, dims);
      encode_policy_timing(encoder, chunk.timing);
    }
    encoder.text("policy_timing").map(1).text("infer_ms").number(result.infer_ms);
  } else {
    encode_actions(encoder, first, dims);
    encode_policy_timing(encoder, first.timing);
  }
  encoder.text("server_timing").map(prev_total_ms ? 3 : 2);
  encoder.text("infer_ms").number(result.infer_ms);
  encoder.text("queue_ms").number(result.queue_ms);
  if (prev_total_ms) encoder.text("prev_total_ms").number(*prev_total_ms);
  if (call.options.given) {
    encoder.text("pi0").map(call.options.rtc ? 3 : 2);
    encoder.text("device").text(result.device);
    encoder.text("warnings").texts(first.warnings);
    if (call.options.rtc) {
      encoder.text("rtc").map(first.seam ? 5 : 2);
      encoder.text("executed").integer(*call.options.rtc->rtc.executed);
      encoder.text("inference_delay").integer(result.assumed_delay);
      if (first.seam) {
        encoder.text("row").integer(first.seam->row);
        encoder.text("jump").array({dims}, std::span(first.seam->jump).first(dims));
        encoder.text("velocity_change")
            .array({dims}, std::span(first.seam->velocity_change).first(dims));
      }
    }
  }
  return encoder.take();
}

std::vector<std::byte> encode_error(const CallError& error, Dialect dialect) {
  Encoder encoder;
  if (dialect == Dialect::kVllmOmni) {
    encoder.map(3).text("type").text("error").text("message").text(error.sentence);
    encoder.text("code").text(error.code);
    return encoder.take();
  }
  encoder.map(1).text("error").map(2);
  encoder.text("code").text(error.code).text("message").text(error.sentence);
  return encoder.take();
}

std::vector<std::byte> encode_reset_done() {
  Encoder encoder;
  encoder.map(1).text("status").text("reset successful");
  return encoder.take();
}

}  // namespace pi0
