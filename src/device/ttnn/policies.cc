#include "device/ttnn/policies.h"

namespace pi0 {
namespace {

using shim::ComputeKernelConfig;
using shim::DataType;
using shim::MathFidelity;

constexpr std::int64_t kKiB = 1024;

ComputeKernelConfig compute(MathFidelity fidelity) {
  return {.math_fidelity = fidelity,
          .math_approx_mode = false,
          .fp32_dest_acc_en = true,
          .packer_l1_acc = true};
}

constexpr std::array<PlacementRow, kTensorRoles> kPlacement{{
    {TensorRole::kInput, "images, patches, language, state, noise", PlacementRule::kDram, 0,
     "written from the host while a trace waits; fold reads row-major from DRAM"},
    {TensorRole::kWeights, "weights, rotary tables, masks", PlacementRule::kDram, 0,
     "gigabytes; SDPA wants its mask there"},
    {TensorRole::kResidual, "residual stream", PlacementRule::kL1IfSmall, 128 * kKiB,
     "read twice a layer; 53 KiB a core for 816 tokens on an n150"},
    {TensorRole::kNormed, "results of norms", PlacementRule::kL1IfSmall, 128 * kKiB,
     "read at once by the next projection"},
    {TensorRole::kProjection, "queries, keys and values before the split", PlacementRule::kDram, 0,
     "large, and read once, page by page, when heads are split"},
    {TensorRole::kHeads, "heads, what attention gives", PlacementRule::kL1IfSmall, 128 * kKiB,
     "attention reads keys again for every block of queries"},
    {TensorRole::kCache, "keys and values", PlacementRule::kDram, 0,
     "they outlive the layer, and the prefix's outlive it by ten steps"},
    {TensorRole::kHidden, "hidden layer of an MLP", PlacementRule::kL1IfSmall, 256 * kKiB,
     "written and read once: in L1 it costs no DRAM traffic; cut so that two parts fit"},
    {TensorRole::kSmall, "rows of the suffix's ends", PlacementRule::kL1IfSmall, 32 * kKiB,
     "a tile or two a core"},
}};

}  // namespace

Policies default_policies(const Card& card) {
  // Where sums are fp32, HiFi4 can give wrong results on Wormhole (tt-metal issue 38306); TTNN's
  // own defaults take HiFi3 there.
  const MathFidelity finest =
      card.arch == "wormhole_b0" ? MathFidelity::kHiFi3 : MathFidelity::kHiFi4;
  Policies policies;
  policies.placement = kPlacement;
  policies.precision = {{
      {MathRole::kPatchEmbedding, "patch embedding", DataType::kBfloat16, compute(finest),
       "every later layer sees it; 0.3 % of the arithmetic"},
      {MathRole::kProjection, "projections, MLPs", DataType::kBfloat8B,
       compute(MathFidelity::kHiFi2),
       "bfp8 has 7 bits of mantissa, which HiFi2 multiplies whole; half the memory and traffic of "
       "bfloat16"},
      {MathRole::kSmallLinear, "state, actions, time, velocity", DataType::kBfloat16,
       compute(finest), "x_t is a sum over all steps; their weights are few"},
      {MathRole::kAttention, "scaled dot product attention", DataType::kBfloat16, compute(finest),
       "scores are exponents: an error there multiplies"},
      {MathRole::kNorm, "layer and RMS norms", DataType::kBfloat16, compute(finest),
       "sums of squares over 2048 values"},
      {MathRole::kRotary, "rotary embedding", DataType::kBfloat16, compute(finest),
       "a rotation must keep lengths"},
  }};
  return policies;
}

Policies bfloat16_policies(const Card& card) {
  Policies policies = default_policies(card);
  policies.of(MathRole::kProjection).weights = DataType::kBfloat16;
  policies.of(MathRole::kProjection).compute.math_fidelity =
      policies.of(MathRole::kSmallLinear).compute.math_fidelity;
  return policies;
}

std::int64_t l1_bytes_per_core(const shim::Shape4& shape, DataType dtype, const Card& card) {
  const shim::TensorSpec spec = make_spec(shape, dtype, shim::Layout::kTile, shim::Placement::kL1);
  const std::int64_t tiles = spec.padded[0] * spec.padded[1] * spec.padded[2] * spec.padded[3] /
                             (shim::kTile * shim::kTile);
  const std::int64_t pages = (tiles + card.cores() - 1) / card.cores();
  return pages * (size_in_bytes(spec) / tiles);
}

shim::Placement Policies::place(TensorRole role, const shim::Shape4& shape, DataType dtype,
                                const Card& card) const {
  const PlacementRow& row = of(role);
  const bool l1 =
      row.rule == PlacementRule::kL1 || (row.rule == PlacementRule::kL1IfSmall &&
                                         l1_bytes_per_core(shape, dtype, card) <= row.l1_limit);
  return l1 ? shim::Placement::kL1 : shim::Placement::kDram;
}

std::vector<PolicyLine> placement_lines(const Policies& policies) {
  std::vector<PolicyLine> lines;
  for (const PlacementRow& row : policies.placement) {
    std::string choice = "DRAM";
    if (row.rule == PlacementRule::kL1) choice = "L1";
    if (row.rule == PlacementRule::kL1IfSmall) {
      choice = "L1 up to " + std::to_string(row.l1_limit / kKiB) + " KiB a core, else DRAM";
    }
    lines.push_back({row.tensors, choice, row.reason});
  }
  return lines;
}

std::vector<PolicyLine> precision_lines(const Policies& policies) {
  std::vector<PolicyLine> lines;
  for (const PrecisionRow& row : policies.precision) {
    std::string choice = row.role == MathRole::kAttention || row.role == MathRole::kRotary
                             ? std::string()
                             : std::string(name_of(row.weights)) + " weights, ";
    choice += name_of(row.compute.math_fidelity);
    if (row.compute.fp32_dest_acc_en) choice += ", fp32 sums";
    lines.push_back({row.operations, choice, row.reason});
  }
  return lines;
}

}  // namespace pi0
