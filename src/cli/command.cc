// The command `pi0`: its verbs, and what becomes of an error.
#include "cli/command.h"

#include <iostream>
#include <new>

#include "cli/verbs.h"
#include "pi0/device.h"
#include "pi0/error.h"

namespace {

std::string devices() {
  std::string text = "Devices:\n";
  for (const pi0::DeviceInfo& device : pi0::available_devices()) {
    text += "  " + device.name + "  " + device.description + "\n";
  }
  return text;
}

}  // namespace

int pi0::run_command(int argc, char** argv) {
  CLI::App command(
      "Runs the π0 and π0.5 robot policies: camera images, joint state and an "
      "instruction in, a chunk of actions out.",
      "pi0");
  command.set_version_flag("--version", std::string("pi0 ") + PI0_VERSION);
  command.require_subcommand(1);
  command.footer(devices());
  pi0::Run run;
  pi0::add_info(command, run);
  pi0::add_run(command, run);
  pi0::add_verify(command, run);
  pi0::add_compare(command, run);
  pi0::add_audit(command, run);
  pi0::add_bench(command, run);
  try {
    command.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return command.exit(error) == 0 ? pi0::kExitOk : pi0::kExitError;
  }
  try {
    return run();
  } catch (const pi0::Error& error) {
    std::cerr << "pi0: " << error.what() << '\n';
  } catch (const std::bad_alloc&) {
    std::cerr << "pi0: out of memory\n";
  } catch (const std::exception& error) {
    std::cerr << "pi0: unexpected: " << error.what() << '\n';
  }
  return pi0::kExitError;
}
