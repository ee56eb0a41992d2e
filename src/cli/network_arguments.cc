#include "cli/network_arguments.h"

#include <array>
#include <iostream>

#include "cli/policy_arguments.h"
#include "files/file.h"
#include "model/random_weights.h"
#include "report/output_path.h"

namespace pi0 {
namespace {

constexpr std::array<std::string_view, 1> kJson = {".json"};
constexpr std::array<std::string_view, 1> kMarkdown = {".md"};

CheckpointData random_checkpoint(const std::string& kind, bool with_weights) {
  CheckpointData checkpoint;
  checkpoint.directory = "--random " + kind;  // what an error names
  checkpoint.model = full_size_config(kind == "pi0" ? ModelKind::kPi0 : ModelKind::kPi05);
  checkpoint.dtype = "bf16";
  checkpoint.weights =
      with_weights ? make_random_weights(checkpoint.model) : make_weight_shapes(checkpoint.model);
  return checkpoint;
}

}  // namespace

void add_network_arguments(CLI::App& verb, NetworkArguments& arguments) {
  CLI::Option_group& group = *verb.add_option_group("Network", "Which network");
  group
      .add_option("CHECKPOINT", arguments.checkpoint,
                  "Directory as lerobot saves it, or as openpi's PyTorch conversion leaves it")
      ->type_name("DIR");
  group
      .add_option("--random", arguments.random,
                  "A full-size network with random weights, its vocabulary cut to 1024")
      ->type_name("pi0|pi05")
      ->check(CLI::IsMember({"pi0", "pi05"}));
  group.require_option(1);
}

void add_input_size_options(CLI::App& verb, InputSize& size) {
  verb.add_option("--cameras", size.cameras, "Cameras of the call; default: all of the network's")
      ->type_name("N")
      ->check(whole_number(1));
  verb.add_option("--tokens", size.tokens,
                  "Prompt tokens of the call; default: the most that the network takes (48 of pi0, "
                  "200 of pi0.5)")
      ->type_name("N")
      ->check(whole_number(1));
  verb.add_option("--steps", size.steps,
                  "Denoising (Euler) steps; default: the checkpoint's, usually 10")
      ->type_name("N")
      ->check(whole_number(1));
}

void add_json_option(CLI::App& verb, std::filesystem::path& path) {
  verb.add_option("--json", path, "Write the figures there")->type_name("FILE.json");
}

CheckpointData open_network(const NetworkArguments& arguments, const CheckpointOverrides& options,
                            bool with_weights) {
  if (arguments.is_random()) return random_checkpoint(arguments.random, with_weights);
  CheckpointOverrides reading = options;
  if (!arguments.base.empty()) reading.base = arguments.base;
  return open_checkpoint(arguments.checkpoint, reading);
}

void require_report_paths(const std::filesystem::path& json,
                          const std::filesystem::path& markdown) {
  if (!json.empty()) require_writable(json, kJson);
  if (!markdown.empty()) require_writable(markdown, kMarkdown);
}

void give_report(const Report& report, const Json& values, const std::filesystem::path& json,
                 const std::filesystem::path& markdown) {
  std::cout << to_text(report);
  if (!json.empty()) {
    write_file(json, values.dump(1) + "\n");
    std::cout << "wrote " << json.string() << '\n';
  }
  if (!markdown.empty()) {
    write_file(markdown, to_markdown(report));
    std::cout << "wrote " << markdown.string() << '\n';
  }
}

}  // namespace pi0
