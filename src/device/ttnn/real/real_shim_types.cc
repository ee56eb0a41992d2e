#include "device/ttnn/real/real_shim_types.h"

#include <string>

#include "pi0/error.h"

namespace pi0::shim {
namespace {

namespace metal = tt::tt_metal;
using ttnn::operations::unary::UnaryOpType;

Shape4 from_ttnn(const ttnn::Shape& shape) {
  if (shape.rank() != 4) {
    throw Error(ErrorCode::kUnsupported, "ttnn: a result has " + std::to_string(shape.rank()) +
                                             " dimensions, not 4: another release of TTNN?");
  }
  return {shape[0], shape[1], shape[2], shape[3]};
}

DataType from_ttnn(metal::DataType type) {
  switch (type) {
    case metal::DataType::FLOAT32:
      return DataType::kFloat32;
    case metal::DataType::BFLOAT16:
      return DataType::kBfloat16;
    case metal::DataType::BFLOAT8_B:
      return DataType::kBfloat8B;
    case metal::DataType::BFLOAT4_B:
      return DataType::kBfloat4B;
    default:
      throw Error(ErrorCode::kUnsupported,
                  "ttnn: a result is neither float32, bfloat16, bfloat8_b nor bfloat4_b");
  }
}

metal::MathFidelity to_ttnn(MathFidelity fidelity) {
  switch (fidelity) {
    case MathFidelity::kLoFi:
      return metal::MathFidelity::LoFi;
    case MathFidelity::kHiFi2:
      return metal::MathFidelity::HiFi2;
    case MathFidelity::kHiFi3:
      return metal::MathFidelity::HiFi3;
    case MathFidelity::kHiFi4:
      return metal::MathFidelity::HiFi4;
  }
  return metal::MathFidelity::HiFi4;
}

metal::CoreCoord to_ttnn(const CoreGrid& grid) {
  return {static_cast<std::size_t>(grid.x), static_cast<std::size_t>(grid.y)};
}

// The exact GELU (parameter 0), not the table that parameter 1 looks up: its distance from the
// tanh approximation, 5e-4 at most, is below bfloat16's steps near 1; the table's is not.
template <typename With>
std::vector<With> unary(Unary unary) {
  switch (unary) {
    case Unary::kNone:
      return {};
    case Unary::kGelu:
      return {With(UnaryOpType::GELU, 0.0f)};
    case Unary::kSilu:
      return {With(UnaryOpType::SILU)};
  }
  return {};
}

}  // namespace

ttnn::Shape to_ttnn(const Shape4& shape) {
  return ttnn::Shape({static_cast<std::uint32_t>(shape[0]), static_cast<std::uint32_t>(shape[1]),
                      static_cast<std::uint32_t>(shape[2]), static_cast<std::uint32_t>(shape[3])});
}

metal::MemoryConfig to_ttnn(Placement placement) {
  return metal::MemoryConfig(metal::TensorMemoryLayout::INTERLEAVED, placement == Placement::kDram
                                                                         ? metal::BufferType::DRAM
                                                                         : metal::BufferType::L1);
}

metal::DataType to_ttnn(DataType type) {
  switch (type) {
    case DataType::kFloat32:
      return metal::DataType::FLOAT32;
    case DataType::kBfloat16:
      return metal::DataType::BFLOAT16;
    case DataType::kBfloat8B:
      return metal::DataType::BFLOAT8_B;
    case DataType::kBfloat4B:
      return metal::DataType::BFLOAT4_B;
  }
  return metal::DataType::INVALID;
}

metal::Layout to_ttnn(Layout layout) {
  return layout == Layout::kTile ? metal::Layout::TILE : metal::Layout::ROW_MAJOR;
}

ttnn::DeviceComputeKernelConfig to_ttnn(const ComputeKernelConfig& config) {
  ttnn::DeviceComputeKernelConfig kernel;
  kernel.math_fidelity = to_ttnn(config.math_fidelity);
  kernel.math_approx_mode = config.math_approx_mode;
  kernel.fp32_dest_acc_en = config.fp32_dest_acc_en;
  kernel.packer_l1_acc = config.packer_l1_acc;
  return kernel;
}

ttnn::operations::matmul::MatmulProgramConfig to_ttnn(const MatmulProgramConfig& config,
                                                      Unary fused) {
  const auto fill = [&](auto program) {
    program.compute_with_storage_grid_size = to_ttnn(config.grid);
    program.in0_block_w = config.in0_block_w;
    program.out_subblock_h = config.out_subblock_h;
    program.out_subblock_w = config.out_subblock_w;
    program.out_block_h = config.out_block_h;
    program.out_block_w = config.out_block_w;
    program.per_core_M = config.per_core_M;
    program.per_core_N = config.per_core_N;
    program.fuse_batch = true;
    const auto activations = unary<ttnn::operations::unary::UnaryWithParam>(fused);
    if (!activations.empty()) program.fused_activation = activations.front();
    return program;
  };
  if (!config.one_dimension) {
    return fill(ttnn::operations::matmul::MatmulMultiCoreReuseMultiCastProgramConfig{});
  }
  auto program = fill(ttnn::operations::matmul::MatmulMultiCoreReuseMultiCast1DProgramConfig{});
  program.mcast_in0 = true;
  return program;
}

std::vector<ttnn::operations::unary::EltwiseUnaryWithParam> to_ttnn(Unary activation) {
  return unary<ttnn::operations::unary::EltwiseUnaryWithParam>(activation);
}

ttnn::operations::transformer::SDPAProgramConfig program_config(const SdpaOptions& options) {
  ttnn::operations::transformer::SDPAProgramConfig config;
  config.compute_with_storage_grid_size = to_ttnn(options.grid);
  config.q_chunk_size = static_cast<std::size_t>(options.q_chunk_size);
  config.k_chunk_size = static_cast<std::size_t>(options.k_chunk_size);
  config.exp_approx_mode = options.exp_approx_mode;
  return config;
}

ttnn::TensorSpec to_ttnn(const TensorSpec& spec) {
  return ttnn::TensorSpec(
      to_ttnn(spec.shape),
      metal::TensorLayout(to_ttnn(spec.dtype), metal::PageConfig(to_ttnn(spec.layout)),
                          to_ttnn(spec.placement)));
}

TensorSpec from_ttnn(const ttnn::Tensor& tensor) {
  TensorSpec spec;
  spec.shape = from_ttnn(tensor.logical_shape());
  spec.padded = from_ttnn(tensor.padded_shape());
  spec.dtype = from_ttnn(tensor.dtype());
  spec.layout = tensor.layout() == metal::Layout::TILE ? Layout::kTile : Layout::kRowMajor;
  spec.placement = tensor.memory_config().is_dram() ? Placement::kDram : Placement::kL1;
  return spec;
}

}  // namespace pi0::shim
