#include "verify/recording.h"

#include <fmt/format.h>

#include <algorithm>

#include "checkpoint/form/prompt_format.h"
#include "device/host_tensor.h"
#include "files/json.h"
#include "pi0/error.h"
#include "policy/options.h"
#include "runtime/guidance.h"

namespace pi0 {
namespace {

[[noreturn]] void refuse(const std::string& where, const std::string& sentence) {
  throw Error(ErrorCode::kInvalidInput, where + ": " + sentence);
}

RecordedTensor widen(const SafeTensor& tensor, const std::string& where, const std::string& name) {
  RecordedTensor result{tensor.shape, {}};
  if (tensor.dtype == "F32") {
    result.values = floats_of<float>(tensor.bytes);
  } else if (tensor.dtype == "I32") {
    result.values = floats_of<std::int32_t>(tensor.bytes);
  } else if (tensor.dtype == "I64") {
    result.values = floats_of<std::int64_t>(tensor.bytes);
  } else if (tensor.dtype == "BOOL" || tensor.dtype == "U8") {
    result.values = floats_of<std::uint8_t>(tensor.bytes);
  } else {
    refuse(where, "tensor " + name + " is " + tensor.dtype +
                      ", expected F32, I32, I64, U8 or BOOL (recordings are made in fp32)");
  }
  return result;
}

// Reads the tensors of one file.
class Reader {
 public:
  explicit Reader(const SafeTensors& file) : file_(file) {}

  bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  RecordedTensor get(const std::string& name) const {
    const SafeTensor* tensor = file_.find(name);
    if (tensor == nullptr) refuse(file_.where(), "no tensor " + name + ", which a recording needs");
    return widen(*tensor, file_.where(), name);
  }
  RecordedTensor get(const std::string& name, std::size_t dimensions) const {
    RecordedTensor tensor = get(name);
    if (tensor.shape.size() != dimensions) {
      refuse(file_.where(), fmt::format("tensor {} has shape {}, expected {} dimensions", name,
                                        shape_text(tensor.shape), dimensions));
    }
    return tensor;
  }
  template <typename T>
  std::vector<T> cast(const std::string& name, std::size_t dimensions) const {
    const RecordedTensor tensor = get(name, dimensions);
    std::vector<T> values;
    for (const float value : tensor.values) {
      // Of an integer type only what it can hold; NaN fails both comparisons.
      if (!(value >= -2147483648.0f && value < 2147483648.0f)) {
        refuse(file_.where(), fmt::format("tensor {} holds {:f}", name, value));
      }
      values.push_back(static_cast<T>(value));
    }
    return values;
  }
  Image image(const std::string& name) const {
    const SafeTensor* tensor = file_.find(name);
    if (tensor == nullptr) refuse(file_.where(), "no tensor " + name + ", which a case names");
    const auto& shape = tensor->shape;
    if (tensor->dtype != "U8" || shape.size() != 3 || shape[2] != 3 || shape[0] < 1 ||
        shape[1] < 1 || shape[0] > 1 << 16 || shape[1] > 1 << 16) {
      refuse(file_.where(), fmt::format("tensor {} is {} {}, expected U8 [height, width, 3]", name,
                                        tensor->dtype, shape_text(shape)));
    }
    const auto* pixels = reinterpret_cast<const std::uint8_t*>(tensor->bytes.data());
    return {static_cast<int>(shape[0]),
            static_cast<int>(shape[1]),
            {pixels, pixels + tensor->bytes.size()}};
  }
  const SafeTensors& file() const { return file_; }

