// pi0 run: an observation in, a chunk of actions out.
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>

#include "cli/action_files.h"
#include "cli/action_plot.h"
#include "cli/action_table.h"
#include "cli/inputs.h"
#include "cli/output_path.h"
#include "cli/policy_arguments.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "device/host_tensor.h"

namespace pi0 {
namespace {

struct RunArguments {
  std::filesystem::path checkpoint;
  std::vector<std::string> images;
  std::string state;
  std::string prompt;
  std::filesystem::path noise, out, plot, plot_with;
  PolicyOptions policy;
  SampleOptions sample;
};

std::string milliseconds(double ms) {
  char text[32];
  std::snprintf(text, sizeof text, ms < 100 ? "%.1f ms" : "%.0f ms", ms);
  return text;
}

Observation read_observation(const RunArguments& arguments) {
  Observation observation;
  for (const std::string& argument : arguments.images) {
    const auto [camera, file] = parse_image_argument(argument);
    if (observation.images.count(camera) != 0) {
      throw Error(ErrorCode::kInvalidInput, "--image " + camera + ": given twice");
    }
    observation.images[camera] = load_image(file);
  }
  if (!arguments.state.empty()) observation.state = parse_state(arguments.state);
  observation.prompt = arguments.prompt;
  return observation;
}

std::string summary(const Policy& policy, const ActionChunk& chunk) {
  const Timing& timing = chunk.timing;
  return policy.info().kind + " (" + policy.info().family + ") on " + policy.network().device() +
         ": " + milliseconds(timing.total_ms) + " (preprocess " +
         milliseconds(timing.preprocess_ms) + ", vision " + milliseconds(timing.vision_ms) +
         ", prefix " + milliseconds(timing.prefix_ms) + ", denoising " +
         milliseconds(timing.denoise_ms) + ")";
}

void write_run_plot(const RunArguments& arguments, const Policy& policy, const ActionChunk& chunk,
                    const Observation& observation, std::optional<RecordedActions> other) {
  PlotOptions plot;
  plot.title = observation.prompt;
  plot.subtitle = policy.info().kind + " on " + policy.network().device() + ", " +
                  milliseconds(chunk.timing.total_ms);
  plot.other = std::move(other);
  plot.other_name = arguments.plot_with.stem().string();
  for (const auto& [camera, image] : observation.images) plot.images.emplace_back(camera, image);
  write_plot(arguments.plot, chunk, plot);
}

// Against the checkpoint, before the long part.
void require_fitting(const RunArguments& arguments, const Policy& policy,
                     const std::vector<std::int64_t>& noise_shape,
                     const std::optional<RecordedActions>& other) {
  const NetworkInfo& network = policy.network().info();
  const std::vector<std::int64_t> expected{network.action_horizon, network.action_dim};
  if (!arguments.noise.empty() && noise_shape != expected) {
    throw Error(ErrorCode::kInvalidInput, arguments.noise.string() + ": shape " +
                                              to_string(noise_shape) + ", expected " +
                                              to_string(expected));
  }
  if (other && other->dims != policy.info().action_dims) {
    throw Error(ErrorCode::kInvalidInput, arguments.plot_with.string() + ": " +
                                              std::to_string(other->dims) +
                                              " dimensions, the policy's actions have " +
                                              std::to_string(policy.info().action_dims));
  }
}

int run_policy(RunArguments arguments) {
  // Whatever can be refused is, before the weights are touched.
  if (!arguments.out.empty()) require_writable(arguments.out, kActionExtensions);
  if (!arguments.plot.empty()) require_writable(arguments.plot, kPlotExtensions);
  std::optional<RecordedActions> other;
  if (!arguments.plot_with.empty()) other = read_actions(arguments.plot_with);
  std::vector<std::int64_t> noise_shape;
  if (!arguments.noise.empty()) {
    NpyArray noise = read_noise(arguments.noise);
    noise_shape = noise.shape;
    arguments.sample.noise = std::move(noise.values);
  }
  const Observation observation = read_observation(arguments);

  ProgressLine line;
  const auto show = [&line](const Progress& progress) {
    line.update(progress.stage, progress.done, progress.total);
  };
  arguments.policy.progress = show;
  arguments.sample.progress = show;
  const Policy policy = Policy::load(arguments.checkpoint, arguments.policy);
  require_fitting(arguments, policy, noise_shape, other);
  const ActionChunk chunk = policy.infer(observation, arguments.sample);
  line.finish();

  print_warnings(policy.info().warnings);
  print_warnings(chunk.warnings);
  std::cout << action_table(chunk, terminal_width(STDOUT_FILENO)) << '\n'
            << summary(policy, chunk) << '\n';
  if (!arguments.out.empty()) {
    write_actions(arguments.out, chunk);
    std::cout << "wrote " << arguments.out.string() << '\n';
  }
  if (!arguments.plot.empty()) {
    write_run_plot(arguments, policy, chunk, observation, std::move(other));
    std::cout << "wrote " << arguments.plot.string() << '\n';
  }
  return kExitOk;
}

}  // namespace

void add_run(CLI::App& command, Run& run) {
  auto arguments = std::make_shared<RunArguments>();
  CLI::App& verb = *command.add_subcommand(
      "run", "An observation in (camera images, joint state, instruction), a chunk of actions out");
  add_checkpoint_argument(verb, arguments->checkpoint);
  verb.add_option("--image", arguments->images,
                  "A camera's picture, PNG or JPEG; once for each camera. CAMERA is the "
                  "checkpoint's name (`pi0 info` lists them)")
      ->type_name("CAMERA=FILE")
      ->allow_extra_args(false);
  verb.add_option("--state", arguments->state,
                  "Joint state in the robot's own units: 0.1,0.2,… or a .json or .npy file")
      ->type_name("VALUES|FILE");
  verb.add_option("--prompt", arguments->prompt, "The instruction")->type_name("TEXT");
  add_policy_options(verb, arguments->policy);
  add_checkpoint_options(verb, arguments->policy);
  verb.add_flag("--raw", arguments->policy.raw,
                "State and actions as the network has them, without normalisation");
  verb.add_option("--steps", arguments->sample.steps,
                  "Denoising (Euler) steps; default: the checkpoint's, usually 10")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  CLI::Option* seed =
      verb.add_option_function<std::uint64_t>(
              "--seed", [arguments](const std::uint64_t& value) { arguments->sample.seed = value; },
              "Seed of the noise; without it the noise is new at every run")
          ->type_name("N");
  verb.add_option("--noise", arguments->noise,
                  "The noise itself, .npy [action horizon, action width] (x at t = 1)")
      ->type_name("FILE.npy")
      ->excludes(seed);
  verb.add_option("--out", arguments->out, "Write the actions: .json, .csv, .npy or .safetensors")
      ->type_name("FILE");
  CLI::Option* plot =
      verb.add_option("--plot", arguments->plot, "Draw the actions")->type_name("FILE.svg");
  verb.add_option("--plot-with", arguments->plot_with,
                  "Draw this motion beside them (a file as --out writes it)")
      ->type_name("FILE")
      ->needs(plot);
  verb.callback([&run, arguments] { run = [arguments] { return run_policy(*arguments); }; });
}

}  // namespace pi0
