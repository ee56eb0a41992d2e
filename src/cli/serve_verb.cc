// pi0 serve: a policy for openpi's clients.
#include <fmt/format.h>
#include <signal.h>

#include <atomic>
#include <iostream>
#include <memory>
#include <mutex>
#include <thread>

#include "base/text.h"
#include "cli/policy_arguments.h"
#include "cli/verbs.h"
#include "device/backend.h"
#include "files/json.h"
#include "report/progress.h"
#include "runtime/devices.h"
#include "serve/api_keys.h"
#include "serve/http.h"
#include "serve/server.h"

namespace pi0 {
namespace {

struct ServeArguments {
  ServerOptions server;
  PolicyArguments policy;
  std::vector<std::string> devices;
  std::filesystem::path api_keys, metadata;
  double message_mb = 16;
  double record_gb = 4;
  std::optional<std::uint64_t> seed;
};

std::vector<DeviceOptions> devices_of(const ServeArguments& arguments) {
  std::vector<std::string> names;
  for (const std::string& listed : arguments.devices) {
    for (std::string& name : device_names(listed)) names.push_back(std::move(name));
  }
  if (names.empty()) names.push_back(arguments.policy.device.device);
  return each_device(arguments.policy.device, names);
}

Json read_metadata(const std::filesystem::path& file) {
  Json metadata = read_input_json(file);
  if (!metadata.is_object()) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: is {}, expected an object", file.string(), describe(metadata)));
  }
  return metadata;
}

ServerOptions options_of(const ServeArguments& arguments) {
  ServerOptions options = arguments.server;
  options.read = arguments.policy.checkpoint;
  options.devices = devices_of(arguments);
  options.sample.seed = arguments.seed;
  options.limits.message_bytes = static_cast<std::size_t>(arguments.message_mb * (1 << 20));
  options.record_bytes = static_cast<std::uint64_t>(arguments.record_gb * 1e9);
  if (!arguments.api_keys.empty()) options.api_keys = read_api_keys(arguments.api_keys);
  if (!arguments.metadata.empty()) options.metadata = read_metadata(arguments.metadata);
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    throw Error(ErrorCode::kInvalidInput,
                "--tls-cert and --tls-key: one is given, expected both or none");
  }
  return options;
}

// The signals that are the server's. Blocked before any other thread is made, so that all of them
// leave the signals to the watch.
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return set;
}

// SIGTERM and SIGINT stop the server, which has to outlive it; SIGHUP makes it read its checkpoint
// anew.
class SignalWatch {
 public:
  SignalWatch(const sigset_t& set, Server& server)
      : thread_([this, set, &server] {
          const timespec while_idle = {0, 200'000'000};
          while (!done_) {
            const int signal = sigtimedwait(&set, nullptr, &while_idle);
            if (signal == SIGHUP) server.reload();
            if (signal == SIGTERM || signal == SIGINT) server.stop();
          }
        }) {}
  ~SignalWatch() {
    done_ = true;
    thread_.join();
  }
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

int serve(const ServeArguments& arguments) {
  const ServerOptions options = options_of(arguments);
  const sigset_t signals = block_signals();
  std::mutex terminal;  // what happens is told on several threads
  ProgressLine line;
  const auto say = [&](const std::string& sentence) {
    const std::lock_guard lock(terminal);
    line.finish();
    std::cerr << "pi0: " << printable(sentence) << std::endl;
  };
  Server::Events events;
  events.listening = [&](const std::string& address) {
    say(fmt::format("serving {} on {}://{}", options.checkpoint.string(),
                    options.tls_cert.empty() ? "ws" : "wss", address));
    if (!is_loopback(options.host) && options.api_keys.empty()) {
      say("warning: whoever reaches this address may use it: there is no --api-key-file");
    }
  };
  events.progress = [&, show = line.callback()](const Progress& progress) {
    const std::lock_guard lock(terminal);
    show(progress);
  };
  events.ready = [&] { say("ready"); };
  events.said = say;
  Server server(options, std::move(events));
  const SignalWatch watch(signals, server);
  server.run();
  say("stopped");
  return kExitOk;
}

}  // namespace

