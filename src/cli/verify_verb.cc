// pi0 verify: is it the same as PyTorch?
#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <memory>

#include "base/text.h"
#include "cli/policy_arguments.h"
#include "cli/verbs.h"
#include "files/safetensors.h"
#include "policy/options.h"
#include "report/output_path.h"
#include "report/progress.h"
#include "runtime/loaded_network.h"
#include "verify/verify.h"

namespace pi0 {
namespace {

struct VerifyArguments {
  std::filesystem::path checkpoint;
  std::vector<std::filesystem::path> recordings;
  std::filesystem::path dump;
  PolicyArguments policy;
  VerifyOptions verify;
};

constexpr std::array<std::string_view, 1> kDumpExtensions = {".safetensors"};

void print_stages(const std::vector<StageResult>& stages) {
  std::size_t width = 20;
  for (const StageResult& stage : stages) width = std::max(width, stage.stage.size());
  std::printf("  %-*s  %-18s  %10s  %10s  %11s\n", static_cast<int>(width), "stage", "shape",
              "largest", "allowed", "correlation");
  for (const StageResult& stage : stages) {
    const std::string allowed = stage.least_correlation > 0
                                    ? fixed_text(stage.least_correlation, 3) + " corr"
                                    : scientific_text(stage.tolerance, 2);
    std::printf("  %-*s  %-18s  %10.2e  %10s  %11.8f  %s\n", static_cast<int>(width),
                stage.stage.c_str(), shape_text(stage.shape).c_str(), stage.largest_difference,
                allowed.c_str(), stage.correlation, stage.passed() ? "ok" : "DIFFERS");
  }
}

void write_dump(const std::filesystem::path& path,
                const std::map<std::string, RecordedTensor>& computed) {
  std::vector<TensorToWrite> tensors;
  tensors.reserve(computed.size());
  for (const auto& [name, tensor] : computed) {
    tensors.push_back({name,
                       "F32",
                       tensor.shape,
                       {reinterpret_cast<const char*>(tensor.values.data()),
                        tensor.values.size() * sizeof(float)}});
  }
  write_safetensors(path, tensors);
  std::cout << "wrote " << path.string() << '\n';
}

int run_verify(VerifyArguments arguments) {
  if (!arguments.dump.empty()) {
    require_writable(arguments.dump, kDumpExtensions);
    if (arguments.recordings.size() != 1) {
      throw Error(ErrorCode::kInvalidInput, "--dump: takes one recording, given " +
                                                std::to_string(arguments.recordings.size()));
    }
  }
  const CheckpointData checkpoint =
      open_checkpoint(arguments.checkpoint, overrides_of(arguments.policy.checkpoint));
  std::vector<PyTorchRecording> recordings;
  for (const auto& path : arguments.recordings) {
    recordings.push_back(read_recording(path, checkpoint));
  }
  ProgressLine line;
  arguments.policy.device.progress = arguments.verify.progress = line.callback();
  const Network network = load_network(checkpoint, arguments.policy.device);
  print_warnings(network.info().warnings);

  RecordedPipelines pipelines(arguments.checkpoint, arguments.policy.checkpoint);
  std::size_t failed = 0, total = 0;
  for (const PyTorchRecording& recording : recordings) {
    Verification all;
    if (recording.network) {
      all = verify_network(network, checkpoint.model, *recording.network, recording.where,
                           arguments.verify);
    }
    for (const RecordedCase& one : recording.cases) {
      Verification result = verify_case(network, one, recording.where, pipelines, arguments.verify);
      all.stages.insert(all.stages.end(), result.stages.begin(), result.stages.end());
      all.computed.merge(result.computed);
      for (std::string& warning : result.warnings) {
        all.warnings.push_back(one.name + ": " + std::move(warning));
      }
    }
    line.finish();
    print_warnings(all.warnings);
    std::cout << recording.where << " on " << network.device() << std::endl;
    print_stages(all.stages);
    std::fflush(stdout);
    for (const StageResult& stage : all.stages) failed += stage.passed() ? 0 : 1;
    total += all.stages.size();
    if (!arguments.dump.empty()) write_dump(arguments.dump, all.computed);
  }
  if (failed == 0) {
    std::cout << "the same as PyTorch in all " << total << " stages\n";
    return kExitOk;
  }
  std::cout << failed << " of " << total << " stages differ from PyTorch\n";
  return kExitVerdict;
}

}  // namespace

void add_verify(CLI::App& command, Run& run) {
  auto arguments = std::make_shared<VerifyArguments>();
  CLI::App& verb = *command.add_subcommand(
      "verify", "Compare every stage with what PyTorch recorded (tools/record.py)");
  add_checkpoint_argument(verb, arguments->checkpoint);
  verb.add_option("RECORDING", arguments->recordings,
                  "Recordings of one call of the network, or of the whole way")
      ->required()
      ->type_name("FILE");
  add_policy_options(verb, arguments->policy);
  add_cache_option(verb, arguments->policy.device);
  add_checkpoint_options(verb, arguments->policy.checkpoint);
  verb.add_option("--tolerance", arguments->verify.tolerance,
                  "Largest difference allowed in fp32, times the stage's largest magnitude where "
                  "that is above 1; a device that computes in less is judged by correlation: 0.99 "
                  "of a stage, of actions - noise 0.999 in bf16, 0.995 in int8, 0.99 on a card")
      ->type_name("X")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb.add_option("--dump", arguments->dump,
                  "Write what was computed, under the recording's names and shapes")
      ->type_name("FILE.safetensors");
  verb.callback([&run, arguments] { run = [arguments] { return run_verify(*arguments); }; });
}

}  // namespace pi0
