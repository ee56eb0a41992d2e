// The CPU device, at each instruction set and type: against what PyTorch recorded, and at the
// widths of the published networks against the reference.
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

#include "device/cpu/cpu.h"
#include "device/cpu/isa/amx_testing.h"
#include "device/cpu/isa/isa.h"
#include "device/registry/registry.h"
#include "runtime/device_request.h"
#include "runtime/loaded_network.h"
#include "runtime/random_input.h"
#include "verify/comparison.h"
#include "verify/golden_testing.h"
#include "verify/verify.h"

namespace pi0 {
namespace {

constexpr const char* kEveryType[] = {"bf16", "int8", "fp32"};

// PI0_CPU_ISA while a test lasts.
class Forced {
 public:
  explicit Forced(cpu::Isa isa) {
    if (const char* value = std::getenv("PI0_CPU_ISA")) before_ = value;
    setenv("PI0_CPU_ISA", cpu::name_of(isa), 1);
  }
  ~Forced() {
    if (before_) {
      setenv("PI0_CPU_ISA", before_->c_str(), 1);
    } else {
      unsetenv("PI0_CPU_ISA");
    }
  }
  Forced(const Forced&) = delete;
  Forced& operator=(const Forced&) = delete;

 private:
  std::optional<std::string> before_;
};

using GoldenOnIsa = std::tuple<GoldenFile, cpu::Isa>;
class CpuGolden : public testing::TestWithParam<GoldenOnIsa> {};

void expect_all_pass(const Verification& verification) {
  EXPECT_FALSE(verification.stages.empty());
  for (const StageResult& stage : verification.stages) {
    EXPECT_TRUE(stage.passed()) << stage.stage << ": " << stage.largest_difference << " of "
                                << stage.tolerance << ", correlation " << stage.correlation
                                << " of " << stage.least_correlation;
  }
}

// On the instruction set that is forced, or on AMX in software.
Network network_on(cpu::Isa isa, const CheckpointData& checkpoint, const DeviceOptions& options) {
  if (cpu::is_supported(isa)) return load_network(checkpoint, options);
  OpenDevice opened = open_device(device_request(options));
  const CpuType type = options.dtype == "int8" ? CpuType::kInt8 : CpuType::kBf16;
  opened.device =
      cpu::make_cpu_device({.type = type, .isa = isa, .threads = 2}, cpu::amx_in_software(type));
  opened.description = "cpu (amx in software)";
  return load_network(checkpoint, std::move(opened));
}

TEST_P(CpuGolden, AgreesWithPyTorch) {
  const auto& [golden, isa] = GetParam();
  const bool here = cpu::is_supported(isa);
  if (!here && !(isa == cpu::Isa::kAmx && cpu::emulate_amx())) {
    GTEST_SKIP() << "NOT RUN: this machine has no " << cpu::name_of(isa);
  }
  std::optional<Forced> forced;
  if (here) forced.emplace(isa);
  const std::filesystem::path directory = golden.checkpoint;
  const CheckpointData checkpoint = open_checkpoint(directory);
  PyTorchRecording recording = read_recording(directory / golden.file, checkpoint);
  keep_few_guided(recording);
  for (const char* type : kEveryType) {
    SCOPED_TRACE(type);
    DeviceOptions options;
    options.device = "cpu";
    options.dtype = type;
    const CheckpointOptions reading{.tokenizer =
                                        kSource / "testdata/golden/preprocess/tokenizer.model"};
    RecordedPipelines pipelines(directory, reading);
    const bool fp32 = std::string_view(type) == "fp32";
    if (fp32 && !here) continue;  // which AMX has not
    const Network network = network_on(isa, checkpoint, options);
    // Judged by what it is: fp32 by its differences, the others by correlation.
    EXPECT_EQ(network.info().least_correlation == 0, fp32);
    EXPECT_NE(network.device().find(cpu::name_of(isa)), std::string::npos) << network.device();
    if (recording.network) {
      expect_all_pass(verify_network(network, checkpoint.model, *recording.network, recording.where,
                                     VerifyOptions()));
    }
    for (const RecordedCase& one : recording.cases) {
      SCOPED_TRACE(one.name);
      expect_all_pass(verify_case(network, one, recording.where, pipelines, VerifyOptions()));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, CpuGolden,
                         testing::Combine(testing::ValuesIn(golden_files()),
                                          testing::ValuesIn(cpu::kEveryIsa)),
                         [](const auto& info) {
                           return golden_name(std::get<0>(info.param)) + "_" +
                                  cpu::name_of(std::get<1>(info.param));
                         });

using WideOnIsa = std::tuple<ModelKind, cpu::Isa>;
class CpuFullWidth : public testing::TestWithParam<WideOnIsa> {};

struct Least {
  const char* type;
  double component, actions;
};
// Of 8 bits a value of the few rows and layers, and of a step of 1/127 of a row's largest.
constexpr Least kLeast[] = {
    {"bf16", 0.999, 0.999}, {"int8", 0.99, 0.995}, {"fp32", 0.999999, 0.999999}};

TEST_P(CpuFullWidth, CorrelatesWithTheReference) {
  const auto [kind, isa] = GetParam();
  if (!cpu::is_supported(isa)) {
    GTEST_SKIP() << "NOT RUN: this machine has no " << cpu::name_of(isa);
  }
  const Forced forced(isa);
  const CheckpointData checkpoint = full_width_checkpoint(kind, /*all_rows=*/false);
  const std::vector<NetworkCall> calls{random_call(checkpoint.model, {}, 11)};
  for (const auto& [type, component_least, actions_least] : kLeast) {
    Comparison comparison;
    compare_devices(checkpoint, {.name = "cpu", .dtype = type}, {.name = "reference"}, calls, {},
                    comparison);
    const testing::ScopedTrace trace(__FILE__, __LINE__, type);
    expect_components_correlate(comparison, component_least);
    EXPECT_GE(comparison.actions_pcc(), actions_least) << type;
    RecordProperty(std::string("worst_") + type, std::to_string(comparison.worst_pcc()));
    RecordProperty(std::string("actions_") + type, std::to_string(comparison.actions_pcc()));
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, CpuFullWidth,
                         testing::Combine(testing::Values(ModelKind::kPi0, ModelKind::kPi05),
                                          testing::ValuesIn(cpu::kEveryIsa)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param) == ModelKind::kPi0 ? "pi0"
                                                                                         : "pi05") +
                                  "_" + cpu::name_of(std::get<1>(info.param));
                         });

}  // namespace
}  // namespace pi0
