// pi0 replay: plays what pi0 serve --record kept.
#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <memory>

#include "base/text.h"
#include "cli/network_arguments.h"
#include "cli/policy_arguments.h"
#include "cli/verbs.h"
#include "replay/dump.h"
#include "replay/replay.h"
#include "replay/replay_report.h"
#include "replay/server_replay.h"
#include "report/progress.h"
#include "serve/api_keys.h"

namespace pi0 {
namespace {

struct ReplayArguments {
  std::filesystem::path record, checkpoint, dump, json, api_keys;
  WhichCalls which;
  PolicyArguments policy;
  Tolerances tolerances;
  ServerReplayOptions on_server = {.server = {.url = ""}};
};

void dump(const Record& record, const std::filesystem::path& directory) {
  for (const Record::Entry& entry : record.calls) {
    const RecordHead& head = record.files[entry.file].head;
    for (const std::filesystem::path& file : dump_call(entry.call(), head, directory)) {
      std::cout << "wrote " << file.string() << '\n';
    }
  }
}

Json to_json(const std::vector<PlayedCall>& calls) {
  static constexpr const char* kVerdicts[] = {"equal", "close", "differs", "not compared"};
  Json json = Json::array();
  for (const PlayedCall& call : calls) {
    Json one = {{"call", call.number},
                {"client", call.client},
                {"verdict", kVerdicts[static_cast<std::size_t>(call.verdict)]}};
    const auto put = [&one](const char* key, const std::optional<double>& value) {
      if (value) one[key] = *value;
    };
    put("pcc", call.correlation);
    put("largest_difference", call.largest_difference);
    put("then_ms", call.then_ms);
    put("now_ms", call.now_ms);
    if (!call.why.empty()) one["why"] = printable(call.why);
    json.push_back(std::move(one));
  }
  return json;
}

// Of the first call that has one; "and others" where they are not all alike.
std::string devices_of(const Record& record) {
  std::string device;
  for (const Record::Entry& entry : record.calls) {
    const std::string one = entry.call().device;
    if (device.empty()) device = one;
    if (!one.empty() && one != device) return device + " and others";
  }
  return device;
}

// What plays them, and what it is called.
struct Player {
  std::function<void(const std::function<void(PlayedCall)>&)> play;
  std::string name;
};

Player player_of(const ReplayArguments& arguments, const Record& record,
                 const std::function<void(const Progress&)>& show) {
  if (!arguments.on_server.server.url.empty()) {
    ServerReplayOptions options = arguments.on_server;
    if (!arguments.api_keys.empty()) {
      options.server.api_key = read_api_keys(arguments.api_keys).front();
    }
    return {[&record, options, &tolerances = arguments.tolerances](const auto& played) {
              replay_on_server(record, options, tolerances, played);
            },
            options.server.url};
  }
  const Checkpoint checkpoint = Checkpoint::open(arguments.checkpoint, arguments.policy.checkpoint);
  DeviceOptions device = arguments.policy.device;
  device.progress = show;
  const auto policy = std::make_shared<const Policy>(checkpoint.load(device));
  print_warnings(policy->info().warnings);
  return {[&record, checkpoint, policy, &tolerances = arguments.tolerances](const auto& played) {
            replay(record, checkpoint, *policy, tolerances, played);
          },
          policy->network().device()};
}

int run_replay(const ReplayArguments& arguments) {
  require_report_paths(arguments.json);
  const Record record = open_record(arguments.record, arguments.which);
  print_warnings(record.warnings);
  if (!arguments.dump.empty()) dump(record, arguments.dump);
  if (arguments.checkpoint.empty() && arguments.on_server.server.url.empty()) return kExitOk;

  ProgressLine line;
  const auto show = line.callback();
  const Player player = player_of(arguments, record, show);
  std::vector<PlayedCall> calls;
  const auto begin = std::chrono::steady_clock::now();
  player.play([&](PlayedCall call) {
    calls.push_back(std::move(call));
    show({"replaying", calls.size(), std::max(calls.size(), record.calls.size())});
  });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  line.finish();
  Report report = replay_report(calls, devices_of(record), player.name);
  report.title =
      fmt::format("{} calls in {} s, {} a second", calls.size(), short_text(seconds.count(), 3),
                  short_text(static_cast<double>(calls.size()) / seconds.count(), 3));
  give_report(report, to_json(calls), arguments.json);
  return all_agree(calls) ? kExitOk : kExitVerdict;
}

}  // namespace

void add_replay(CLI::App& command, Run& run) {
  auto arguments = std::make_shared<ReplayArguments>();
  CLI::App& verb = *command.add_subcommand(
      "replay", "Play calls that `pi0 serve --record` kept: do they give what they gave?");
  verb.add_option("RECORD", arguments->record, "Directory that a server recorded into")
      ->required()
      ->type_name("DIR");
  CLI::Option* const checkpoint = verb.add_option("CHECKPOINT", arguments->checkpoint,
                                                  "Whose policy plays them, in this process")
                                      ->type_name("DIR");
  ServerReplayOptions& on_server = arguments->on_server;
  CLI::Option* const server =
      verb.add_option("--server", on_server.server.url, "A policy server that plays them")
          ->type_name("ws://HOST:PORT")
          ->excludes(checkpoint);
  verb.add_option("--api-key-file", arguments->api_keys, "Of --server: its key, in the first line")
      ->type_name("FILE")
      ->needs(server);
  verb.add_option("--ca-file", on_server.server.ca_file, "Of --server wss://: whom to trust, PEM")
      ->type_name("FILE")
      ->needs(server);
  verb.add_option("--clients", on_server.clients,
                  "Of --server: at once, each playing one recorded client's calls; default: as "
                  "many as were recorded")
      ->type_name("N")
      ->check(whole_number(1))
      ->needs(server);
  verb.add_option("--rate", on_server.rate,
                  "Of --server: calls a second of each client, answered or not; default: the next "
                  "when one is answered")
      ->type_name("HZ")
      ->check(rate())
      ->needs(server);
  verb.add_option("--repeat", on_server.repeat, "Of --server: times")
      ->type_name("N")
      ->check(whole_number(1))
      ->needs(server)
      ->capture_default_str();
  verb.add_option("--call", arguments->which.call, "That one alone, by its number")
      ->type_name("N")
      ->check(seed_number());
  verb.add_option("--client", arguments->which.client,
                  "One client's alone, by the number of its first call")
      ->type_name("N")
      ->check(seed_number());
  add_policy_options(verb, arguments->policy);
  add_scheduling_options(verb, arguments->policy.device);
  add_cache_option(verb, arguments->policy.device);
  add_checkpoint_options(verb, arguments->policy.checkpoint);
  verb.add_option(
          "--tolerance", arguments->tolerances.difference,
          "Largest difference allowed of fp32 from fp32, and of any type's actions from what "
          "its outputs make them, times the largest action where that is above 1; 0: bit for "
          "bit, on any device")
      ->type_name("X")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb.add_option("--least-pcc", arguments->tolerances.least_correlation,
                  "Judge every call by its correlation (of actions - noise); default: where a "
                  "device computes in less than fp32, with what it promises in `pi0 verify`")
      ->type_name("X")
      ->check(CLI::Range(-1.0, 1.0));
  CLI::Option* const dump =
      verb.add_option("--dump", arguments->dump,
                      "Write what was seen there (PNG), told, asked and answered (JSON)")
          ->type_name("DIR");
  add_json_option(verb, arguments->json);
  verb.footer(
      "The same device and type give the same bits. Exit status 1: a call differs by more than "
      "that. The options of the checkpoint are those that the server had.");
  verb.callback([&run, arguments, checkpoint, server, dump] {
    if (checkpoint->empty() && server->empty() && dump->empty()) {
      throw CLI::RequiredError("CHECKPOINT, --server or --dump");
    }
    run = [arguments] { return run_replay(*arguments); };
  });
}

}  // namespace pi0
