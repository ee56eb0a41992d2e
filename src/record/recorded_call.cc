#include "record/recorded_call.h"

#include <limits>

#include "pi0/error.h"
#include "wire/decode.h"
#include "wire/encode.h"

namespace pi0 {
namespace {

constexpr std::int64_t kForm = 1;

[[noreturn]] void refuse(const std::string& sentence) {
  throw Error(ErrorCode::kInvalidInput, sentence);
}

void encode_array(Encoder& encoder, std::string_view key, const RecordedArray& array) {
  encoder.text(key).array(array.shape, array.values);
}

void encode_last(Encoder& encoder, const LastChunk& last) {
  const auto array = [&encoder](std::string_view key, const std::vector<float>& values) {
    encoder.text(key).array({std::ssize(values)}, values);
  };
  encoder.map(5);
  array("actions", last.actions);
  array("model_actions", last.model_actions);
  array("state", last.state);
  array("preceding", last.preceding);
  encoder.text("begun").integer(last.begun);
}

// What is under a key; of nothing, nil.
class Entries {
 public:
  Entries(const Value& root, std::string_view name) : map_(to_map(root, name)) {}

  const Value& at(std::string_view key) const {
    static const Value kNothing;
    const Value* const found = find_value(map_, key);
    return found ? *found : kNothing;
  }
  bool has(std::string_view key) const { return at(key).as<std::monostate>() == nullptr; }
  std::string text(std::string_view key) const { return to_text(at(key), key); }
  double number(std::string_view key) const { return to_number(at(key), key); }
  std::uint64_t count(std::string_view key) const {
    if (const auto* const large = at(key).as<std::uint64_t>()) return *large;
    return static_cast<std::uint64_t>(
        to_integer(at(key), key, 0, std::numeric_limits<std::int64_t>::max()));
  }
  int whole(std::string_view key) const {
    return static_cast<int>(to_integer(at(key), key, 0, std::numeric_limits<int>::max()));
  }
  std::span<const std::byte> bytes(std::string_view key) const {
    const auto* const bytes = at(key).as<ValueBytes>();
    if (!bytes) refuse(std::string(key) + ": is " + describe(at(key)) + ", expected bytes");
    return *bytes;
  }
  RecordedArray array(std::string_view key, std::size_t dimensions) const {
    const auto* const array = at(key).as<NumpyArray>();
    if (!array || array->shape.size() != dimensions) {
      refuse(std::string(key) + ": is " + describe(at(key)) + ", expected an array of " +
             std::to_string(dimensions) + " dimensions");
    }
    return {array->shape, to_floats(at(key), key)};
  }

 private:
  const ValueMap& map_;
};

LastChunk decode_last(const Value& value) {
  const Entries entries(value, "last");
  const auto values = [&entries](const char* key) { return to_floats(entries.at(key), key); };
  return {values("actions"), values("model_actions"), values("state"), values("preceding"),
          entries.whole("begun")};
}

}  // namespace

std::vector<std::byte> encode_head(const RecordHead& head) {
  Encoder encoder;
  encoder.map(head.prompt ? 4 : 3);
  encoder.text("pi0_calls").integer(kForm);
  encoder.text("checkpoint").text(head.checkpoint);
  encoder.text("metadata").bytes(head.metadata);
  if (head.prompt) encoder.text("prompt").text(*head.prompt);
  return encoder.take();
}

RecordHead decode_head(std::span<const std::byte> bytes) {
  const Value root = decode(bytes);
  const Entries entries(root, "head");
  const Value& form = entries.at("pi0_calls");
  if (!form.as<std::int64_t>() || *form.as<std::int64_t>() != kForm) {
    refuse("pi0_calls: is " + describe(form) + ", expected " + std::to_string(kForm) +
           ": not recorded by this version of pi0 serve");
  }
  RecordHead head;
  head.checkpoint = entries.text("checkpoint");
  const std::span<const std::byte> metadata = entries.bytes("metadata");
  head.metadata.assign(metadata.begin(), metadata.end());
  if (entries.has("prompt")) head.prompt = entries.text("prompt");
  return head;
}

std::vector<std::byte> encode_call(const RecordedCall& call) {
  const bool begun = call.steps != 0;
  const bool failed = !call.error_code.empty();
  const bool goes_on = !call.last.actions.empty();
  Encoder encoder;
  encoder.map(6 + (begun ? 2u : 0u) + (call.seed ? 1u : 0u) + (call.inference_delay ? 1u : 0u) +
              (goes_on ? 1u : 0u) + (failed ? 2u : 6u));
  encoder.text("call").unsigned_integer(call.number);
  encoder.text("client").unsigned_integer(call.client);
  encoder.text("peer").text(call.peer);
  encoder.text("arrived").number(call.arrived);
  encoder.text("message").bytes(call.message);
  encoder.text("total_ms").number(call.total_ms);
  if (begun) {
    encoder.text("steps").integer(call.steps);
    encode_array(encoder, "noise", call.noise);
  }
  if (call.seed) encoder.text("seed").unsigned_integer(*call.seed);
  if (call.inference_delay) encoder.text("inference_delay").integer(*call.inference_delay);
  if (goes_on) encode_last(encoder.text("last"), call.last);
  if (failed) {
    encoder.text("error_code").text(call.error_code);
    encoder.text("error").text(call.error);
    return encoder.take();
  }
  encoder.text("device").text(call.device);
  encoder.text("least_correlation").number(call.least_correlation);
  encoder.text("queue_ms").number(call.queue_ms);
  encoder.text("infer_ms").number(call.infer_ms);
  encode_array(encoder, "outputs", call.outputs);
  encode_array(encoder, "actions", call.actions);
  return encoder.take();
}

RecordedCall decode_call(std::span<const std::byte> bytes) {
  const Value root = decode(bytes);
  const Entries entries(root, "call");
  RecordedCall call;
  call.number = entries.count("call");
  call.client = entries.count("client");
  call.peer = entries.text("peer");
  call.arrived = entries.number("arrived");
  call.message = entries.bytes("message");
  call.total_ms = entries.number("total_ms");
  if (entries.has("steps")) {
    call.steps = entries.whole("steps");
    call.noise = entries.array("noise", 3);
  }
  if (entries.has("seed")) call.seed = entries.count("seed");
  if (entries.has("inference_delay")) call.inference_delay = entries.whole("inference_delay");
  if (entries.has("last")) call.last = decode_last(entries.at("last"));
  if (entries.has("error_code")) {
    call.error_code = entries.text("error_code");
    call.error = entries.text("error");
    return call;
  }
  call.device = entries.text("device");
  call.least_correlation = entries.number("least_correlation");
  call.queue_ms = entries.number("queue_ms");
  call.infer_ms = entries.number("infer_ms");
  call.outputs = entries.array("outputs", 3);
  call.actions = entries.array("actions", 3);
  return call;
}

}  // namespace pi0
