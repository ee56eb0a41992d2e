#include "serve/call_recorder.h"

#include "serve/protocol.h"

namespace pi0 {
namespace {

void append(RecordedArray& array, const std::vector<float>& values) {
  array.values.insert(array.values.end(), values.begin(), values.end());
}

// `network`: of the policy that it was for.
RecordedCall to_record(RecordedCall record, const std::shared_ptr<const Call>& call,
                       const std::variant<CallResult, CallError>& outcome,
                       const NetworkInfo& network) {
  record.peer = call->caller->peer;
  record.message = call->message;
  record.keeps = call;
  const std::vector<std::int64_t> shape = {std::ssize(call->observations), network.action_horizon,
                                           network.action_dim};
  if (call->basis) {
    const SampleOptions& sample = call->basis->sample;
    record.steps = sample.steps != 0 ? sample.steps : network.num_steps;
    record.seed = sample.seed;
    record.noise.values = sample.noise;
    for (std::uint64_t i = 0; sample.seed && i < call->observations.size(); ++i) {
      append(record.noise, draw_noise(*sample.seed + i, network));
    }
    const std::int64_t values = std::ssize(record.noise.values);
    const bool fits = values == shape[0] * shape[1] * shape[2];  // else the policy refused it
    record.noise.shape = fits ? shape : std::vector<std::int64_t>{1, 1, values};
    if (sample.rtc) record.inference_delay = sample.rtc->inference_delay;
    record.last = call->basis->last;
  }
  if (const auto* const error = std::get_if<CallError>(&outcome)) {
    record.error_code = error->code;
    record.error = error->sentence;
    return record;
  }
  const auto& result = std::get<CallResult>(outcome);
  record.device = result.device;
  record.least_correlation = result.least_correlation;
  record.queue_ms = result.queue_ms;
  record.infer_ms = result.infer_ms;
  record.outputs.shape = shape;
  for (const std::vector<float>& output : result.outputs) append(record.outputs, output);
  record.actions.shape = {shape[0], result.chunks.front().horizon, result.chunks.front().dims};
  for (const ActionChunk& chunk : result.chunks) append(record.actions, chunk.actions);
  return record;
}

}  // namespace

void CallRecorder::add(const Call& call, const std::variant<CallResult, CallError>& outcome,
                       const std::shared_ptr<const ServedModel>& model,
                       const std::vector<std::string>& devices) {
  if (model != model_) {
    model_ = model;
    head_ = std::make_shared<const RecordHead>(
        RecordHead{options_.checkpoint.string(),
                   encode_metadata(*model, options_, devices, Dialect::kOpenpi), options_.prompt});
  }
  RecordedCall beginning;
  beginning.number = recorder_.next_number();
  Caller& caller = *call.caller;
  if (caller.first_recorded == 0) caller.first_recorded = beginning.number;
  beginning.client = caller.first_recorded;
  beginning.total_ms = ms_between(call.arrived, Clock::now());
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  beginning.arrived = std::chrono::duration<double>(since_1970).count() - beginning.total_ms / 1000;
  // Beside the call, chunks and what they were made of: more than a chunk's numbers take.
  const std::size_t bytes = bytes_of(call) + (1 + call.observations.size()) * (32 << 10);
  recorder_.add(head_, bytes,
                [call = call.shared_from_this(), outcome, model, beginning = std::move(beginning)] {
                  return to_record(beginning, call, outcome, model->checkpoint.network());
                });
}

}  // namespace pi0
