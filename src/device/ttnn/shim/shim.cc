#include "device/ttnn/shim/shim.h"

namespace pi0::shim {

const char* name_of(DataType type) {
  switch (type) {
    case DataType::kFloat32:
      return "float32";
    case DataType::kBfloat16:
      return "bfloat16";
    case DataType::kBfloat8B:
      return "bfloat8_b";
    case DataType::kBfloat4B:
      return "bfloat4_b";
  }
  return "";
}

const char* name_of(Layout layout) { return layout == Layout::kTile ? "tile" : "row_major"; }

const char* name_of(Placement placement) { return placement == Placement::kDram ? "dram" : "l1"; }

const char* name_of(MathFidelity fidelity) {
  switch (fidelity) {
    case MathFidelity::kLoFi:
      return "LoFi";
    case MathFidelity::kHiFi2:
      return "HiFi2";
    case MathFidelity::kHiFi3:
      return "HiFi3";
    case MathFidelity::kHiFi4:
      return "HiFi4";
  }
  return "";
}

const char* name_of(Unary unary) {
  switch (unary) {
    case Unary::kNone:
      return "none";
    case Unary::kGelu:
      return "gelu";
    case Unary::kSilu:
      return "silu";
  }
  return "";
}

TensorSpec make_spec(const Shape4& shape, DataType dtype, Layout layout, Placement placement) {
  TensorSpec spec{shape, shape, dtype, layout, placement};
  if (layout == Layout::kTile) {
    spec.padded[2] = round_to_tile(shape[2]);
    spec.padded[3] = round_to_tile(shape[3]);
  }
  return spec;
}

std::int64_t size_in_bytes(const TensorSpec& spec) {
  const std::int64_t values = spec.padded[0] * spec.padded[1] * spec.padded[2] * spec.padded[3];
  return values * tile_bytes(spec.dtype) / (kTile * kTile);
}

}  // namespace pi0::shim
