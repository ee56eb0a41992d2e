// Memory, traces and command queues: the ways in which a card fails, and the ones in which it would
// silently give wrong numbers.
#include <cmath>

#include "device/ttnn/emulated/emulated_testing.h"
#include "device/ttnn/emulated/memory.h"

namespace pi0::emulated_testing {
namespace {

constexpr ErrorCode kFull = ErrorCode::kOutOfMemory;

// Of the bf16 tiles that lie in L1, so many on each core.
Tensor in_l1(Api& api, std::int64_t tiles_a_core) {
  const std::int64_t tiles = tiles_a_core * api.card().cores();
  return api.to_device({}, {1, 1, kTile, tiles * kTile}, DataType::kBfloat16, Layout::kTile,
                       Placement::kL1);
}

TEST(EmulatedMemory, CountsTheFullestBank) {
  const auto api = make_card();
  const Tensor one = zeros(*api, {1, 1, 1, 1});
  EXPECT_EQ(api->memory().dram_bytes, 12 * 2048);
  const Tensor thirteen = zeros(*api, {1, 1, 1, 13 * kTile});
  EXPECT_EQ(api->memory().dram_bytes, 12 * 3 * 2048);
  const Tensor l1 = in_l1(*api, 3);
  EXPECT_EQ(api->memory().l1_bytes_per_core, 3 * 2048);
  const Tensor bfp8 = zeros(*api, {1, 1, 1, 1}, DataType::kBfloat8B, Layout::kTile, Placement::kL1);
  EXPECT_EQ(api->memory().l1_bytes_per_core, 3 * 2048 + 1088);
  // Rows of 10 bytes, aligned to 32, of which 13 fall into 12 banks.
  const Tensor rows = zeros(*api, {1, 1, 13, 5}, DataType::kBfloat16, Layout::kRowMajor);
  EXPECT_EQ(api->memory().dram_bytes, 12 * (3 * 2048 + 64));
  EXPECT_EQ(api->memory().live_tensors, 5);
}

TEST(EmulatedMemory, IsFreedWithTheLastHandle) {
  const auto api = make_card();
  Tensor view;
  {
    const Tensor t = zeros(*api, {1, 1, 32, 32});
    view = api->view(t, {1, 1, 20, 20}, {1, 1, 32, 32});
    EXPECT_EQ(api->memory().live_tensors, 1);
  }
  EXPECT_EQ(api->memory().live_tensors, 1);
  view = Tensor();
  EXPECT_EQ(api->memory().live_tensors, 0);
  EXPECT_EQ(api->memory().dram_bytes, 0);
  EXPECT_EQ(api->memory().peak_dram_bytes, 12 * 2048);
}

TEST(EmulatedMemory, RunsOutOfL1) {
  const auto api = make_card();
  const std::int64_t all = api->card().l1_bytes / 2048;
  Tensor most = in_l1(*api, all);
  expect_error(kFull, {"L1 of card n150"}, [&] { in_l1(*api, 1); });
  expect_error(kFull, {"--device ttnn,hidden=dram"}, [&] { in_l1(*api, 1); });
  most = Tensor();
  EXPECT_NO_THROW(in_l1(*api, all));
}

TEST(EmulatedMemory, RunsOutOfDram) {
  const auto api = make_emulated_shim(*find_card("n150"), false);
  std::vector<Tensor> weights;
  for (int i = 0; i < 11; ++i) {  // a GiB each
    weights.push_back(api->to_device({}, {1, 1, 1 << 14, 1 << 15}, DataType::kBfloat16,
                                     Layout::kTile, Placement::kDram));
  }
  expect_error(kFull, {"DRAM bank of card n150"}, [&] {
    api->to_device({}, {1, 1, 1 << 14, 1 << 15}, DataType::kBfloat16, Layout::kTile,
                   Placement::kDram);
  });
}

TEST(EmulatedMemory, CanBeFragmented) {
  const auto api = make_card();
  const std::int64_t half = api->card().l1_bytes / 2048 / 2;
  Tensor first = in_l1(*api, half - 1);
  const Tensor wedge = in_l1(*api, 1);
  first = Tensor();
  // Enough in all, but not in one piece.
  expect_error(kFull, {"in one piece"}, [&] { in_l1(*api, half + 10); });
  EXPECT_NO_THROW(in_l1(*api, half - 1));
}

TEST(EmulatedMemory, CircularBuffersMeetTensors) {
  const auto api = make_card();
  const Tensor x = zeros(*api, {1, 1, 64, 2048});
  const Tensor weight = zeros(*api, {1, 1, 1, 2048});
  NormOptions options{1e-6f, Placement::kDram, exact()};
  EXPECT_NO_THROW(api->rms_norm(x, weight, nullptr, options));
  EXPECT_EQ(api->memory().circular_buffer_bytes, 622592);
  const std::int64_t free_tiles = 622592 / 2048;
  const Tensor most = in_l1(*api, api->card().l1_bytes / 2048 - free_tiles + 1);
  expect_error(kFull, {"ttnn.rms_norm: its circular buffers need 622592 bytes"},
               [&] { api->rms_norm(x, weight, nullptr, options); });
  expect_error(kFull, {"hidden=dram"}, [&] { api->rms_norm(x, weight, nullptr, options); });
  // Where no core could hold them, no placement helps.
  pi0::emulated::Memory memory(api->card());
  expect_error(kFull, {"--device cpu"},
               [&] { memory.use_circular_buffers(1 << 21, "ttnn.linear"); });
}

TEST(EmulatedMemory, LastsAsLongAsAnyHandle) {
  const auto api = make_card();
  Tensor view;
  {
    const Tensor t = zeros(*api, {1, 1, 32, 32});
    view = api->view(t, {1, 1, 20, 20}, {1, 1, 32, 32});
  }
  EXPECT_EQ(api->to_host(view).size(), 400u);
  view = Tensor();
  EXPECT_EQ(api->memory().live_tensors, 0);
  expect_refused([&] { api->to_host(view); }, "no tensor");
}

// ---- Traces ----

struct Traced {
  std::unique_ptr<Api> api = make_card();
  Tensor x = zeros(*api, {1, 1, 32, 32});
  Tensor result;
  std::unique_ptr<Trace> trace;