 private:
  const SafeTensors& file_;
};

NetworkRecording read_network(const Reader& reader) {
  NetworkRecording recording;
  recording.input.images = reader.get("images", 4).values;
  recording.input.image_masks = reader.cast<std::uint8_t>("image_masks", 1);
  recording.input.tokens = reader.cast<std::int32_t>("tokens", 1);
  recording.input.token_mask = reader.cast<std::uint8_t>("token_mask", 1);
  if (reader.has("state")) recording.input.state = reader.get("state", 1).values;
  recording.noise = reader.get("noise", 2).values;
  if (reader.has("time")) recording.steps = static_cast<int>(reader.get("time", 1).values.size());
  for (const char* stage :
       {"prefix_mask", "prefix_positions", "vision_output", "image_embeddings", "prefix_embeddings",
        "prefix_keys", "prefix_values", "suffix_embeddings_0", "conditioning", "time", "x_t", "v_t",
        "actions"}) {
    if (reader.has(stage)) recording.stages[stage] = reader.get(stage);
  }
  return recording;
}

struct CaseDescription {
  std::string name;
  std::string prompt;
  std::vector<std::string> cameras;
  CheckpointOverrides options = {};
  int steps = 0;
};

// What the "image.<camera>" tensors are of.
std::vector<std::string> recorded_cameras(const SafeTensors& file) {
  std::vector<std::string> cameras;
  for (const auto& [name, tensor] : file.tensors()) {
    if (name.rfind("image.", 0) == 0) cameras.push_back(name.substr(6));
  }
  return cameras;
}

// The first of the checkpoint's own cameras.
std::string first_camera(const CheckpointData& checkpoint) {
  for (const Camera& camera : checkpoint.cameras) {
    if (!camera.empty) return camera.name;
  }
  return "";
}

std::string text_of(const Json& json, const std::string& where) {
  if (!json.is_string()) refuse(where, "expected a string, found " + json.dump());
  return json.get<std::string>();
}

// metadata `cases`: {name: {"prompt": …, "cameras": […], …}}.
std::vector<CaseDescription> described_cases(const std::string& text, const std::string& where) {
  const Json cases = parse_json(text, where);
  if (!cases.is_object()) refuse(where, "expected an object of cases");
  std::vector<CaseDescription> descriptions;
  for (const auto& item : cases.items()) {
    const std::string& name = item.key();
    const Json& value = item.value();
    const std::string here = where + ", case " + name;
    if (!value.is_object() || !value.contains("prompt") || !value.contains("cameras") ||
        !value["cameras"].is_array()) {
      refuse(here, "expected an object with \"prompt\" and a list \"cameras\"");
    }
    CaseDescription description;
    description.name = name;
    description.prompt = text_of(value["prompt"], here);
    for (const Json& camera : value["cameras"]) {
      description.cameras.push_back(text_of(camera, here));
    }
    const auto given = [&](const char* key) {
      return value.contains(key) && !value[key].is_null();
    };
    if (given("prompt_format")) {
      description.options.prompt_format = parse_prompt_format(text_of(value["prompt_format"], here),
                                                              here, ErrorCode::kInvalidInput);
    }
    if (given("delta_mask")) description.options.delta_mask = text_of(value["delta_mask"], here);
    const auto integer = [&](const char* key) {
      if (!value[key].is_number_integer() || value[key] < 1 || value[key] > 1000000) {
        refuse(here, fmt::format("{} is {}, expected 1 to 1000000", key, value[key].dump()));
      }
      return value[key].get<int>();
    };
    if (given("adapt_to_pi")) {
      if (!value["adapt_to_pi"].is_boolean()) {
        refuse(here, "adapt_to_pi is " + value["adapt_to_pi"].dump() + ", expected true or false");
      }
      description.options.adapt_to_pi = value["adapt_to_pi"].get<bool>();
    }
    if (given("action_dims")) description.options.action_dims = integer("action_dims");
    if (given("steps")) description.steps = integer("steps");
    descriptions.push_back(std::move(description));
  }
  return descriptions;
}

// metadata `cases` of real-time chunking: {name: {"mode": …, "steps": …, …}}.
std::vector<GuidedCall> guided_calls(const Reader& reader, const std::string& text) {
  const std::string where = reader.file().where() + ", metadata cases";
  const Json cases = parse_json(text, where);
  require_object(cases, where);
  std::vector<GuidedCall> calls;
  for (const auto& [name, value] : cases.items()) {
    const std::string here = where + ", case " + name;
    require_object(value, here);
    GuidedCall call;
    call.name = name;
    call.steps = get_int(value, "steps", here, std::nullopt, 1, 10000);
    call.rtc.mode = parse_rtc_mode(get_string(value, "mode", here, "guided"), here);
    if (call.rtc.mode == RtcMode::kGuided) {
      call.rtc.prefix_attention_schedule =
          parse_rtc_schedule(get_string(value, "schedule", here, std::nullopt), here);
      call.rtc.max_guidance_weight =
          static_cast<float>(get_number(value, "max_guidance_weight", here, std::nullopt));
      call.rtc.execution_horizon =
          get_int(value, "execution_horizon", here, std::nullopt, 1, 1 << 20);
    }
    if (find_key(value, "inference_delay") && !value["inference_delay"].is_null()) {
      call.rtc.inference_delay = get_int(value, "inference_delay", here, std::nullopt, 0, 1 << 20);
    }
    if (reader.has(name + ".prev_chunk_left_over")) {
      RecordedTensor left_over = reader.get(name + ".prev_chunk_left_over", 2);
      call.rtc.dims = static_cast<int>(left_over.shape[1]);
      call.rtc.prev_chunk_left_over = std::move(left_over.values);
    }
    call.actions = reader.get(name + ".actions", 2);
    calls.push_back(std::move(call));
  }
  return calls;
}

// The recording of examples/policy: metadata `tasks` is a list of texts, a case is named after one
// of them ("episode.open_the_drawer.0"), and "<case>.image" is what the only camera saw.
std::vector<CaseDescription> task_cases(const SafeTensors& file, const Json& tasks,
                                        const std::string& where, const std::string& camera) {
  std::vector<CaseDescription> descriptions;
  for (const auto& [name, tensor] : file.tensors()) {
    if (!name.ends_with(".image")) continue;
    const std::string case_name = name.substr(0, name.size() - std::string(".image").size());
    for (const Json& task : tasks) {
      const std::string text = text_of(task, where);
      std::string words = text;
      std::replace(words.begin(), words.end(), ' ', '_');
      if (case_name.find(words) != std::string::npos) {
        descriptions.push_back({case_name, text, {camera}});
      }
    }
  }
  return descriptions;
}

// The older forms: metadata `tasks` ({case: text}, or a list) or `task` (one text). Which cameras
// a case had is in its name: "without_first…" lacks the checkpoint's first, "…first_camera" has it
// alone.
std::vector<CaseDescription> named_cases(const SafeTensors& file,
                                         const CheckpointData& checkpoint) {
  std::vector<CaseDescription> descriptions;
  const std::string first = first_camera(checkpoint);
  if (const auto tasks = file.metadata().find("tasks"); tasks != file.metadata().end()) {
    const std::string where = file.where() + ", metadata tasks";
    const Json texts = parse_json(tasks->second, where);
    if (texts.is_array()) return task_cases(file, texts, where, first);
    if (!texts.is_object()) refuse(where, "expected an object of texts");
    for (const auto& [name, text] : texts.items()) {
      descriptions.push_back({name, text_of(text, where), {}});
    }
  } else if (const auto task = file.metadata().find("task"); task != file.metadata().end()) {
    for (const char* name : {"policy_all_cameras", "policy_first_camera"}) {
      if (file.find(std::string(name) + ".actions") != nullptr) {
        descriptions.push_back({name, task->second, {}});
      }
    }
  }
  for (CaseDescription& description : descriptions) {
    description.cameras = recorded_cameras(file);
    if (description.name.rfind("without_first", 0) == 0) {
      std::erase(description.cameras, first);
    } else if (description.name.ends_with("first_camera")) {
      description.cameras = {first};
    }
  }
  return descriptions;
}

RecordedCase read_case(const Reader& reader, const CaseDescription& description) {
  const std::string prefix = description.name + ".";
  // What a case has of its own wins over what the cases share.
  const auto own_or_shared = [&](const std::string& name) {
    return reader.has(prefix + name) ? prefix + name : name;
  };
  RecordedCase result;
  result.name = description.name;
  result.options = description.options;
  result.steps = description.steps;
  result.observation.prompt = description.prompt;
  for (const std::string& camera : description.cameras) {
    const std::string own_only = prefix + "image";  // one camera, and no name
    result.observation.images[camera] =
        reader.image(reader.has(own_only) ? own_only : own_or_shared("image." + camera));
  }
  result.observation.state = reader.get(own_or_shared("state"), 1).values;
  result.noise = reader.get(own_or_shared("noise"), 2).values;
  for (const char* name :
       {"tokens", "token_mask", "normalised_state", "model_actions", "actions", "expert_actions"}) {
    if (reader.has(prefix + name)) result.results[name] = reader.get(prefix + name);
  }
  return result;
}

}  // namespace

PyTorchRecording read_recording(const std::filesystem::path& path,
                                const CheckpointData& checkpoint) {
  return parse_recording(SafeTensors::open(path), checkpoint);
}

PyTorchRecording parse_recording(const SafeTensors& file, const CheckpointData& checkpoint) {
  const Reader reader(file);
  PyTorchRecording recording{file.where(), std::nullopt, {}};
  const auto cases = file.metadata().find("cases");
  if (reader.has("images")) {
    recording.network = read_network(reader);
    if (cases != file.metadata().end()) {
      recording.network->guided = guided_calls(reader, cases->second);
    }
    return recording;
  }
  const std::vector<CaseDescription> descriptions =
      cases != file.metadata().end()
          ? described_cases(cases->second, file.where() + ", metadata cases")
          : named_cases(file, checkpoint);
  if (descriptions.empty()) {
    refuse(file.where(),
           "no recording: neither a tensor images (one call of the network) nor metadata cases "
           "(the whole way); see docs/recordings.md");
  }
  for (const CaseDescription& description : descriptions) {
    recording.cases.push_back(read_case(reader, description));
  }
  return recording;
}

const Pipeline& RecordedPipelines::of(const RecordedCase& recorded) {
  const CheckpointOverrides wanted = recorded.options.or_else(overrides_of(options_));
  for (const auto& [overrides, pipeline] : pipelines_) {
    if (overrides == wanted) return *pipeline;
  }
  auto made = std::make_unique<const Pipeline>(open_checkpoint(checkpoint_, wanted), options_);
  return *pipelines_.emplace_back(wanted, std::move(made)).second;
}

}  // namespace pi0
