// pi0 compare: do two devices come to the same?
#include <fmt/format.h>

#include <iostream>
#include <memory>

#include "base/text.h"
#include "cli/network_arguments.h"
#include "cli/observation_arguments.h"
#include "cli/policy_arguments.h"
#include "cli/verbs.h"
#include "policy/options.h"
#include "policy/pipeline.h"
#include "report/progress.h"
#include "runtime/device_request.h"
#include "runtime/noise.h"
#include "verify/comparison_report.h"
#include "verify/recording.h"

namespace pi0 {
namespace {

struct CompareArguments {
  NetworkArguments network;
  PolicyArguments policy;
  std::string against = "reference";
  ObservationArguments observation;
  SampleOptions sample;
  std::filesystem::path recording;
  std::optional<std::uint64_t> random_input;
  int cameras = 0, tokens = 0;
  double pcc = 0.99;
  std::filesystem::path json;
};

// An observation, as the network is given it.
NetworkCall prepared_call(const Pipeline& pipeline, const Observation& observation) {
  PreparedObservation prepared = pipeline.prepare(observation);
  print_warnings(prepared.warnings);
  return {std::move(prepared.input), {}};
}

std::vector<NetworkCall> recorded_calls(const CompareArguments& arguments,
                                        const CheckpointData& checkpoint) {
  const PyTorchRecording recording = read_recording(arguments.recording, checkpoint);
  RecordedPipelines pipelines(arguments.network.checkpoint, arguments.policy.checkpoint);
  std::vector<NetworkCall> calls;
  if (recording.network) {
    calls.push_back({recording.network->input, {}});
    calls.back().options.noise = recording.network->noise;
    calls.back().options.steps = recording.network->steps;
  }
  for (const RecordedCase& one : recording.cases) {
    calls.push_back(prepared_call(pipelines.of(one), one.observation));
    calls.back().options.noise = one.noise;
    calls.back().options.steps = one.steps;
  }
  return calls;
}

NetworkCall observed_call(const CompareArguments& arguments, const CheckpointData& checkpoint) {
  const std::optional<NpyArray> noise = read_noise_argument(arguments.observation);
  NetworkCall call = prepared_call(Pipeline(checkpoint, arguments.policy.checkpoint),
                                   read_observation(arguments.observation));
  const ModelConfig& config = checkpoint.model;
  call.options.noise.resize(static_cast<std::size_t>(config.action_horizon) * config.action_dim);
  if (noise) {
    call.options.noise = fitting_noise(*noise, arguments.observation.noise,
                                       {config.action_horizon, config.action_dim});
  } else {
    draw_noise(arguments.sample.seed.value_or(fresh_seed()), call.options.noise);
  }
  return call;
}

std::vector<NetworkCall> calls_of(const CompareArguments& arguments,
                                  const CheckpointData& checkpoint) {
  if (!arguments.recording.empty()) return recorded_calls(arguments, checkpoint);
  if (arguments.observation.given()) return {observed_call(arguments, checkpoint)};
  if (!arguments.random_input && !arguments.network.is_random()) {
    throw Error(ErrorCode::kInvalidInput,
                "no input: expected --recording FILE, --random-input SEED, or --image, --state and "
                "--prompt as `pi0 run` takes them");
  }
  const InputSize size{arguments.cameras, arguments.tokens, 0};
  return {random_call(checkpoint.model, size, arguments.random_input.value_or(0))};
}

int run_compare_verb(const CompareArguments& arguments) {
  require_report_paths(arguments.json);
  if (arguments.network.is_random() &&
      (arguments.observation.given() || !arguments.recording.empty())) {
    throw Error(ErrorCode::kInvalidInput,
                "--random takes --random-input alone: its network has no cameras, tokenizer or "
                "statistics");
  }
  const CheckpointData checkpoint =
      open_network(arguments.network, overrides_of(arguments.policy.checkpoint));
  std::vector<NetworkCall> calls = calls_of(arguments, checkpoint);
  for (NetworkCall& call : calls) {
    if (arguments.sample.steps != 0) call.options.steps = arguments.sample.steps;
  }
  ProgressLine line;
  Comparison comparison;
  ComparisonSubject subject;
  subject.pcc = arguments.pcc;
  subject.network = fmt::format(
      "{}, {}{}", network_name(checkpoint.model), describe(checkpoint.model, calls.front()),
      calls.size() > 1 ? fmt::format(", worst of {} calls", calls.size()) : "");
  subject.devices =
      compare_devices(checkpoint, device_request(arguments.policy.device),
                      {.name = arguments.against}, calls, line.callback(), comparison);
  line.finish();
  give_report(comparison_report(subject, checkpoint.model, comparison),
              comparison_json(subject, comparison), arguments.json);
  std::cout << comparison_verdict(subject, checkpoint.model, comparison);
  return comparison.passed(arguments.pcc) ? kExitOk : kExitVerdict;
}

}  // namespace

void add_compare(CLI::App& command, Run& run) {
  auto arguments = std::make_shared<CompareArguments>();
  CLI::App& verb = *command.add_subcommand(
      "compare", "Run two devices in lockstep and compare each part of the network");
  add_network_arguments(verb, arguments->network);
  add_policy_options(verb, arguments->policy);
  verb.add_option("--against", arguments->against, "The device that is taken to be right")
      ->type_name("NAME")
      ->capture_default_str();
  CLI::Option* recording = verb.add_option("--recording", arguments->recording,
                                           "Inputs and noise of a recording (docs/recordings.md)")
                               ->type_name("FILE");
  CLI::Option* random =
      verb.add_option("--random-input", arguments->random_input,
                      "Random images, tokens, state and noise; with --random 0 unless said")
          ->type_name("SEED")
          ->check(seed_number())
          ->excludes(recording);
  add_observation_options(verb, arguments->observation);
  for (const char* name : {"--image", "--state", "--prompt"}) {
    verb.get_option(name)->excludes(recording)->excludes(random);
  }
  add_sample_options(verb, arguments->observation, arguments->sample);
  for (const char* name : {"--seed", "--noise"}) {
    verb.get_option(name)->excludes(recording)->excludes(random);
  }
  verb.add_option("--cameras", arguments->cameras, "Of a random input; default: all")
      ->type_name("N")
      ->check(whole_number(1));
  verb.add_option("--tokens", arguments->tokens, "Of a random input; default: the most")
      ->type_name("N")
      ->check(whole_number(1));
  for (const char* name : {"--cameras", "--tokens"}) {
    verb.get_option(name)->excludes(recording);
    for (const char* observed : {"--image", "--state", "--prompt"}) {
      verb.get_option(name)->excludes(verb.get_option(observed));
    }
  }
  add_checkpoint_options(verb, arguments->policy.checkpoint);
  verb.add_option("--pcc", arguments->pcc, "Correlation that each part must reach")
      ->type_name("X")
      ->check([](const std::string& text) {
        const std::optional<float> value = parse_number(text);
        return value && *value >= -1 && *value <= 1 ? std::string()
                                                    : text + " is not a number from -1 to 1";
      })
      ->capture_default_str();
  add_json_option(verb, arguments->json);
  verb.callback([&run, arguments] { run = [arguments] { return run_compare_verb(*arguments); }; });
}

}  // namespace pi0
