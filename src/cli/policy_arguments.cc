#include "cli/policy_arguments.h"

#include <algorithm>
#include <charconv>
#include <iostream>

#include "base/text.h"
#include "cli/inputs.h"
#include "device/backend.h"
#include "host/scheduling.h"

namespace pi0 {

namespace {

// A whole number that `Number` holds; `range` is how an error goes on.
template <typename Number>
CLI::Validator number_from(Number least, const std::string& range) {
  return CLI::Validator(
      [least, range](const std::string& text) -> std::string {
        Number value = 0;
        const char* const end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, value);
        if (error == std::errc() && stop == end && value >= least) return {};
        if (error == std::errc::result_out_of_range) return text + " is out of range";
        return text + " is not a whole number from " + range;
      },
      "");
}

// "Of cpu: ", the devices that take an option.
std::string taken_by(const std::string& option) {
  std::string names;
  for (const DeviceInfo& device : available_devices()) {
    if (std::find(device.options.begin(), device.options.end(), option) != device.options.end()) {
      names += (names.empty() ? "Of " : ", ") + device.name;
    }
  }
  return names + ": ";
}

}  // namespace

CLI::Validator whole_number(int least) { return number_from(least, std::to_string(least) + " on"); }

CLI::Validator seed_number() { return number_from(std::uint64_t{0}, "0 to 18446744073709551615"); }

CLI::Validator rate() {
  return CLI::Validator(
      [](const std::string& text) -> std::string {
        const std::optional<float> hz = parse_number(text);
        if (hz && *hz >= 0.001f && *hz <= 1000) return {};
        return text + " is not a rate from 0.001 to 1000 steps a second";
      },
      "");
}

void add_checkpoint_argument(CLI::App& verb, std::filesystem::path& checkpoint) {
  verb.add_option("CHECKPOINT", checkpoint,
                  "Directory as lerobot saves it, or as openpi's PyTorch conversion leaves it")
      ->required()
      ->type_name("DIR");
}

void add_base_option(CLI::App& verb, std::filesystem::path& base) {
  verb.add_option(
          "--base", base,
          "Adapters (LoRA): the directory of the weights that they change; default: as their "
          "configuration names it, beside them or in the Hugging Face Hub's cache")
      ->type_name("DIR");
}

void add_checkpoint_options(CLI::App& verb, CheckpointOptions& options) {
  add_base_option(verb, options.base);
  verb.add_option("--norm-stats", options.norm_stats,
                  "Statistics to take in place of the checkpoint's: openpi's norm_stats.json, "
                  "lerobot's meta/stats.json or a processor's safetensors")
      ->type_name("FILE");
  verb.add_option("--prompt-format", options.prompt_format,
                  "pi0, or pi05 (the state's bins in the prompt); default: as the checkpoint says")
      ->type_name("pi0|pi05");
  verb.add_option("--lerobot-version", options.lerobot_version,
                  "lerobot: the release that trained it, where its files do not say: 0.4 padded "
                  "pi05's state in the prompt, and images otherwise")
      ->type_name("X.Y");
  verb.add_option_function<std::string>(
          "--delta-mask", [&options](const std::string& mask) { options.delta_mask = mask; },
          "openpi: which action dimensions are relative to the state, as make_bool_mask takes it "
          "(6,-1: six are, one is not)")
      ->type_name("N,N,…");
  verb.add_option("--asset", options.asset,
                  "openpi: whose statistics, where there are several under assets/")
      ->type_name("ID");
  verb.add_option("--action-dims", options.action_dims, "openpi: the robot's action dimensions")
      ->type_name("N")
      ->check(whole_number(1));
  verb.add_flag("--adapt-to-pi", options.adapt_to_pi,
                "openpi: ALOHA's joints and grippers become those that π0 was trained with, and "
                "back, as its adapt_to_pi does (true there unless said)");
  verb.add_option("--action-horizon", options.action_horizon,
                  "openpi: steps of a chunk, where no config.json says them (50 unless said)")
      ->type_name("N")
      ->check(whole_number(1));
  verb.add_option(
          "--max-token-len", options.max_token_len,
          "openpi: tokens of the longest prompt, what is longer being cut, where training's "
          "configuration says it (48 of pi0, 200 of pi05 unless said)")
      ->type_name("N")
      ->check(whole_number(1));
}

void add_device_options(CLI::App& verb, DeviceOptions& options) {
  verb.add_option("--device", options.device, "auto, or one of those that `pi0 --help` lists")
      ->type_name("NAME")
      ->capture_default_str();
  verb.add_option("--dtype", options.dtype,
                  taken_by(device_option::kDtype) +
                      "what it multiplies in; bf16 unless said, whatever the checkpoint has")
      ->type_name("bf16|int8|fp32");
  verb.add_option("--threads", options.threads,
                  taken_by(device_option::kThreads) + "how many; default: one a core")
      ->type_name("N")
      ->check(whole_number(1));
}

void add_scheduling_options(CLI::App& verb, DeviceOptions& options) {
  verb.add_option(
          "--affinity", options.affinity,
          taken_by(device_option::kAffinity) + "run on these cores, by number, one thread on each")
      ->type_name("N,N,…")
      ->delimiter(',')
      ->check(whole_number(0));
  verb.add_option("--priority", options.priority,
                  taken_by(device_option::kPriority) +
                      "real-time priority of its threads (SCHED_FIFO), where allowed")
      ->type_name("1-99")
      ->check(whole_number(1));
}

void schedule_this_thread(const DeviceOptions& options) {
  cpu::apply({options.affinity, options.priority}, 0, pthread_self());
}

void add_cache_option(CLI::App& verb, DeviceOptions& options) {
  verb.add_option(
          "--cache", options.cache,
          taken_by(device_option::kCache) +
              "keep the prepared weights there, for the next start to map; as large as the network")
      ->type_name("DIR");
}

void add_policy_options(CLI::App& verb, PolicyArguments& options) {
  add_device_options(verb, options.device);
  verb.add_option("--tokenizer", options.checkpoint.tokenizer,
                  "tokenizer.model or tokenizer.json; default: beside the checkpoint, then "
                  "PI0_TOKENIZER")
      ->type_name("FILE");
  verb.add_option("--resize", options.checkpoint.resize,
                  "openpi (PIL, as its client) or lerobot (float); default: the checkpoint's own")
      ->type_name("openpi|lerobot");
  verb.add_flag("--raw", options.checkpoint.raw,
                "State and actions as the network has them, without normalisation");
}

void print_warnings(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) {
    std::cerr << "pi0: warning: " << printable(warning) << '\n';
  }
}

}  // namespace pi0
