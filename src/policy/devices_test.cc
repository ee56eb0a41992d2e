// Which device a name gives, with an emulated card standing in for a real one.
#include "policy/devices.h"

#include <gtest/gtest.h>

#include "device/ttnn/emulated_shim.h"
#include "device/ttnn/ttnn.h"
#include "files/test_support.h"
#include "policy/host_threads.h"
#include "policy/memory.h"
#include "policy/runner.h"

namespace pi0 {
namespace {

const std::filesystem::path kGolden = std::filesystem::path(PI0_SOURCE_DIR) / "testdata/golden";

// A machine with so many cards, which remembers the one that was opened.
struct StandIn {
  explicit StandIn(int cards) {
    machine.has_ttnn = true;
    machine.count_cards = [cards] { return cards; };
    machine.open_card = [this](int card) {
      opened = card;
      return make_emulated_shim(*find_card("p150"));
    };
  }
  Machine machine;
  int opened = -1;
};

Machine without_ttnn() {
  return {false, [] { return 0; }, [](int) -> std::unique_ptr<shim::Api> { return nullptr; }};
}

void expect_refused(const std::string& name, const Machine& machine,
                    const std::vector<std::string>& words) {
  SCOPED_TRACE(name);
  expect_error([&] { choose_device({.name = name}, machine); }, ErrorCode::kUnsupported, words);
}

TEST(DevicesTest, AutoTakesTheFirstCardAndSaysSo) {
  StandIn two(2);
  const ChosenDevice chosen = choose_device({.name = "auto"}, two.machine);
  EXPECT_EQ(two.opened, 0);
  EXPECT_EQ(chosen.device->name(), "ttnn");
  ASSERT_TRUE(chosen.card);
  EXPECT_EQ(chosen.card->name, "p150");
  for (const char* words : {"ttnn (", "p150", "the best device here"}) {
    EXPECT_NE(chosen.description.find(words), std::string::npos) << chosen.description;
  }
}

TEST(DevicesTest, AutoTakesTheProcessorWhereNoCardIsAndSaysWhy) {
  StandIn none(0);
  const ChosenDevice no_card = choose_device({.name = "auto"}, none.machine);
  EXPECT_EQ(none.opened, -1);
  EXPECT_EQ(no_card.device->name(), "cpu");
  EXPECT_NE(no_card.description.find("no Tenstorrent card"), std::string::npos);
  const ChosenDevice no_ttnn = choose_device({.name = "auto"}, without_ttnn());
  EXPECT_EQ(no_ttnn.device->name(), "cpu");
  EXPECT_NE(no_ttnn.description.find("no TTNN"), std::string::npos) << no_ttnn.description;
}

TEST(DevicesTest, TheProcessorTakesATypeAndThreads) {
  StandIn one(1);
  DeviceRequest request;
  request.name = "cpu";
  EXPECT_EQ(choose_device(request, one.machine).cpu->type, CpuType::kBf16);
  request.dtype = "int8";
  request.threads = 1;
  const ChosenDevice chosen = choose_device(request, one.machine);
  EXPECT_EQ(chosen.cpu->type, CpuType::kInt8);
  EXPECT_EQ(chosen.cpu->threads, 1);
  for (const char* words : {"cpu (int8 on ", "1 thread;", "named"}) {
    EXPECT_NE(chosen.description.find(words), std::string::npos) << chosen.description;
  }
  // What only the processor has, auto takes there, even beside a card.
  request.name = "auto";
  EXPECT_EQ(choose_device(request, one.machine).device->name(), "cpu");
  EXPECT_EQ(one.opened, -1);
  EXPECT_EQ(choose_device({.name = "cpu:fp32"}, one.machine).cpu->type, CpuType::kFp32);
}

TEST(DevicesTest, RefusesWhatTheProcessorCannotDo) {
  StandIn one(1);
  const auto refused = [&](const std::string& name, const std::string& dtype, int threads,
                           const std::vector<std::string>& words) {
    DeviceRequest request;
    request.name = name;
    request.dtype = dtype;
    request.threads = threads;
    expect_error([&] { choose_device(request, one.machine); }, ErrorCode::kUnsupported, words);
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
  request.scheduling.cores = {0};
  const ChosenDevice chosen = choose_device(request, one.machine);  // which is the processor's
  EXPECT_EQ(chosen.cpu->threads, 1);
  EXPECT_NE(chosen.description.find("1 thread on core 0;"), std::string::npos)
      << chosen.description;
  const auto refused = [&](const std::vector<std::string>& words) {
    expect_error([&] { choose_device(request, one.machine); }, ErrorCode::kUnsupported, words);
  };
  request.threads = 2;
  refused({"affinity has 1, "});
  request.threads = 0;
  request.scheduling.cores = {0, 0};
  refused({"a core twice"});
  request.name = "reference";
  refused({"their scheduling", "--device cpu"});
}

// The pool is the program's: as many threads as it has room for, whatever the cores.
TEST(DevicesTest, TheProcessorTakesThreadsOfTheProgram) {
  StandIn one(1);
  NetworkOptions options;
  options.host_threads = std::make_shared<HostThreads>(5);
  const ChosenDevice chosen = choose_device(device_request(options), one.machine);
  EXPECT_EQ(chosen.cpu->threads, 5);
  EXPECT_EQ(chosen.cpu->host, pool_of(*options.host_threads));
  EXPECT_NE(chosen.description.find("5 threads of the program's"), std::string::npos);
  options.threads = 2;
  expect_error([&] { choose_device(device_request(options), one.machine); },
               ErrorCode::kUnsupported, {"one or the other"});
  expect_error([] { HostThreads(0); }, ErrorCode::kInvalidInput, {"0 host threads", "1024"});
}

TEST(DevicesTest, ACardIsNamedByItsNumber) {
  for (const auto& [name, card] :
       {std::pair("ttnn", 0), std::pair("ttnn:0", 0), std::pair("ttnn:1", 1)}) {
    StandIn two(2);
    const ChosenDevice chosen = choose_device({.name = name}, two.machine);
    EXPECT_EQ(two.opened, card) << name;
    EXPECT_NE(chosen.description.find("named"), std::string::npos) << chosen.description;
  }
}

TEST(DevicesTest, NamesWhatIsNotThereAndTheWayOut) {
  StandIn one(1), two(2), none(0);
  expect_refused("ttnn:1", one.machine, {"ttnn:1", "1 card", "ttnn:0"});
  expect_refused("ttnn:2", two.machine, {"2 cards", "ttnn:0 to ttnn:1"});
  expect_refused("ttnn:-1", two.machine, {"\"-1\"", "ttnn:0"});
  expect_refused("ttnn:", two.machine, {"no card's number"});
  expect_refused("ttnn:1x", two.machine, {"\"1x\""});
  expect_refused("ttnn", none.machine, {"no Tenstorrent card", "tt-smi", "--device cpu"});
  expect_refused("ttnn", without_ttnn(), {"no TTNN", "PI0_TTNN=ON", "--device cpu"});
  expect_refused("ttnn-emulated:n300", two.machine, {"n300", "n150 or p150"});
  expect_refused("gpu", two.machine, {"gpu", "reference", "ttnn-emulated"});
  expect_refused("reference:1", two.machine, {"reference:1"});
  expect_refused("reference,hidden=dram", two.machine, {"takes no settings"});
  for (const char* name : {"ttnn,hiden=dram", "auto,hiden=dram", "ttnn-emulated,", "ttnn,=dram"}) {
    SCOPED_TRACE(name);
    expect_error([&] { choose_device({.name = name}, one.machine); }, ErrorCode::kInvalidInput,
                 {"policy"});
  }
  EXPECT_EQ(one.opened + two.opened + none.opened, -3);
}

TEST(DevicesTest, AnEmulatedCardIsAnN150UnlessSaid) {
  const Machine machine = without_ttnn();
  EXPECT_EQ(choose_device({.name = "ttnn-emulated"}, machine).card->name, "n150");
  EXPECT_EQ(choose_device({.name = "ttnn-emulated:p150"}, machine).card->name, "p150");
  EXPECT_EQ(choose_device({.name = "reference"}, machine).card, std::nullopt);
}

// Two calls with other images after another, and the same alone.
TEST(DevicesTest, ABatchOnACardIsItsCallsOneByOne) {
  const Checkpoint checkpoint = open_checkpoint(kGolden / "pi0_tiny");
  const ModelConfig& config = checkpoint.model;
  const auto call = [&](std::size_t i) {
    NetworkCall result;
    result.input.images.resize(static_cast<std::size_t>(3) * 3 * config.image_size *
                               config.image_size);
    for (std::size_t p = 0; p < result.input.images.size(); ++p) {
      result.input.images[p] = static_cast<float>((p * (i + 3) + i) % 17) / 8 - 1;
    }
    result.input.tokens = {2, 5, static_cast<std::int32_t>(i) + 7};
    result.input.state.resize(static_cast<std::size_t>(config.state_dim), 0.1f * i);
    result.options.seed = i;
    result.options.steps = 2;
    return result;
  };
  constexpr std::size_t kCalls = 5;  // beyond those that capture traces
  for (const char* device : {"ttnn-emulated", "reference"}) {
    SCOPED_TRACE(device);
    NetworkOptions options;
    options.device = device;
    std::vector<std::vector<float>> alone;
    for (std::size_t i = 0; i < kCalls; ++i) {
      Runner fresh(checkpoint, options);
      const NetworkCall one = call(i);
      alone.push_back(fresh.sample_actions(one.input, one.options, nullptr));
      if (i > 0) {
        EXPECT_NE(alone[i], alone[i - 1]);
      }
    }
    Runner runner(checkpoint, options);
    std::size_t done = 0;
    runner.sample_batch(kCalls, call,
                        [&](std::size_t i, std::vector<float> actions, const Timing&) {
                          EXPECT_EQ(i, done++);
                          EXPECT_EQ(actions, alone[i]) << i;
                        });
    EXPECT_EQ(done, kCalls);
    // A batch that stops between two calls leaves nothing behind.
    const auto failing = [&](std::size_t i) {
      NetworkCall result = call(i);
      if (i == 2) result.input.tokens = {-1};
      return result;
    };
    EXPECT_THROW(runner.sample_batch(kCalls, failing, [](std::size_t, auto&&, auto&&) {}), Error);
    const NetworkCall after = call(4);
    EXPECT_EQ(runner.sample_actions(after.input, after.options, nullptr), alone[4]);
  }
}

TEST(MemoryTest, ACardThatIsTooSmallIsRefused) {
  const Checkpoint checkpoint = open_checkpoint(kGolden / "pi0_tiny");
  const auto chosen = [](const char* device, const Card& of, const char* setting) {
    ChosenDevice made = choose_device({.name = "ttnn-emulated"}, without_ttnn());
    made.device = make_ttnn_device(make_emulated_shim(of), default_policies(of), device);
    made.card = of;
    override_policy(*made.policies, setting);
    return made;
  };
  const char* const bfp8 = "projections=bfloat8_b";
  const Card& n150 = *find_card("n150");
  require_memory(checkpoint, chosen("ttnn", n150, bfp8), 0);
  Card tiny = *find_card("n150");
  tiny.dram_banks = 1;
  tiny.dram_bank_bytes = 1 << 16;
  expect_error([&] { require_memory(checkpoint, chosen("ttnn", tiny, bfp8), 0); },
               ErrorCode::kOutOfMemory,
               {"pi0_tiny", "the card (n150)", "bfloat8_b", "more memory"});
  // One that would do in bfloat8_b, but not in the precision that was chosen.
  Card small = n150;
  small.dram_banks = 1;
  small.dram_bank_bytes =
      static_cast<std::int64_t>(memory_needs(checkpoint).front().total()) + (1 << 16);
  require_memory(checkpoint, chosen("ttnn", small, bfp8), 0);
  expect_error([&] { require_memory(checkpoint, chosen("ttnn", small, "projections=float32"), 0); },
               ErrorCode::kOutOfMemory, {"float32", "projections=bfloat8_b"});
  // A card's memory is not the host's; an emulated card's is.
  std::uint64_t little = 0;
  for (const MemoryNeed& need : memory_needs(checkpoint)) {
    if (need.device == "ttnn") little = need.host_bytes;
  }
  require_memory(checkpoint, chosen("ttnn", n150, bfp8), little);
  expect_error([&] { require_memory(checkpoint, chosen("ttnn-emulated", n150, bfp8), little); },
               ErrorCode::kOutOfMemory, {"ttnn-emulated", "allowed"});
}

}  // namespace
}  // namespace pi0
