// The command `pi0`: its verbs, and what becomes of an error.
#include "cli/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <new>
#include <string>
#include <vector>

#include "base/text.h"
#include "cli/usage_error.h"
#include "cli/verbs.h"
#include "pi0/device.h"
#include "pi0/error.h"
#include "pi0/version.h"

namespace {

std::string devices() {
  std::string text = "Devices, the best first:\n";
  for (const pi0::DeviceInfo& device : pi0::available_devices()) {
    text += fmt::format("  {}  {}", device.name, device.description);
    if (!device.absent.empty()) text += fmt::format(" (not here: {})", device.absent);
    text += "\n";
    for (const pi0::DeviceNameForm& form : device.forms) {
      text += fmt::format("      {}{}  {}\n", device.name, form.form, form.meaning);
    }
  }
  text += "  ttnn:0,ttnn:1  several of one kind: run, serve\n";
  return text;
}

// As CLI11 takes them, the last first. An empty value is one: to it "--prompt=" has none, and takes
// what follows.
std::vector<std::string> arguments_of(int argc, char** argv) {
  std::vector<std::string> arguments;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    const bool is_empty = argument.starts_with("--") && argument.find('=') == argument.size() - 1;
    if (is_empty) argument.pop_back();
    arguments.push_back(std::move(argument));
    if (is_empty) arguments.emplace_back();
  }
  std::reverse(arguments.begin(), arguments.end());
  return arguments;
}

}  // namespace

int pi0::run_command(int argc, char** argv) {
  CLI::App command(
      "Runs the π0 and π0.5 robot policies: camera images, joint state and an "
      "instruction in, a chunk of actions out.",
      "pi0");
  command.set_version_flag("--version", std::string("pi0 ") + version());
  command.require_subcommand(1);
  command.footer(devices());
  pi0::Run run;
  pi0::add_info(command, run);
  pi0::add_doctor(command, run);
  pi0::add_run(command, run);
#ifdef PI0_SERVE
  pi0::add_serve(command, run);
  pi0::add_replay(command, run);
#endif
  pi0::add_verify(command, run);
  pi0::add_compare(command, run);
  pi0::add_audit(command, run);
  pi0::add_bench(command, run);
  try {
    command.parse(arguments_of(argc, argv));
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // --help or --version, which it prints
      command.exit(error);
      return pi0::kExitOk;
    }
    std::cerr << "pi0: " << pi0::printable(pi0::usage_sentence(command, error)) << '\n';
    return pi0::kExitError;
  }
  try {
    const int status = run();
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {  // std::cout writes there too
      throw pi0::Error(pi0::ErrorCode::kIo,
                       "standard output cannot be written: not all of what was found is there");
    }
    return status;
  } catch (const pi0::Error& error) {
    std::cerr << "pi0: " << pi0::printable(error.what()) << '\n';
  } catch (const std::bad_alloc&) {
    std::cerr << "pi0: out of memory\n";
  } catch (const std::exception& error) {
    std::cerr << "pi0: unexpected: " << pi0::printable(error.what()) << '\n';
  }
  return pi0::kExitError;
}
