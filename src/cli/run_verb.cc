// pi0 run: an observation in, a chunk of actions out.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <memory>

#include "actions/action_files.h"
#include "actions/action_plot.h"
#include "actions/action_table.h"
#include "base/text.h"
#include "cli/observation_arguments.h"
#include "cli/policy_arguments.h"
#include "cli/rtc_arguments.h"
#include "cli/verbs.h"
#include "report/output_path.h"
#include "report/progress.h"
#include "report/svg.h"
#include "report/terminal.h"

namespace pi0 {
namespace {

struct RunArguments {
  std::filesystem::path checkpoint;
  ObservationArguments observation;
  std::filesystem::path out, plot, plot_with;
  double hz = 0;
  PolicyArguments policy;
  SampleOptions sample;
  RtcArguments rtc;
};

std::string milliseconds(double ms) { return fixed_text(ms, ms < 100 ? 1 : 0) + " ms"; }

std::string summary(const Policy& policy, const ActionChunk& chunk) {
  const Timing& timing = chunk.timing;
  return fmt::format("{} ({}) on {}: {} (preprocess {}, vision {}, prefix {}, denoising {})",
                     policy.info().kind, policy.info().family, policy.network().device(),
                     milliseconds(timing.total_ms), milliseconds(timing.preprocess_ms),
                     milliseconds(timing.vision_ms), milliseconds(timing.prefix_ms),
                     milliseconds(timing.denoise_ms));
}

// "0.0312 (elbow)", of the dimension where it is largest.
std::string largest_text(const std::vector<float>& values, const std::vector<std::string>& names) {
  const auto largest = std::max_element(values.begin(), values.end(),
                                        [](float a, float b) { return std::abs(a) < std::abs(b); });
  return fmt::format("{} ({})", short_text(*largest, 3),
                     printable(names[largest - values.begin()]));
}

std::string seam_text(const ActionChunk& chunk, const RtcArguments& arguments) {
  const RealTimeChunking& rtc = arguments.rtc;
  return fmt::format(
      "step {} goes out in place of step {} of {}: largest jump {}, largest change of velocity {} "
      "a "
      "step",
      chunk.seam->row, std::int64_t{*rtc.executed} + rtc.inference_delay,
      arguments.last_chunk.string(), largest_text(chunk.seam->jump, chunk.names),
      largest_text(chunk.seam->velocity_change, chunk.names));
}

// What actions are in, as far as that is known.
std::string units_of(const Checkpoint& checkpoint, bool raw) {
  if (raw) return "the network's units (--raw)";
  const std::string& units = checkpoint.info().action_units;
  return units.empty() ? PlotOptions().units : units;
}

void write_run_plot(const RunArguments& arguments, const Policy& policy, const ActionChunk& chunk,
                    const Observation& observation, PlotOptions plot) {
  plot.title = observation.prompt.value_or("");
  plot.subtitle = fmt::format("{} on {}, {}", policy.info().kind, policy.network().device(),
                              milliseconds(chunk.timing.total_ms));
  plot.hz = arguments.hz;
  for (const auto& [camera, image] : observation.images) plot.images.emplace_back(camera, image);
  write_plot(arguments.plot, chunk, plot);
}

// Against the checkpoint, before its weights are prepared. Takes the noise into the arguments.
void require_fitting(RunArguments& arguments, const Checkpoint& checkpoint,
                     const Observation& observation, const std::optional<RecordedActions>& other) {
  if (const std::optional<NpyArray> noise = read_noise_argument(arguments.observation)) {
    const NetworkInfo& network = checkpoint.network();
    arguments.sample.noise = fitting_noise(*noise, arguments.observation.noise,
                                           {network.action_horizon, network.action_dim});
  }
  const int dims = checkpoint.info().action_dims;
  if (other && other->dims != dims) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: {} dimensions, the policy's actions have {}",
                            arguments.plot_with.string(), other->dims, dims));
  }
  checkpoint.check(observation, arguments.sample.rtc);
}

int run_policy(RunArguments arguments) {
  // Whatever can be refused is, before the weights are touched.
  if (!arguments.out.empty()) require_writable(arguments.out, kActionExtensions);
  if (!arguments.plot.empty()) require_writable(arguments.plot, kPlotExtensions);
  std::optional<RecordedActions> other;
  if (!arguments.plot_with.empty()) other = read_actions(arguments.plot_with);
  const Observation observation = read_observation(arguments.observation);
  const Checkpoint checkpoint = Checkpoint::open(arguments.checkpoint, arguments.policy.checkpoint);
  const std::optional<RecordedActions> last_chunk =
      read_last_chunk(arguments.rtc, checkpoint.info().action_dims);
  if (last_chunk) arguments.sample.rtc = arguments.rtc.rtc;
  require_fitting(arguments, checkpoint, observation, other);
  schedule_this_thread(arguments.policy.device);

  PlotOptions plot;
  plot.units = units_of(checkpoint, arguments.policy.checkpoint.raw);
  plot.other_name = arguments.plot_with.stem().string();
  if (last_chunk && !other) {
    other = left_over_of(*last_chunk, arguments.rtc.rtc);
    plot.other_name = "left of " + arguments.rtc.last_chunk.stem().string();
  }
  if (other && other->rows > 0) plot.other = std::move(other);

  ProgressLine line;
  arguments.policy.device.progress = arguments.sample.progress = line.callback();
  const Policy policy = checkpoint.load(arguments.policy.device);
  Session session = policy.session();
  if (last_chunk) session.set_last_chunk({.actions = last_chunk->values});
  const ActionChunk chunk = session.infer(observation, arguments.sample);
  line.finish();

  print_warnings(policy.info().warnings);
  print_warnings(chunk.warnings);
  std::cout << action_table(chunk, terminal_width(STDOUT_FILENO), arguments.hz) << '\n'
            << summary(policy, chunk) << '\n';
  if (chunk.seam) std::cout << seam_text(chunk, arguments.rtc) << '\n';
  if (!arguments.out.empty()) {
    write_actions(arguments.out, chunk);
    std::cout << "wrote " << arguments.out.string() << '\n';
  }
  if (!arguments.plot.empty()) {
    write_run_plot(arguments, policy, chunk, observation, std::move(plot));
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
  add_observation_options(verb, arguments->observation);
  add_policy_options(verb, arguments->policy);
  add_scheduling_options(verb, arguments->policy.device);
  add_cache_option(verb, arguments->policy.device);
  add_checkpoint_options(verb, arguments->policy.checkpoint);
  add_sample_options(verb, arguments->observation, arguments->sample);
  add_rtc_options(verb, arguments->rtc);
  verb.add_option("--out", arguments->out, "Write the actions: .json, .csv, .npy or .safetensors")
      ->type_name("FILE");
  verb.add_option("--hz", arguments->hz,
                  "Control steps a second: times beside the steps, seconds below the drawing")
      ->type_name("HZ")
      ->check(rate());
  CLI::Option* plot =
      verb.add_option("--plot", arguments->plot, "Draw the actions")->type_name("FILE.svg");
  verb.add_option("--plot-with", arguments->plot_with,
                  "Draw this motion beside them (a file as --out writes it)")
      ->type_name("FILE")
      ->needs(plot);
  verb.callback([&run, arguments] { run = [arguments] { return run_policy(*arguments); }; });
}

}  // namespace pi0
