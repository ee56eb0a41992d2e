// pi0 audit: what runs where?
#include <algorithm>
#include <memory>

#include "cli/network_arguments.h"
#include "cli/policy_arguments.h"
#include "cli/verbs.h"
#include "device/registry/registry.h"
#include "profile/audit_report.h"
#include "report/progress.h"
#include "runtime/device_request.h"

namespace pi0 {
namespace {

struct AuditArguments {
  NetworkArguments network;
  DeviceOptions device;
  std::string card;
  InputSize size;
  std::filesystem::path json, markdown;
};

int run_audit_verb(const AuditArguments& arguments) {
  require_report_paths(arguments.json, arguments.markdown);
  DeviceRequest request = device_request(arguments.device);
  // The card that is asked about is also the one that is emulated.
  const Choice choice = choose_backend(request);
  const std::vector<std::string> cards = choice.backend->machines();
  if (!choice.name.which && std::find(cards.begin(), cards.end(), arguments.card) != cards.end()) {
    request.name.insert(choice.name.kind.size(), ":" + arguments.card);
  }
  // Where the weights are made up, what comes out says nothing: the operations do.
  request.arithmetic = !arguments.network.is_random();
  const CheckpointData checkpoint =
      open_network(arguments.network, {.network_alone = true}, request.arithmetic);
  const NetworkCall call = random_call(checkpoint.model, arguments.size, 0);
  ProgressLine line;
  const AuditRun run = run_audit(checkpoint, call, request, arguments.card, line.callback());
  line.finish();
  give_report(audit_report(run), audit_json(run), arguments.json, arguments.markdown);
  return kExitOk;
}

}  // namespace

void add_audit(CLI::App& command, Run& run) {
  auto arguments = std::make_shared<AuditArguments>();
  CLI::App& verb = *command.add_subcommand(
      "audit",
      "What runs where: each operation of a call, its shape, placement, bytes and FLOPs, memory, "
      "and what a card could do at best");
  add_network_arguments(verb, arguments->network);
  add_base_option(verb, arguments->network.base);
  add_device_options(verb, arguments->device);
  add_input_size_options(verb, arguments->size);
  verb.add_option("--card", arguments->card,
                  "Whose roofline, and with --device ttnn-emulated which card; default: the "
                  "device's own, else n150")
      ->type_name("n150|p150")
      ->check(CLI::IsMember(modelled_machines()));
  verb.add_option("--markdown", arguments->markdown, "Write what is printed there")
      ->type_name("FILE.md");
  add_json_option(verb, arguments->json);
  verb.callback([&run, arguments] { run = [arguments] { return run_audit_verb(*arguments); }; });
}

}  // namespace pi0