void add_serve(CLI::App& command, Run& run) {
  auto arguments = std::make_shared<ServeArguments>();
  ServerOptions& server = arguments->server;
  ServerLimits& limits = server.limits;
  CLI::App& verb = *command.add_subcommand(
      "serve", "A policy server for openpi's clients: websocket, Prometheus, a page to look at");
  add_checkpoint_argument(verb, server.checkpoint);
  verb.add_option("--host", server.host, "Address to listen on; 0.0.0.0: all of this machine's")
      ->type_name("ADDRESS")
      ->capture_default_str();
  verb.add_option("--port", server.port, "0: one that is free")
      ->type_name("N")
      ->check(CLI::Range(0, 65535))
      ->capture_default_str();
  add_policy_options(verb, arguments->policy);
  CLI::Option* device = verb.get_option("--device");
  verb.remove_option(device);
  verb.add_option("--device", arguments->devices,
                  "As of `pi0 run`; several compute side by side (ttnn:0,ttnn:1, or given twice)")
      ->type_name("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_scheduling_options(verb, arguments->policy.device);
  add_cache_option(verb, arguments->policy.device);
  add_checkpoint_options(verb, arguments->policy.checkpoint);
  verb.add_option("--robot", server.robot,
                  "Whose messages: openpi's of aloha, libero or droid; none: lerobot's keys")
      ->type_name("aloha|libero|droid|none")
      ->capture_default_str();
  verb.add_option("--keys", server.keys, "A file that says under which keys messages have what")
      ->type_name("FILE.json");
  verb.add_option("--prompt", server.prompt, "For requests without one")->type_name("TEXT");
  verb.add_option("--metadata", arguments->metadata,
                  "A JSON object whose entries are told to each client first")
      ->type_name("FILE.json");
  verb.add_option("--steps", server.sample.steps,
                  "Denoising (Euler) steps; default: the checkpoint's, usually 10")
      ->type_name("N")
      ->check(whole_number(1));
  verb.add_option("--seed", arguments->seed, "Of every call's noise; default: new at every call")
      ->type_name("N")
      ->check(seed_number());
  verb.add_option("--api-key-file", arguments->api_keys,
                  "Keys, one a line: only who has one may call")
      ->type_name("FILE");
  verb.add_option(
          "--record", server.record,
          "Keep every call there, for `pi0 replay`: what the robots see; yours alone to read")
      ->type_name("DIR");
  verb.add_option("--record-gb", arguments->record_gb,
                  "The most that it may take; the oldest calls go first")
      ->type_name("GB")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  verb.add_option("--tls-cert", server.tls_cert, "Encrypt (wss, https): the certificate chain, PEM")
      ->type_name("FILE");
  verb.add_option("--tls-key", server.tls_key, "Its private key, PEM")->type_name("FILE");
  verb.add_option("--max-message-mb", arguments->message_mb, "Of a request")
      ->type_name("MB")
      ->check(CLI::Range(0.001, 4096.0))
      ->capture_default_str();
  verb.add_option("--max-connections", limits.connections, "Clients at once")
      ->type_name("N")
      ->check(whole_number(1))
      ->capture_default_str();
  verb.add_option("--max-queue", limits.queue, "Calls that wait, of all clients; more are refused")
      ->type_name("N")
      ->check(whole_number(1))
      ->capture_default_str();
  verb.add_option("--max-per-client", limits.per_client,
                  "Calls of one client that wait or are computed")
      ->type_name("N")
      ->check(whole_number(1))
      ->capture_default_str();
  verb.add_option("--max-rate", limits.rate, "Calls a second of one client; 0: as many as it likes")
      ->type_name("HZ")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  verb.add_option("--grace", limits.grace_s,
                  "Seconds for the calls under way when it is told to stop")
      ->type_name("S")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  verb.footer(
      "SIGTERM: finishes what is computed, refuses the rest, exits 0. SIGHUP: reads the "
      "checkpoint anew and serves it once it is loaded; connections stay.");
  verb.callback([&run, arguments] { run = [arguments] { return serve(*arguments); }; });
}

}  // namespace pi0