  Tensor work() {
    const Tensor twice = api->multiply(x, 2.0f, {});
    return api->add(twice, 1.0f, {});
  }
  void capture() {
    work();
    api->begin_trace_capture();
    result = work();
    trace = api->end_trace_capture();
  }
};

TEST(EmulatedTrace, GivesNewResultsForNewInputs) {
  Traced t;
  t.capture();
  for (float value : {3.0f, 5.0f}) {
    t.api->copy_to_device(Floats(32 * 32, value), t.x, 0);
    t.api->execute_trace(*t.trace);
    EXPECT_EQ(t.api->to_host(t.result), Floats(32 * 32, 2 * value + 1));
  }
}

TEST(EmulatedTrace, RunsNothingWhileItIsCaptured) {
  Traced t;
  t.capture();
  EXPECT_TRUE(std::isnan(t.api->to_host(t.result)[0]));
}

TEST(EmulatedTrace, WantsItsProgramsCompiled) {
  Traced t;
  t.api->begin_trace_capture();
  expect_refused([&] { t.work(); }, "has not run before with these operands");
}

TEST(EmulatedTrace, WantsEachProgramForItsOwnOperands) {
  Traced t;
  t.work();
  const Tensor other = zeros(*t.api, {1, 1, 64, 32});
  t.api->begin_trace_capture();
  EXPECT_NO_THROW(t.work());
  expect_refused([&] { t.api->multiply(other, 2.0f, {}); }, "has not run before");
}

TEST(EmulatedTrace, TransfersNothingWhileItIsCaptured) {
  Traced t;
  t.work();
  t.api->begin_trace_capture();
  const std::string part = "while a trace is being captured";
  expect_refused([&] { t.api->to_host(t.x); }, part);
  expect_refused([&] { zeros(*t.api, {1, 1, 1, 1}); }, part);
  expect_refused([&] { t.api->copy_to_device(Floats(32 * 32), t.x, 1); }, part);
  expect_refused([&] { t.api->synchronize(); }, part);
  expect_refused([&] { t.api->record_event(0); }, part);
  expect_refused([&] { t.api->begin_trace_capture(); }, part);
  EXPECT_NO_THROW(t.api->end_trace_capture());
  expect_refused([&] { t.api->end_trace_capture(); }, "no trace is being captured");
}

TEST(EmulatedTrace, OverwritesWhatLiesWhereItsIntermediatesLay) {
  Traced t;
  t.capture();
  // The product was freed in the capture: this takes its place.
  const Tensor later = put(*t.api, {1, 1, 32, 32}, Floats(32 * 32, 7.0f));
  const Tensor elsewhere = put(*t.api, {1, 1, 32, 32}, Floats(32 * 32, 7.0f));
  EXPECT_EQ(t.api->to_host(later)[0], 7.0f);
  t.api->execute_trace(*t.trace);
  EXPECT_TRUE(std::isnan(t.api->to_host(later)[0]));
  EXPECT_EQ(t.api->to_host(elsewhere)[0], 7.0f);
  EXPECT_EQ(t.api->to_host(t.result)[0], 1.0f);
}

TEST(EmulatedTrace, OverwritesWhatLiesWhereItsCircularBuffersLay) {
  Traced t;
  t.capture();
  const std::int64_t all = t.api->card().l1_bytes / 2048;
  const Tensor high = in_l1(*t.api, all - 10);
  const Tensor low = in_l1(*t.api, 8);
  t.api->copy_to_device(Floats(count(low.shape()), 7.0f), low, 0);
  t.api->copy_to_device(Floats(count(high.shape()), 7.0f), high, 0);
  t.api->execute_trace(*t.trace);
  EXPECT_TRUE(std::isnan(t.api->to_host(low)[0]));
  EXPECT_EQ(t.api->to_host(high)[0], 7.0f);
}

TEST(EmulatedTrace, WantsItsInputsAlive) {
  Traced t;
  t.capture();
  t.x = Tensor();
  expect_refused([&] { t.api->execute_trace(*t.trace); }, "deallocated since the capture");
}

// ---- Queues ----

TEST(EmulatedQueues, AnUploadMustBeWaitedFor) {
  const auto api = make_card();
  const Tensor x = zeros(*api, {1, 1, 32, 32});
  api->synchronize();
  api->copy_to_device(Floats(32 * 32, 2.0f), x, 1);
  expect_refused([&] { api->add(x, 1.0f, {}); }, "queue 0 reads tensor 1");
  const auto uploaded = api->record_event(1);
  api->wait_for_event(0, *uploaded);
  EXPECT_EQ(api->to_host(api->add(x, 1.0f, {}))[0], 3.0f);
}

TEST(EmulatedQueues, AnUploadMustWaitForTheReader) {
  const auto api = make_card();
  const Tensor x = zeros(*api, {1, 1, 32, 32});
  api->synchronize();
  const Tensor sum = api->add(x, 1.0f, {});
  expect_refused([&] { api->copy_to_device(Floats(32 * 32), x, 1); }, "queue 1 writes tensor 1");
  const auto read = api->record_event(0);
  api->wait_for_event(1, *read);
  EXPECT_NO_THROW(api->copy_to_device(Floats(32 * 32), x, 1));
}

TEST(EmulatedQueues, AnEventCoversWhatCameBeforeItAlone) {
  const auto api = make_card();
  const Tensor x = zeros(*api, {1, 1, 32, 32});
  api->synchronize();
  const auto early = api->record_event(1);
  api->copy_to_device(Floats(32 * 32), x, 1);
  api->wait_for_event(0, *early);
  expect_refused([&] { api->add(x, 1.0f, {}); }, "without having waited");
}

TEST(EmulatedQueues, TheHostWaitsForBoth) {
  const auto api = make_card();
  const Tensor x = zeros(*api, {1, 1, 32, 32});
  api->to_host(x);  // queue 0 is done
  EXPECT_NO_THROW(api->copy_to_device(Floats(32 * 32, 2.0f), x, 1));
  api->synchronize();
  EXPECT_EQ(api->to_host(api->add(x, 1.0f, {}))[0], 3.0f);
  expect_refused([&] { api->copy_to_device(Floats(32 * 32), x, 2); }, "no command queue 2");
}

TEST(EmulatedQueues, AReplayReadsWhatItsOperationsRead) {
  Traced t;
  t.capture();
  t.api->execute_trace(*t.trace);
  expect_refused([&] { t.api->copy_to_device(Floats(32 * 32), t.x, 1); }, "queue 1 writes");
  const auto done = t.api->record_event(0);
  t.api->wait_for_event(1, *done);
  t.api->copy_to_device(Floats(32 * 32, 4.0f), t.x, 1);
  expect_refused([&] { t.api->execute_trace(*t.trace); }, "queue 0 reads");
  const auto uploaded = t.api->record_event(1);
  t.api->wait_for_event(0, *uploaded);
  t.api->execute_trace(*t.trace);
  EXPECT_EQ(t.api->to_host(t.result)[0], 9.0f);
}

TEST(EmulatedCard, ComputesNothingWithoutArithmetic) {
  const auto api = make_emulated_shim(*find_card("p150"), false);
  const Tensor x = put(*api, {1, 1, 2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(api->to_host(api->add(x, 1.0f, {})), Floats(4));
  expect_refused([&] { api->linear(x, x, nullptr, {}); }, "ttnn.linear");
  EXPECT_EQ(api->memory().live_tensors, 1);
  EXPECT_EQ(api->description(), "emulated p150");
}

}  // namespace
}  // namespace pi0::emulated_testing
