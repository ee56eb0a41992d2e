// Which device a name gives, with an emulated card standing in for a real one.
#include "device/registry/registry.h"

#include <gtest/gtest.h>

#include "base/test_support.h"
#include "device/cpu/cpu.h"
#include "device/reference/reference.h"
#include "device/ttnn/emulated/emulated_shim.h"
#include "device/ttnn/ttnn.h"
#include "host/host_threads.h"

namespace pi0 {
namespace {

// A machine with so many cards, which remembers the one that was opened.
struct StandIn {
  explicit StandIn(int cards, bool built = true, bool simulated = false) {
    const CardAccess access{built, [cards] { return cards; },
                            [this](int card) {
                              opened = card;
                              return make_emulated_shim(*find_card("p150"));
                            },
                            simulated};
    backends = {make_ttnn_backend(access), make_cpu_backend(), make_emulated_backend(),
                make_reference_backend()};
  }
  Backends backends;
  int opened = -1;
};

StandIn without_ttnn() { return StandIn(0, false); }

void expect_refused(const std::string& name, const Backends& backends,
                    const std::vector<std::string>& words) {
  SCOPED_TRACE(name);
  expect_error(ErrorCode::kUnsupported, words, [&] { open_device({.name = name}, backends); });
}

TEST(DevicesTest, AutoTakesTheFirstCardAndSaysSo) {
  StandIn two(2);
  const OpenDevice chosen = open_device({.name = "auto"}, two.backends);
  EXPECT_EQ(two.opened, 0);
  EXPECT_EQ(chosen.device->name(), "ttnn");
  ASSERT_TRUE(chosen.holding.own_memory);
  EXPECT_EQ(chosen.holding.own_memory->of, "p150");
  for (const char* words : {"ttnn (", "p150", "the best device here"}) {
    EXPECT_NE(chosen.description.find(words), std::string::npos) << chosen.description;
  }
}

TEST(DevicesTest, AutoTakesTheProcessorWhereNoCardIsAndSaysWhy) {
  StandIn none(0);
  const OpenDevice no_card = open_device({.name = "auto"}, none.backends);
  EXPECT_EQ(none.opened, -1);
  EXPECT_EQ(no_card.device->name(), "cpu");
  EXPECT_NE(no_card.description.find("no Tenstorrent card"), std::string::npos);
  const OpenDevice no_ttnn = open_device({.name = "auto"}, without_ttnn().backends);
  EXPECT_EQ(no_ttnn.device->name(), "cpu");
  EXPECT_NE(no_ttnn.description.find("no TTNN"), std::string::npos) << no_ttnn.description;
}

TEST(DevicesTest, ASimulatedCardIsTakenOnlyWhenNamed) {
  StandIn simulated(1, true, true);
  EXPECT_EQ(open_device({.name = "auto"}, simulated.backends).device->name(), "cpu");
  EXPECT_EQ(simulated.opened, -1);
  EXPECT_EQ(open_device({.name = "ttnn"}, simulated.backends).device->name(), "ttnn");
  EXPECT_EQ(simulated.opened, 0);
  EXPECT_NE(simulated.backends.front()->info().description.find("simulator"), std::string::npos);
}

TEST(DevicesTest, TheProcessorTakesATypeAndThreads) {
  StandIn one(1);
  DeviceRequest request;
  request.name = "cpu";
  EXPECT_EQ(open_device(request, one.backends).peak->dtype, "bf16");
  request.dtype = "int8";
  request.threads = 1;
  const OpenDevice chosen = open_device(request, one.backends);
  EXPECT_EQ(chosen.peak->dtype, "int8");
  EXPECT_EQ(chosen.peak->threads, 1);
  for (const char* words : {"cpu (int8 on ", "1 thread;", "named"}) {
    EXPECT_NE(chosen.description.find(words), std::string::npos) << chosen.description;
  }
  // What only the processor has, auto takes there, even beside a card.
  request.name = "auto";
  EXPECT_EQ(open_device(request, one.backends).device->name(), "cpu");
  EXPECT_EQ(one.opened, -1);
  EXPECT_EQ(open_device({.name = "cpu:fp32"}, one.backends).peak->dtype, "fp32");
  // And where there is none, that is the reason, not what it would not take.
  for (const std::string dtype : {"", "int8"}) {
    request.dtype = dtype;
    const std::string said = open_device(request, without_ttnn().backends).description;
    EXPECT_NE(said.find("no TTNN"), std::string::npos) << said;
  }
}

TEST(DevicesTest, RefusesWhatTheProcessorCannotDo) {
  StandIn one(1);
  const auto refused = [&](const std::string& name, const std::string& dtype, int threads,
                           const std::vector<std::string>& words) {
    DeviceRequest request;
    request.name = name;
    request.dtype = dtype;
    request.threads = threads;
    expect_error(ErrorCode::kUnsupported, words, [&] { open_device(request, one.backends); });
  };
  refused("cpu", "fp16", 0, {"fp16", "bf16, int8 or fp32"});
  refused("cpu:", "", 0, {"expected bf16, int8 or fp32"});
  refused("cpu:int8", "bf16", 0, {"cpu:int8", "bf16"});
  refused("cpu,threads=2", "", 0, {"a type alone"});
  refused("cpu", "", 100000, {"100000 threads", "cores"});
  refused("reference", "int8", 0, {"reference", "--device cpu"});
  refused("ttnn", "", 1, {"ttnn", "--device cpu"});
  setenv("PI0_CPU_ISA", "sse9", 1);
  refused("cpu", "", 0, {"PI0_CPU_ISA", "sse9", "portable"});
  unsetenv("PI0_CPU_ISA");
}

TEST(DevicesTest, TheProcessorsThreadsRunWhereTheyAreTold) {
  StandIn one(1);
  DeviceRequest request;
  request.affinity = {0};
  const OpenDevice chosen = open_device(request, one.backends);  // which is the processor's
  EXPECT_EQ(chosen.peak->threads, 1);
  EXPECT_NE(chosen.description.find("1 thread on core 0;"), std::string::npos)
      << chosen.description;
  const auto refused = [&](const std::vector<std::string>& words) {
    expect_error(ErrorCode::kUnsupported, words, [&] { open_device(request, one.backends); });
  };
  request.threads = 2;
  refused({"affinity has 1, "});
  request.threads = 0;
  request.affinity = {0, 0};
  refused({"a core twice"});
  request.name = "reference";
  refused({"takes no affinity", "--device cpu"});
}

// The pool is the program's: as many threads as it has room for, whatever the cores.
TEST(DevicesTest, TheProcessorTakesThreadsOfTheProgram) {
  StandIn one(1);
  DeviceRequest request;
  request.host_threads = std::make_shared<HostThreads>(5);
  const OpenDevice chosen = open_device(request, one.backends);
  EXPECT_EQ(chosen.peak->threads, 5);
  EXPECT_NE(chosen.description.find("5 threads of the program's"), std::string::npos);
  request.threads = 2;
  expect_error(ErrorCode::kUnsupported, {"one or the other"},
               [&] { open_device(request, one.backends); });
  expect_error(ErrorCode::kInvalidInput, {"0 host threads", "1024"}, [] { HostThreads(0); });
}

TEST(DevicesTest, ACardIsNamedByItsNumber) {
  for (const auto& [name, card] :
       {std::pair("ttnn", 0), std::pair("ttnn:0", 0), std::pair("ttnn:1", 1)}) {
    StandIn two(2);
    const OpenDevice chosen = open_device({.name = name}, two.backends);
    EXPECT_EQ(two.opened, card) << name;
    EXPECT_NE(chosen.description.find("named"), std::string::npos) << chosen.description;
  }
}

TEST(DevicesTest, NamesWhatIsNotThereAndTheWayOut) {
  StandIn one(1), two(2), none(0);
  expect_refused("ttnn:1", one.backends, {"ttnn:1", "1 card", "ttnn:0"});
  expect_refused("ttnn:2", two.backends, {"2 cards", "ttnn:0 to ttnn:1"});
  expect_refused("ttnn:-1", two.backends, {"\"-1\"", "ttnn:0"});
  expect_refused("ttnn:", two.backends, {"no card's number"});
  expect_refused("ttnn:1x", two.backends, {"\"1x\""});
  expect_refused("ttnn", none.backends, {"no Tenstorrent card", "tt-smi", "--device cpu"});
  expect_refused("ttnn", without_ttnn().backends, {"no TTNN", "PI0_TTNN=ON", "--device cpu"});
  expect_refused("ttnn-emulated:n300", two.backends, {"n300", "n150 or p150"});
  expect_refused("gpu", two.backends, {"gpu", "reference", "ttnn-emulated"});
  expect_refused("reference:1", two.backends, {"reference:1"});
  expect_refused("reference,hidden=dram", two.backends, {"takes no settings"});
  for (const char* name : {"ttnn,hiden=dram", "auto,hiden=dram", "ttnn-emulated,", "ttnn,=dram"}) {
    SCOPED_TRACE(name);
    expect_error(ErrorCode::kInvalidInput, {"policy"},
                 [&] { open_device({.name = name}, one.backends); });
  }
  EXPECT_EQ(one.opened + two.opened + none.opened, -3);
}

TEST(DevicesTest, AnEmulatedCardIsAnN150UnlessSaid) {
  EXPECT_EQ(open_device({.name = "ttnn-emulated"}).holding.own_memory->of, "n150");
  EXPECT_EQ(open_device({.name = "ttnn-emulated:p150"}).holding.own_memory->of, "p150");
  EXPECT_FALSE(open_device({.name = "reference"}).holding.own_memory);
}

TEST(DevicesTest, EachSaysWhatItIsAndWhyItIsNotHere) {
  const std::vector<DeviceInfo> here = available_devices();
  ASSERT_EQ(here.size(), all_backends().size());
  for (const DeviceInfo& device : here) {
    SCOPED_TRACE(device.name);
    EXPECT_FALSE(device.description.empty());
    const DeviceRequest request{.name = device.name};
    if (device.absent.empty()) {
      EXPECT_EQ(open_device(request).device->name(), device.name);
    } else {
      EXPECT_THROW(open_device(request), Error);
    }
    // What it says may follow its name may.
    for (const DeviceNameForm& form : device.forms) {
      if (device.absent.empty()) {
        EXPECT_NO_THROW(choose_backend({.name = device.name + form.form}));
      }
    }
  }
  EXPECT_EQ(StandIn(1).backends.front()->info().absent, "");
  EXPECT_NE(StandIn(0).backends.front()->info().absent.find("no Tenstorrent card"),
            std::string::npos);
  EXPECT_NE(without_ttnn().backends.front()->info().absent.find("no TTNN"), std::string::npos);
}

// Its sort of device is asked for, and nothing that takes it is there.
TEST(DevicesTest, AutoRefusesWhatNoDeviceTakes) {
  expect_error(ErrorCode::kUnsupported, {"auto", "dtype"},
               [] { open_device({.dtype = "bf16"}, {make_reference_backend()}); });
}

TEST(DevicesTest, EveryMachineThatIsNamedHasACost) {
  ASSERT_FALSE(modelled_machines().empty());
  OperationRecord operation;
  operation.flops = 1e9;
  for (const std::string& machine : modelled_machines()) {
    ASSERT_NE(cost_model(machine), nullptr) << machine;
    EXPECT_EQ(cost_model(machine)->machine(), machine);
    EXPECT_GT(cost_model(machine)->cost(operation).seconds, 0) << machine;
  }
  EXPECT_EQ(cost_model("n1"), nullptr);
}

}  // namespace
}  // namespace pi0
