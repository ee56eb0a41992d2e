// Traces of the TTNN device: what is replayed is what the same work would give.
#include <algorithm>

#include "device/ttnn/logging/logging_shim.h"
#include "device/ttnn/ttnn_testing.h"
#include "pi0/error.h"

namespace pi0 {
namespace {

using TtnnReplayTest = TtnnTest;

// Of 32, over one of keys and values, of a width of 32.
QkvSource two_heads(Random& random) {
  QkvSource source;
  source.heads = {2, 1, 32, true};
  source.q = random.weight(64, 32);
  source.k = random.weight(32, 32);
  source.v = random.weight(32, 32);
  return source;
}

// What a trace replays is what the same work would give: with new inputs, new results.
TEST_P(TtnnReplayTest, ReplaysWithNewInputs) {
  const HostTensor weight = random.weight(40, 33);
  const auto weights = ttnn->prepare_linear(weight, nullptr);
  const auto expected_weights = reference->prepare_linear(weight, nullptr);
  Both x = upload({5, 33});
  Tensor y;
  std::unique_ptr<Trace> trace;
  int times = 0;
  for (int call = 0; call < 4; ++call) {
    const std::vector<float> values = random.values(5 * 33);
    ttnn->write(x.ttnn, values);
    reference->write(x.reference, values);
    ttnn->run(trace, [&] {
      ++times;
      y = ttnn->linear(x.ttnn, *weights, Activation::kSilu);
    });
    expect_same(y, reference->linear(x.reference, *expected_weights, Activation::kSilu),
                "call " + std::to_string(call));
  }
  EXPECT_EQ(times, 2);  // once to compile, once to capture
}

// Work that fails is not replayed, neither when it first runs nor while it is captured.
TEST_P(TtnnReplayTest, FailedWorkLeavesNothingToReplay) {
  const auto weights = ttnn->prepare_linear(random.weight(33, 33), nullptr);
  const Both x = upload({5, 33});
  const std::vector<float> expected = ttnn->download(ttnn->linear(x.ttnn, *weights));
  Tensor y;
  std::unique_ptr<Trace> trace;
  int times = 0;
  for (int call = 0; call < 6; ++call) {
    const bool fails = call == 0 || call == 2;  // the first run, and the first capture
    const auto work = [&] {
      ++times;
      y = ttnn->linear(x.ttnn, *weights);
      if (fails) throw Error(ErrorCode::kInvalidInput, "cancelled");
    };
    if (fails) {
      EXPECT_THROW(ttnn->run(trace, work), Error) << call;
    } else {
      ttnn->run(trace, work);
      EXPECT_EQ(ttnn->download(y), expected) << call;
    }
  }
  EXPECT_EQ(times, 4);  // twice in vain, once to compile, once to capture
}

// Positions and lengths that differ from call to call: tables come and go, a trace keeps its own.
TEST_P(TtnnReplayTest, TablesOfManyShapes) {
  const QkvSource source = two_heads(random);
  const auto weights = ttnn->prepare_qkv(source);
  const Both x = upload({5, 32});
  const auto attend = [&](int first) {
    const KeysValues before = cache_of(*ttnn, first), longer = cache_of(*ttnn, first + 5);
    Tensor y;
    std::unique_ptr<Trace> trace;
    std::vector<std::vector<float>> results;
    for (int call = 0; call < 3; ++call) {
      ttnn->run(trace, [&] {
        Qkv made = ttnn->qkv(x.ttnn, *weights, {.sequences = 1, .after = &before});
        const Qkv later = ttnn->qkv(x.ttnn, *weights, {.sequences = 1, .after = &longer});
        y = ttnn->attention(std::move(made.queries), later.own, &made.own);
      });
      results.push_back(ttnn->download(y));
    }
    EXPECT_EQ(results[1], results[0]) << first;
    EXPECT_EQ(results[2], results[0]) << first;
    return results[0];
  };
  const std::vector<float> at_first = attend(1);
  for (int first = 2; first < 80; ++first) attend(first);  // more than are kept
  EXPECT_EQ(attend(1), at_first);
}

// What is to last comes into being between replays: what was captured would write there, so it is
// captured anew, also where its tables have been driven out by then.
TEST_P(TtnnReplayTest, WhatLastsIsNotWrittenOver) {
  const QkvSource source = two_heads(random);
  const auto weights = ttnn->prepare_qkv(source);
  const auto linear = ttnn->prepare_linear(random.weight(32, 64), nullptr, &source.heads);
  const Both x = upload({5, 32});
  Tensor y;
  int times = 0;
  std::unique_ptr<Trace> trace;
  const auto attend = [&](int first, std::unique_ptr<Trace>& into) {
    KeysValues before;
    if (first > 0) before = cache_of(*ttnn, first);
    const HeadSplit split{.sequences = 1, .after = first > 0 ? &before : nullptr};
    ttnn->run(into, [&] {
      ++times;
      Qkv made = ttnn->qkv(x.ttnn, *weights, split);
      const KeysValues own = std::move(made.own);
      y = ttnn->linear(ttnn->attention(std::move(made.queries), own, nullptr), *linear);
    });
    return ttnn->download(y);
  };
  const std::vector<float> expected = attend(0, trace);
  for (int call = 0; call < 3; ++call) EXPECT_EQ(attend(0, trace), expected);
  EXPECT_EQ(times, 2);
  // Where the replay's intermediates lay, as likely as not.
  std::vector<Tensor> kept;
  const std::vector<float> values = random.values(64 * 64);
  for (int i = 0; i < 8; ++i) kept.push_back(ttnn->upload({64, 64}, values, Precision::kFp32));
  for (int call = 0; call < 2; ++call) EXPECT_EQ(attend(0, trace), expected);
  EXPECT_EQ(times, 3);
  for (const Tensor& tensor : kept) EXPECT_EQ(ttnn->download(tensor), values);
  for (int first = 1; first < 80; ++first) {  // more tables than are kept
    std::unique_ptr<Trace> other;
    attend(first, other);
  }
  times = 0;
  for (int call = 0; call < 3; ++call) EXPECT_EQ(attend(0, trace), expected);
  EXPECT_EQ(times, 3);  // in vain, to make the tables, and to capture
}

// Logged calls are the calls that run: memory that somebody else has is not written to.
TEST_P(TtnnReplayTest, ALoggedRunWritesWhereAnotherDoes) {
  struct Names final : OperationLog {
    void mark(const Component&, int) override {}
    void record(OperationRecord operation) override { names.push_back(operation.name); }
    std::vector<std::string> names;
  } log;
  const auto device = make_ttnn_device(make_logging_shim(make_emulated_shim(card), log),
                                       default_policies(card), "ttnn-emulated", &log);
  // Two cameras of 64 patches: joined, they are a view of the same memory.
  const auto patches = device->prepare_patch_embedding(
      random.tensor({33, 3, 1, 1}, 0.5f), random.tensor({33}, 0.1f), random.tensor({64, 33}, 0.5f));
  const Tensor x = device->patch_embedding(
      device->upload_images({2, 8, 8, 3}, random.values(2 * 8 * 8 * 3), 1), *patches);
  const std::vector<float> before = device->download(x);
  const Tensor* parts[] = {&x};
  Tensor same = device->concatenate_rows(parts);
  ASSERT_EQ(std::count(log.names.begin(), log.names.end(), "ttnn.view"), 2);  // the patches', this
  same = device->linear_residual(x, *device->prepare_linear(random.weight(33, 33), nullptr),
                                 std::move(same));
  EXPECT_EQ(device->download(x), before);
  EXPECT_NE(device->download(same), before);
}

// Each session keeps embedded images, keys and values of the shapes that it used last; a core's L1
// has no room for those of all.
TEST_P(TtnnReplayTest, WhatSessionsKeepIsNotInL1) {
  struct CoreBytes final : OperationLog {
    void mark(const Component&, int) override {}
    void record(OperationRecord operation) override {
      most = std::max(most, operation.core_bytes);
      last = operation.core_bytes;
    }
    std::int64_t most = 0, last = 0;
  } log;
  Policies policies = default_policies(card);
  policies.large_linear = 1;  // as the projector's is
  const auto device = make_ttnn_device(make_logging_shim(make_emulated_shim(card), log), policies,
                                       "ttnn-emulated", &log);
  Tensor x = device->upload({70, 33}, random.values(70 * 33));
  const auto projector = device->prepare_linear(random.weight(32, 33), nullptr);
  const Tensor embedded = device->linear(x, *projector);
  const auto qkv = device->prepare_qkv(two_heads(random));
  Qkv made = device->qkv(embedded, *qkv, {});
  EXPECT_GT(log.most, 0);
  KeysValues kept = device->concatenate_tokens(device->keys_values(embedded, *qkv, {}),
                                               device->keys_values(embedded, *qkv, {}));
  EXPECT_GT(log.last, 0);  // the queries
  device->attention(std::move(made.queries), kept, nullptr);
  EXPECT_EQ(log.last, 0);
}

INSTANTIATE_TEST_SUITE_P(Cards, TtnnReplayTest, testing::Values("n150", "p150"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace pi0
