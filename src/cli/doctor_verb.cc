// pi0 doctor: what is wrong with a checkpoint, before a robot moves by it.
#include <iostream>
#include <memory>

#include "cli/network_arguments.h"
#include "cli/policy_arguments.h"
#include "cli/verbs.h"
#include "doctor/doctor.h"
#include "files/file.h"
#include "files/json.h"
#include "report/progress.h"

namespace pi0 {
namespace {

struct DoctorArguments {
  std::filesystem::path checkpoint;
  PolicyArguments policy;
  OwnData data;
  std::filesystem::path json;
};

Json to_json(const Findings& findings) {
  Json list = Json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"severity", name_of(finding.severity)},
                    {"subject", finding.subject},
                    {"found", finding.found},
                    {"why", finding.why},
                    {"way_out", finding.way_out}});
  }
  return {{"findings", list}};
}

int run_doctor(DoctorArguments arguments) {
  require_report_paths(arguments.json);
  ProgressLine line;
  arguments.policy.device.progress = line.callback();
  const Findings findings = examine(arguments.checkpoint, arguments.policy.checkpoint,
                                    arguments.policy.device, arguments.data);
  line.finish();
  std::cout << to_text(findings);
  if (!arguments.json.empty()) {
    write_file(arguments.json, to_json(findings).dump(1) + "\n");
    std::cout << "wrote " << arguments.json.string() << '\n';
  }
  return count_of(findings, Severity::kRefuse) > 0 ? kExitVerdict : kExitOk;
}

}  // namespace

void add_doctor(CLI::App& command, Run& run) {
  auto arguments = std::make_shared<DoctorArguments>();
  CLI::App& verb = *command.add_subcommand(
      "doctor",
      "Before a robot moves: what `info` finds and what only arithmetic shows (statistics, "
      "tokenizer, cameras, every weight), as ok, warning or refuse, each with its reason and the "
      "way out; exit status 0 where nothing is refused, else 1");
  add_checkpoint_argument(verb, arguments->checkpoint);
  verb.add_option("--dataset-sample", arguments->data.data_sample,
                  "A few of your observations with the actions that followed "
                  "(tools/dataset_sample.py): does it predict them better than a robot that holds "
                  "still?")
      ->type_name("FILE");
  verb.add_option("--recording", arguments->data.recording,
                  "The same of a whole-way recording's cases that hold expert_actions")
      ->type_name("FILE");
  add_policy_options(verb, arguments->policy);
  add_checkpoint_options(verb, arguments->policy.checkpoint);
  add_json_option(verb, arguments->json);
  verb.callback([&run, arguments] { run = [arguments] { return run_doctor(*arguments); }; });
}

}  // namespace pi0
