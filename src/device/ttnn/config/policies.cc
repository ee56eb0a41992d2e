#include "device/ttnn/config/policies.h"

#include <charconv>

#include "pi0/error.h"

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
    {TensorRole::kInput, "input", "images, patches, language, state, noise", PlacementRule::kDram,
     0, "written from the host while a trace waits; fold reads row-major from DRAM"},
    {TensorRole::kWeights, "weights", "weights, rotary tables, masks", PlacementRule::kDram, 0,
     "gigabytes; SDPA wants its mask there"},
    {TensorRole::kResidual, "residual", "residual stream", PlacementRule::kL1IfSmall, 128 * kKiB,
     "read twice a layer; 53 KiB a core for 816 tokens on an n150"},
    {TensorRole::kNormed, "normed", "results of norms", PlacementRule::kL1IfSmall, 128 * kKiB,
     "read at once by the next projection"},
    {TensorRole::kProjection, "projected",
     "queries, keys and values before the split; embedded images", PlacementRule::kDram, 0,
     "large, and read once, page by page: to split heads, to join the prefix; "
     "embedded images stay for the whole call"},
    {TensorRole::kHeads, "heads", "heads, what attention gives", PlacementRule::kL1IfSmall,
     128 * kKiB, "attention reads keys again for every block of queries"},
    {TensorRole::kCache, "cache", "keys and values", PlacementRule::kDram, 0,
     "they outlive the layer, and the prefix's outlive it by ten steps"},
    {TensorRole::kHidden, "hidden", "hidden layer of an MLP", PlacementRule::kL1IfSmall, 256 * kKiB,
     "written and read once: in L1 it costs no DRAM traffic; cut so that two parts fit"},
    {TensorRole::kSmall, "small", "rows of the suffix's ends", PlacementRule::kL1IfSmall, 32 * kKiB,
     "a tile or two a core"},
}};

[[noreturn]] void refuse(std::string_view row, std::string_view value, const char* expected) {
  throw Error(ErrorCode::kInvalidInput,
              "policy " + std::string(row) + "=" + std::string(value) + ": expected " + expected);
}

void set_placement(PlacementRow& row, std::string_view value) {
  if (row.fixed()) refuse(row.name, value, "no change of this row: TTNN wants these in DRAM");
  std::int64_t limit = 0;
  const char* const end = value.data() + value.size();
  if (value == "dram") {
    row.rule = PlacementRule::kDram;
  } else if (value == "l1") {
    row.rule = PlacementRule::kL1;
  } else if (const auto [stop, error] = std::from_chars(value.data(), end, limit);
             error == std::errc() && stop == end && limit > 0 && limit < (1 << 20)) {
    row.rule = PlacementRule::kL1IfSmall;
    row.l1_limit = limit * kKiB;
  } else {
    refuse(row.name, value, "dram, l1, or KiB per core up to which it is in L1");
  }
}

void set_precision(PrecisionRow& row, std::string_view value) {
  const bool weights = row.has_weights();
  for (const DataType type : {DataType::kBfloat16, DataType::kBfloat8B, DataType::kFloat32}) {
    if (weights && value == name_of(type)) {
      row.weights = type;
      return;
    }
  }
  for (const MathFidelity fidelity :
       {MathFidelity::kLoFi, MathFidelity::kHiFi2, MathFidelity::kHiFi3, MathFidelity::kHiFi4}) {
    if (value == name_of(fidelity)) {
      row.compute.math_fidelity = fidelity;
      return;
    }
  }
  refuse(row.name, value,
         weights ? "bfloat8_b, bfloat16 or float32 (weights), or LoFi, HiFi2, HiFi3 or HiFi4"
                 : "LoFi, HiFi2, HiFi3 or HiFi4");
}

}  // namespace

