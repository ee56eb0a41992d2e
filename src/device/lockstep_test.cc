#include "device/lockstep.h"

#include <gtest/gtest.h>

#include "device/operation_log.h"
#include "device/operations.h"
#include "device/reference/reference.h"
#include "device/test_support.h"

namespace pi0 {
namespace {

struct Seen {
  std::string operation, component;
  int index = 0;
  Shape shape;
  std::vector<float> first, second;
};

struct Observer final : LockstepObserver {
  void observe(const LockstepResult& result) override {
    seen.push_back({std::string(result.operation),
                    result.component.name,
                    result.index,
                    result.shape,
                    {result.first.begin(), result.first.end()},
                    {result.second.begin(), result.second.end()}});
  }
  std::vector<Seen> seen;
};

struct Silent final : OperationLog {
  void mark(const Component&, int) override {}
  void record(OperationRecord) override {}
};

TEST(LockstepTest, EveryOperationRunsOnBothAsItWouldAlone) {
  Observer observer;
  const auto device =
      make_lockstep_device(make_reference_device(), make_reference_device(), observer);
  EXPECT_EQ(device->name(), "reference against reference");
  const auto alone = make_reference_device();
  EXPECT_EQ(every_operation(*device), every_operation(*alone));
  std::map<std::string, int> operations;
  for (const Seen& seen : observer.seen) {
    EXPECT_EQ(seen.first, seen.second) << seen.operation;
    EXPECT_EQ(static_cast<std::int64_t>(seen.first.size()), element_count(seen.shape));
    ++operations[seen.operation];
  }
  // A result of several tensors is seen in each of them.
  const std::map<std::string, int> expected{{"patch_embedding", 1},
                                            {"layer_norm", 1},
                                            {"rms_norm", 4},
                                            {"modulation.scale", 1},
                                            {"modulation.shift", 1},
                                            {"modulation.gate", 1},
                                            {"linear", 1},
                                            {"keys_values.keys", 5},
                                            {"keys_values.values", 5},
                                            {"qkv.queries", 4},
                                            {"qkv.keys", 4},
                                            {"qkv.values", 4},
                                            {"attention", 4},
                                            {"linear_residual", 3},
                                            {"concatenate_tokens.keys", 3},
                                            {"concatenate_tokens.values", 3},
                                            {"gated_mlp", 2},
                                            {"concatenate_rows", 2},
                                            {"choose_rows", 1},
                                            {"guided_velocity", 1},
                                            {"euler_step", 1},
                                            {"download", 27}};
  EXPECT_EQ(operations, expected);
}

TEST(LockstepTest, AResultIsOfThePartThatWasMarkedLast) {
  Observer observer;
  const auto device =
      make_lockstep_device(make_reference_device(), make_reference_device(), observer);
  every_operation(*device);
  for (const Seen& seen : observer.seen) {
    if (seen.operation == "patch_embedding") {
      EXPECT_EQ(seen.component, "vision");
      EXPECT_EQ(seen.index, 0);
      EXPECT_EQ(seen.shape, (Shape{8, 6}));
    } else if (seen.operation == "linear") {
      EXPECT_EQ(seen.component, "adaptive");
      EXPECT_EQ(seen.index, 3);
    } else if (seen.operation == "gated_mlp") {
      EXPECT_EQ(seen.component, "layer");
      EXPECT_EQ(seen.index, 1);
    }
  }
}

// A device that gives zeros, as the second and as the first.
TEST(LockstepTest, TellsWhoseResultIsWhose) {
  Silent silent;
  const auto alone = every_operation(*make_reference_device());
  for (const bool zeros_first : {false, true}) {
    Observer observer;
    auto zeros = make_logging_device("zeros", silent);
    auto truth = make_reference_device();
    const auto device = zeros_first
                            ? make_lockstep_device(std::move(zeros), std::move(truth), observer)
                            : make_lockstep_device(std::move(truth), std::move(zeros), observer);
    EXPECT_EQ(device->name(), zeros_first ? "zeros against reference" : "reference against zeros");
    const auto results = every_operation(*device);
    EXPECT_EQ(results == alone, !zeros_first) << "a download is the first's";
    for (const Seen& seen : observer.seen) {
      const std::vector<float>& of_zeros = zeros_first ? seen.first : seen.second;
      EXPECT_EQ(of_zeros, std::vector<float>(of_zeros.size())) << seen.operation;
      EXPECT_NE(seen.first, seen.second) << seen.operation;
    }
  }
}

}  // namespace
}  // namespace pi0
