// Arguments of the verbs that look at a network itself: a checkpoint's, or a full-size one made up.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include "checkpoint/checkpoint.h"
#include "files/json.h"
#include "pi0/policy.h"
#include "report/report.h"
#include "runtime/random_input.h"

namespace pi0 {

struct NetworkArguments {
  std::filesystem::path checkpoint;
  std::filesystem::path base;  // of adapters; see add_base_option
  std::string random;  // "pi0", "pi05": a full-size network with random weights; empty: none
  bool is_random() const { return !random.empty(); }
};

// Adds CHECKPOINT and --random, of which one must be given.
void add_network_arguments(CLI::App& verb, NetworkArguments& arguments);
// Adds --cameras, --tokens, --steps.
void add_input_size_options(CLI::App& verb, InputSize& size);
// Adds --json.
void add_json_option(CLI::App& verb, std::filesystem::path& path);

// A random network without weights has shapes alone, for a device that computes nothing.
CheckpointData open_network(const NetworkArguments& arguments,
                            const CheckpointOverrides& options = {}, bool with_weights = true);

// Throws Error where a report could not be written, before the long part begins.
void require_report_paths(const std::filesystem::path& json,
                          const std::filesystem::path& markdown = {});

// Prints the report; writes it to the files that are named, and says so.
void give_report(const Report& report, const Json& values, const std::filesystem::path& json,
                 const std::filesystem::path& markdown = {});

}  // namespace pi0