Policies default_policies(const Card& card) {
  // Where sums are fp32, HiFi4 can give wrong results on Wormhole (tt-metal issue 38306); TTNN's
  // own defaults take HiFi3 there.
  const MathFidelity finest =
      card.arch == "wormhole_b0" ? MathFidelity::kHiFi3 : MathFidelity::kHiFi4;
  Policies policies;
  policies.placement = kPlacement;
  policies.precision = {{
      {MathRole::kPatchEmbedding, "patches", "patch embedding", DataType::kBfloat16,
       compute(finest), "every later layer sees it; 0.3 % of the arithmetic",
       "bfloat8_b: PCC 0.9911"},
      {MathRole::kVisionQkv, "vision_qkv", "SigLIP's queries, keys, values", DataType::kBfloat16,
       compute(MathFidelity::kHiFi2),
       "what attention gives can be a small difference of large values; arithmetic bounds them, so "
       "bfloat16 costs memory alone",
       "bfloat8_b: PCC 0.9951"},
      {MathRole::kProjection, "projections", "other projections; SigLIP's and the expert's MLPs",
       DataType::kBfloat8B, compute(MathFidelity::kHiFi2),
       "bfp8 has 7 bits of mantissa, which HiFi2 multiplies whole; half the memory and traffic of "
       "bfloat16, which bounds the expert's",
       "bfloat16: PCC 0.9942; LoFi: 0.9875"},
      {MathRole::kCoarse, "prefix_mlp", "Gemma's MLPs", DataType::kBfloat8B,
       compute(MathFidelity::kLoFi),
       "most of the arithmetic, in half the time of HiFi2; weights rounded to the 5 bits that LoFi "
       "multiplies",
       "HiFi2: PCC 0.9952"},
      {MathRole::kSmallLinear, "linears", "state, actions, time, velocity", DataType::kBfloat16,
       compute(finest), "x_t is a sum over all steps; their weights are few",
       "bfloat8_b: PCC 0.9923"},
      {MathRole::kAttention, "attention", "scaled dot product attention", DataType::kBfloat16,
       compute(finest), "scores are exponents: an error there multiplies", "HiFi2: PCC 0.9930"},
      {MathRole::kNorm, "norms", "layer and RMS norms", DataType::kBfloat16, compute(finest),
       "sums of squares over 2048 values", "HiFi2: PCC 0.9890"},
      {MathRole::kRotary, "rotary", "rotary embedding", DataType::kBfloat16, compute(finest),
       "a rotation must keep lengths", "HiFi2: PCC 0.9946"},
  }};
  return policies;
}

void override_policy(Policies& policies, std::string_view setting) {
  const std::size_t equals = setting.find('=');
  const std::string_view name = setting.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? std::string_view() : setting.substr(equals + 1);
  std::string names;
  for (PlacementRow& row : policies.placement) {
    names.append(names.empty() ? "" : ", ").append(row.name);
    if (row.name == name) return set_placement(row, value);
  }
  for (PrecisionRow& row : policies.precision) {
    names.append(", ").append(row.name);
    if (row.name == name) return set_precision(row, value);
  }
  throw Error(ErrorCode::kInvalidInput, "policy " + std::string(setting) + ": there is no row " +
                                            std::string(name) + ", expected one of " + names);
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

std::vector<SettingRow> placement_lines(const Policies& policies) {
  std::vector<SettingRow> lines;
  for (const PlacementRow& row : policies.placement) {
    std::string choice = "DRAM";
    if (row.rule == PlacementRule::kL1) choice = "L1";
    if (row.rule == PlacementRule::kL1IfSmall) {
      choice = "L1 up to " + std::to_string(row.l1_limit / kKiB) + " KiB a core, else DRAM";
    }
    lines.push_back({row.name, row.tensors, choice, row.reason});
  }
  return lines;
}

std::vector<SettingRow> precision_lines(const Policies& policies) {
  std::vector<SettingRow> lines;
  for (const PrecisionRow& row : policies.precision) {
    std::string choice =
        row.has_weights() ? std::string(name_of(row.weights)) + " weights, " : std::string();
    choice += name_of(row.compute.math_fidelity);
    if (row.compute.fp32_dest_acc_en) choice += ", fp32 sums";
    lines.push_back(
        {row.name, row.operations, choice, std::string(row.reason) + " (" + row.effect + ")"});
  }
  return lines;
}

}  // namespace pi0
