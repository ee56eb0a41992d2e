// Arguments that several verbs share: which checkpoint, and how it is to be read.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "pi0/policy.h"

namespace pi0 {

// A whole number from `least` on; says so in a few words.
CLI::Validator whole_number(int least);
// The same for a seed: 0 to 2^64 - 1.
CLI::Validator seed_number();
// A robot's control steps a second: 0.001 to 1000.
CLI::Validator rate();

// Adds CHECKPOINT.
void add_checkpoint_argument(CLI::App& verb, std::filesystem::path& checkpoint);

// How a policy is opened and loaded.
struct PolicyArguments {
  CheckpointOptions checkpoint;
  DeviceOptions device;
};

// Adds --base.
void add_base_option(CLI::App& verb, std::filesystem::path& base);
// Adds what a checkpoint does not say: --base, --norm-stats, and of openpi's form --prompt-format,
// --delta-mask, --asset, --action-dims and others.
void add_checkpoint_options(CLI::App& verb, CheckpointOptions& options);

// Adds --device, --dtype, --threads.
void add_device_options(CLI::App& verb, DeviceOptions& options);
// Adds --affinity, --priority, of the threads that a network starts; the calling one takes its part
// of them by schedule_this_thread(), which throws Error where the system does not allow it.
void add_scheduling_options(CLI::App& verb, DeviceOptions& options);
void schedule_this_thread(const DeviceOptions& options);

// Adds --cache, to verbs that load as a robot does.
void add_cache_option(CLI::App& verb, DeviceOptions& options);

// Adds the options of devices, --tokenizer, --resize, --raw.
void add_policy_options(CLI::App& verb, PolicyArguments& options);

// Prints each on stderr as a line of its own.
void print_warnings(const std::vector<std::string>& warnings);

}  // namespace pi0
