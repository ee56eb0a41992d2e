// pi0 bench: how long does a call take?
#include <iostream>
#include <memory>

#include "cli/network_arguments.h"
#include "cli/policy_arguments.h"
#include "cli/verbs.h"
#include "device/registry/registry.h"
#include "profile/bench_plot.h"
#include "profile/bench_report.h"
#include "report/output_path.h"
#include "report/progress.h"
#include "report/svg.h"
#include "runtime/device_request.h"
#include "runtime/loaded_network.h"
#include "runtime/stopwatch.h"

namespace pi0 {
namespace {

struct BenchArguments {
  NetworkArguments network;
  DeviceOptions device;
  std::string against;
  InputSize size;
  BenchOptions bench;
  std::filesystem::path json, plot;
};

// On one device, which goes before the next comes: weights are never held twice.
BenchOther measure(const CheckpointData& checkpoint, DeviceOptions device, const NetworkCall& call,
                   BenchOptions options) {
  device.progress = options.progress;
  const Stopwatch watch;
  const Network network = load_network(checkpoint, device);
  const double load_ms = watch.elapsed_ms();
  print_warnings(network.info().warnings);
  BenchOther measured{
      .device = network.device(), .result = {}, .peak = LoadedNetwork::of(network).peak()};
  if (measured.peak) options.peak = measured.peak->measure;
  measured.result = bench(network, checkpoint.model, call, options);
  measured.result.load_ms = load_ms;
  return measured;
}

int run_bench_verb(BenchArguments arguments) {
  require_report_paths(arguments.json);
  if (!arguments.plot.empty()) require_writable(arguments.plot, kPlotExtensions);
  if (arguments.network.is_random() && !arguments.device.cache.empty()) {
    throw Error(ErrorCode::kInvalidInput, "--cache: random weights have no files to keep it for");
  }
  const CheckpointData checkpoint = open_network(arguments.network, {.network_alone = true});
  const NetworkCall call = random_call(checkpoint.model, arguments.size, 0);
  ProgressLine line;
  arguments.bench.progress = line.callback();
  // A device that is not there is refused before the other is measured.
  if (!arguments.against.empty()) choose_backend({.name = arguments.against});
  schedule_this_thread(arguments.device);
  BenchOther measured = measure(checkpoint, arguments.device, call, arguments.bench);
  // After the network has gone: the matrices need memory too.
  if (measured.peak && has_published_matrices(checkpoint.model)) {
    measured.result.matrices = time_matrices(device_request(arguments.device), published_matrices(),
                                             arguments.bench.progress);
  }
  std::optional<BenchOther> other;
  if (!arguments.against.empty()) {
    DeviceOptions against;
    against.device = arguments.against;
    other = measure(checkpoint, against, call, arguments.bench);
  }
  line.finish();
  const BenchSubject subject{
      network_name(checkpoint.model) + ", " + describe(checkpoint.model, call), measured.device,
      measured.peak};
  give_report(bench_report(subject, measured.result, other),
              bench_json(subject, measured.result, other), arguments.json);
  if (!arguments.plot.empty()) {
    write_bench_plot(arguments.plot, subject, measured.result, other);
    std::cout << "wrote " << arguments.plot.string() << '\n';
  }
  return kExitOk;
}

}  // namespace

void add_bench(CLI::App& command, Run& run) {
  auto arguments = std::make_shared<BenchArguments>();
  CLI::App& verb = *command.add_subcommand(
      "bench", "How long a call takes: mean, P50, P95 and P99 after warming up, and each stage");
  add_network_arguments(verb, arguments->network);
  add_base_option(verb, arguments->network.base);
  add_device_options(verb, arguments->device);
  add_scheduling_options(verb, arguments->device);
  add_cache_option(verb, arguments->device);
  verb.add_option("--against", arguments->against, "Another device, to say how many times faster")
      ->type_name("NAME");
  add_input_size_options(verb, arguments->size);
  verb.add_option("--warmup", arguments->bench.warmup,
                  "Calls before the measured ones; default: 5, or 1 where one takes more than 2 s")
      ->type_name("N")
      ->check(whole_number(0));
  verb.add_option("--runs", arguments->bench.runs,
                  "Measured calls; default: 100, or 3 where one takes more than 2 s")
      ->type_name("N")
      ->check(whole_number(1))
      ->excludes(verb.add_option("--seconds", arguments->bench.seconds,
                                 "As many measured calls as take so long, instead of a number")
                     ->type_name("S")
                     ->check(CLI::PositiveNumber));
  add_json_option(verb, arguments->json);
  verb.add_option("--plot", arguments->plot,
                  "Draw the stages' times as bars, and what they would be at the machine's peak")
      ->type_name("FILE.svg");
  verb.callback([&run, arguments] { run = [arguments] { return run_bench_verb(*arguments); }; });
}

}  // namespace pi0
