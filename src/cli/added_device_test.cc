// A device that a program adds is offered, explained, measured and judged everywhere, though
// nothing knows of it: here the reference under another name.
#include <gtest/gtest.h>

#include "cli/command.h"
#include "device/operation_log.h"
#include "device/reference/reference.h"
#include "device/registry/registry.h"

namespace pi0 {
namespace {

// ---- All that a device takes, beside the device itself ----

class Twin final : public CostModel {
 public:
  std::string machine() const override { return "twin1"; }
  Cost cost(const OperationRecord& operation) const override {
    return {operation.flops / 1e12, "compute"};
  }
};

class TwinBackend final : public Backend {
 public:
  DeviceInfo info() const override {
    return {.name = "twin",
            .description = "the reference's twin",
            .forms = {{":N", "the N-th of them"}},
            .options = {device_option::kThreads}};
  }
  void check(const DeviceRequest& request, const DeviceName& name) const override {
    if (name.which == "0") refuse_device(request.name, "they are counted from 1");
  }
  OpenDevice open(const DeviceRequest& request, const DeviceName& name,
                  const std::string& reason) const override {
    return {.device = logged_as_asked(request, "twin", make_reference_device),
            .description = "twin (" + reason + ")",
            .least_correlation = 0.998,
            .holding = holding(request, name),
            .peak = HostPeak{"any", "fp32", 1, "fma", [] { return 1e12; }},
            .settings = {{"How the twin does it", {{"row", "all", "alike", "it is a twin"}}}}};
  }
  Holding holding(const DeviceRequest&, const DeviceName&) const override {
    return {.own_memory = OwnMemory{"twin1", std::int64_t{1} << 40, 0}, .on_host = false};
  }
  std::vector<std::string> machines() const override { return {"twin1"}; }
  std::unique_ptr<CostModel> cost_model(const std::string& machine) const override {
    return machine == "twin1" ? std::make_unique<Twin>() : nullptr;
  }
};

// ---- And what a user then sees ----

struct Result {
  int status;
  std::string out, err;
};

Result pi0(std::vector<std::string> arguments) {
  static const bool added = (add_backend(std::make_shared<TwinBackend>()), true);
  EXPECT_TRUE(added);
  arguments.insert(arguments.begin(), "pi0");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int status = run_command(static_cast<int>(argv.size()), argv.data());
  std::string out = testing::internal::GetCapturedStdout();
  return {status, std::move(out), testing::internal::GetCapturedStderr()};
}

const std::string kGolden = PI0_SOURCE_DIR "/testdata/golden/pi0_tiny";

void expect(const Result& result, int status, const std::vector<std::string>& words) {
  EXPECT_EQ(result.status, status) << result.err;
  for (const std::string& word : words) {
    EXPECT_NE((result.out + result.err).find(word), std::string::npos)
        << "no " << word << " in " << result.out << result.err;
  }
}

TEST(AddedDeviceTest, IsInTheHelp) {
  expect(pi0({"--help"}), 0, {"twin  the reference's twin", "twin:N  the N-th of them"});
  bool listed = false;
  for (const DeviceInfo& device : available_devices()) listed |= device.name == "twin";
  EXPECT_TRUE(listed);
}

TEST(AddedDeviceTest, IsChosenAndRefusedByName) {
  expect(pi0({"bench", kGolden, "--device", "twin:0"}), 2, {"twin:0: they are counted from 1"});
  expect(pi0({"bench", kGolden, "--device", "twin", "--dtype", "int8"}), 2,
         {"twin takes no dtype", "--device cpu"});
  expect(pi0({"bench", kGolden, "--device", "gpu"}), 2, {"no such device", "twin"});
}

TEST(AddedDeviceTest, HasItsMemoryInInfo) {
  expect(pi0({"info", kGolden, "--device", "twin:2", "--raw"}), 1, {"twin (named)", "twin, f32: "});
}

TEST(AddedDeviceTest, IsVerifiedByItsOwnTolerance) {
  expect(pi0({"verify", kGolden, "--device", "twin", kGolden + "/full.safetensors"}), 0,
         {"twin (named)", "0.998 corr"});
}

TEST(AddedDeviceTest, IsCompared) {
  expect(pi0({"compare", kGolden, "--device", "twin", "--random-input", "3"}), 0,
         {"twin (named)", "the same"});
}

TEST(AddedDeviceTest, IsBenchedAgainstItsPeak) {
  expect(pi0({"bench", kGolden, "--device", "twin", "--runs", "1", "--warmup", "0"}), 0,
         {"on twin (named)", "peak: 1.00 TFLOP/s, fma"});
}

TEST(AddedDeviceTest, IsAudited) {
  expect(pi0({"audit", kGolden, "--device", "twin"}), 0,
         {"twin (named)", "How the twin does it", "Roofline of twin1"});
}

}  // namespace
}  // namespace pi0
