// What does not depend on the number of threads, and hardly on the instruction set; `make threads`
// runs this under the thread sanitizer.
#include <thread>

#include "device/cpu/cpu_testing.h"

namespace pi0 {
namespace {

using Results = std::map<std::string, std::vector<float>>;

// Enough rows, columns and heads that every thread has a part. int8's own products (the first two)
// are kept apart from what it does in bf16.
Results layer(Device& device) {
  Random random;
  constexpr std::int64_t kRows = 51, kWidth = 100;
  const auto upload = [&] { return device.upload({kRows, kWidth}, random.values(kRows * kWidth)); };
  Results results;
  Tensor x = upload();
  const HostTensor bias = random.tensor({1000}, 0.3f);
  results["linear"] =
      device.download(device.linear(x, *device.prepare_linear(random.weight(1000, kWidth), &bias)));
  const HostTensor gate = random.weight(588, kWidth), up = random.weight(588, kWidth);
  const auto mlp =
      device.prepare_gated_mlp(gate, up, random.weight(kWidth, 588), WeightPrecision::kLayer);
  results["gated_mlp"] = device.download(device.gated_mlp(x, *mlp, upload()));
  QkvSource source;
  source.heads = {8, 2, 72, true};
  source.q = random.weight(576, kWidth);
  source.k = random.weight(144, kWidth);
  source.v = random.weight(144, kWidth);
  const auto weights = device.prepare_qkv(source);
  const KeysValues before = cache_of(device, 4);
  const HeadSplit split{.sequences = 3, .after = &before};
  const KeysValues cache = device.keys_values(upload(), *weights, split);
  Qkv qkv = device.qkv(x, *weights, split);
  const Tensor joined = device.attention(std::move(qkv.queries), qkv.own, &cache);
  results["attention"] = device.download(joined);
  const auto out = device.prepare_linear(random.weight(kWidth, 576), nullptr);
  x = device.linear_residual(joined, *out, std::move(x));
  const auto norm = device.prepare_rms_norm(random.tensor({kWidth}, 0.3f));
  results["rms_norm"] = device.download(device.rms_norm(x, *norm, 1e-6f));
  const auto narrow = device.prepare_linear(random.weight(3, kWidth), nullptr);
  results["few columns"] = device.download(device.linear(x, *narrow));
  return results;
}

using CpuThreadsTest = CpuTest;

TEST_P(CpuThreadsTest, DoNotChangeAnyBit) {
  const std::unique_ptr<Device> one = make(1);
  const Results expected = layer(*one), expected_operations = every_operation(*one);
  for (const int threads : {2, 3}) {
    const std::unique_ptr<Device> several = make(threads);
    for (int call = 0; call < 2; ++call) {
      EXPECT_EQ(layer(*several), expected) << threads;
      EXPECT_EQ(every_operation(*several), expected_operations) << threads;
    }
  }
}

// Two devices share a pool and nothing else.
TEST_P(CpuThreadsTest, OfTheCallerMayBeTwo) {
  const Results expected = layer(*make(1));
  Results others;
  std::thread other([&] { others = layer(*make(2)); });
  const Results own = layer(*make(2));
  other.join();
  EXPECT_EQ(own, expected);
  EXPECT_EQ(others, expected);
}

INSTANTIATE_TEST_SUITE_P(All, CpuThreadsTest,
                         testing::Combine(testing::ValuesIn(cpu::kEveryIsa),
                                          testing::ValuesIn(kEveryType)),
                         isa_and_type);

// Integers are summed exactly, so only how a tie is rounded and the order of what follows differ.
TEST(CpuIsas, AgreeInInt8) {
  const auto on = [](cpu::Isa isa) {
    return layer(
        *make_cpu_device({.type = CpuType::kInt8, .isa = isa, .threads = 1, .memory = nullptr}));
  };
  const Results expected = on(cpu::Isa::kPortable);
  for (const cpu::Isa isa : cpu::supported_isas()) {
    const Results actual = on(isa);
    EXPECT_LE(relative_error(actual.at("linear"), expected.at("linear")), 1e-4) << name_of(isa);
    // Its hidden layer is in bf16 where the machine multiplies that.
    EXPECT_LE(relative_error(actual.at("gated_mlp"), expected.at("gated_mlp")), 0.005)
        << name_of(isa);
  }
}

}  // namespace
}  // namespace pi0
