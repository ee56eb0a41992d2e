// Where each result lives and how exactly each operation computes: two tables, read by the device,
// printed by `pi0 audit`, overridable for experiments.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "device/backend.h"
#include "device/ttnn/shim/shim.h"

namespace pi0 {

// What a tensor is to the network.
enum class TensorRole {
  kInput,       // images, language embeddings, state, noise; and the patches cut from the images
  kWeights,     // and tables: rotary, masks, modulations
  kResidual,    // the stream that layers add to
  kNormed,      // after a norm
  kProjection,  // queries, keys and values before they are split; the projector's rows
  kHeads,       // queries after the split and after RoPE, what attention gives, heads joined
  kCache,       // keys and values
  kHidden,      // inside an MLP
  kSmall,       // a few rows: modulations, velocity, x_t
};
inline constexpr int kTensorRoles = 9;

enum class PlacementRule { kDram, kL1, kL1IfSmall };

struct PlacementRow {
  TensorRole role;
  const char* name;     // what override_policy() calls it
  const char* tensors;  // what they are, for a reader
  PlacementRule rule;
  std::int64_t l1_limit;  // bytes per core, up to which kL1IfSmall means L1
  const char* reason;

  // What TTNN's operations, or the size of it all, leave no choice in: always in DRAM.
  bool fixed() const { return role == TensorRole::kInput || role == TensorRole::kWeights; }
};

// What an operation is to the network's accuracy.
enum class MathRole {
  kPatchEmbedding,
  kVisionQkv,    // SigLIP's queries, keys and values
  kProjection,   // Gemma's and the expert's, attention's output, MLPs, and any large linear
  kCoarse,       // Gemma's MLPs: WeightPrecision::kCoarse
  kSmallLinear,  // state, actions, time, velocity
  kAttention,
  kNorm,
  kRotary,
};
inline constexpr int kMathRoles = 8;

struct PrecisionRow {
  MathRole role;
  const char* name;  // what override_policy() calls it
  const char* operations;
  shim::DataType weights;
  shim::ComputeKernelConfig compute;
  const char* reason;
  // Of another choice on the worst part of the golden pi0_tiny/full, 0.9946 as it is
  // (docs/tenstorrent.md has more).
  const char* effect;

  bool has_weights() const { return role != MathRole::kAttention && role != MathRole::kRotary; }
};

// Activations are bfloat16, x_t and the velocity float32; biases and tables bfloat16.
struct Policies {
  std::array<PlacementRow, kTensorRoles> placement;
  std::array<PrecisionRow, kMathRoles> precision;
  // A linear other than attention's and an MLP's with at least so many weights is a kProjection.
  std::int64_t large_linear = std::int64_t{1} << 21;
  // Per core, that circular buffers of a matrix multiplication or of attention may take.
  std::int64_t circular_buffer_budget = 600 * 1024;
  // A hidden layer is cut into equal parts, so that each (there are two at a time: gate and up)
  // stays within the L1 limit of kHidden for so many rows.
  std::int64_t planned_rows = 1024;

  const PlacementRow& of(TensorRole role) const {
    return placement[static_cast<std::size_t>(role)];
  }
  const PrecisionRow& of(MathRole role) const { return precision[static_cast<std::size_t>(role)]; }
  PrecisionRow& of(MathRole role) { return precision[static_cast<std::size_t>(role)]; }
  PlacementRow& of(TensorRole role) { return placement[static_cast<std::size_t>(role)]; }

  shim::Placement place(TensorRole role, const shim::Shape4& shape, shim::DataType dtype,
                        const Card& card) const;
};

// As chosen with the emulated card and the roofline.
Policies default_policies(const Card& card);

// Changes a row, for experiments: "hidden=dram", "hidden=l1", "hidden=128" (KiB per core),
// "projections=bfloat16" (bfloat8_b, float32), "attention=HiFi2" (LoFi, HiFi3, HiFi4). Throws Error
// (kInvalidInput) naming what there is.
void override_policy(Policies& policies, std::string_view setting);

// The tables as text, a row each: its name, what it is about, choice, reason.
std::vector<SettingRow> placement_lines(const Policies& policies);
std::vector<SettingRow> precision_lines(const Policies& policies);

// Per core, where the pages of an interleaved tensor are spread over all of them.
std::int64_t l1_bytes_per_core(const shim::Shape4& shape, shim::DataType dtype, const Card& card);

}  // namespace pi0
