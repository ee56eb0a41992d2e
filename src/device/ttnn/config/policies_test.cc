#include "device/ttnn/config/policies.h"

#include <gtest/gtest.h>

#include "pi0/error.h"

namespace pi0 {
namespace {

const Card& n150() { return *find_card("n150"); }

TEST(PoliciesTest, RowsStandWhereTheirRolesSay) {
  const Policies policies = default_policies(n150());
  for (std::size_t i = 0; i < policies.placement.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(policies.placement[i].role), i);
  }
  for (std::size_t i = 0; i < policies.precision.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(policies.precision[i].role), i);
  }
}

// tt-metal issue 38306: HiFi4 with fp32 sums is not to be trusted on Wormhole.
TEST(PoliciesTest, NoHiFi4WithFp32SumsOnWormhole) {
  for (const PrecisionRow& row : default_policies(n150()).precision) {
    EXPECT_FALSE(row.compute.fp32_dest_acc_en &&
                 row.compute.math_fidelity == shim::MathFidelity::kHiFi4)
        << row.operations;
  }
  EXPECT_EQ(default_policies(*find_card("p150")).of(MathRole::kAttention).compute.math_fidelity,
            shim::MathFidelity::kHiFi4);
}

TEST(PoliciesTest, L1TakesWhatIsSmallEnough) {
  const Policies policies = default_policies(n150());
  const auto place = [&](TensorRole role, std::int64_t rows, std::int64_t width) {
    return policies.place(role, {1, 1, rows, width}, shim::DataType::kBfloat16, n150());
  };
  // 816 rows are 26 of tiles; 26 x 64 tiles on 64 cores are 26 each, of 2048 bytes.
  EXPECT_EQ(l1_bytes_per_core({1, 1, 816, 2048}, shim::DataType::kBfloat16, n150()), 26 * 2048);
  EXPECT_EQ(place(TensorRole::kResidual, 816, 2048), shim::Placement::kL1);
  EXPECT_EQ(place(TensorRole::kResidual, 8160, 2048), shim::Placement::kDram);
  EXPECT_EQ(place(TensorRole::kHidden, 816, 8192), shim::Placement::kL1);
  EXPECT_EQ(place(TensorRole::kHidden, 816, 16384), shim::Placement::kDram);
  EXPECT_EQ(place(TensorRole::kCache, 1, 32), shim::Placement::kDram);
}

TEST(PoliciesTest, ARowCanBeChanged) {
  Policies policies = default_policies(n150());
  override_policy(policies, "hidden=dram");
  EXPECT_EQ(policies.of(TensorRole::kHidden).rule, PlacementRule::kDram);
  override_policy(policies, "hidden=l1");
  EXPECT_EQ(policies.of(TensorRole::kHidden).rule, PlacementRule::kL1);
  override_policy(policies, "residual=7");
  EXPECT_EQ(policies.of(TensorRole::kResidual).rule, PlacementRule::kL1IfSmall);
  EXPECT_EQ(policies.of(TensorRole::kResidual).l1_limit, 7 * 1024);
  override_policy(policies, "projections=bfloat16");
  override_policy(policies, "projections=HiFi4");
  EXPECT_EQ(policies.of(MathRole::kProjection).weights, shim::DataType::kBfloat16);
  EXPECT_EQ(policies.of(MathRole::kProjection).compute.math_fidelity, shim::MathFidelity::kHiFi4);
  EXPECT_EQ(precision_lines(policies)[2].choice, "bfloat16 weights, HiFi4, fp32 sums");
}

TEST(PoliciesTest, SaysWhatCannotBeChangedSo) {
  const auto expect_refused = [](const char* setting, std::initializer_list<const char*> words) {
    Policies policies = default_policies(n150());
    try {
      override_policy(policies, setting);
      FAIL() << "accepted " << setting;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
      for (const char* word : words) {
        EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
      }
    }
  };
  expect_refused("hiden=dram", {"hiden", "hidden", "projections"});
  expect_refused("hidden", {"hidden", "dram", "l1"});
  expect_refused("hidden=-3", {"-3", "KiB"});
  expect_refused("hidden=99999999999999999999", {"KiB"});
  expect_refused("norms=fast", {"norms=fast", "HiFi2"});
  expect_refused("", {"no row"});
  // What has no weights, and what has no choice, is not changed in silence.
  expect_refused("attention=bfloat8_b", {"attention=bfloat8_b", "expected LoFi"});
  expect_refused("rotary=float32", {"expected LoFi"});
  expect_refused("input=l1", {"input=l1", "DRAM"});
  expect_refused("weights=64", {"weights=64", "DRAM"});
}

}  // namespace
}  // namespace pi0
