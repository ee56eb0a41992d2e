// TTNN's types from the shim's, and back.
#pragma once

#include <ttnn/operations/core/compute_kernel/compute_kernel_config.hpp>
#include <ttnn/operations/eltwise/unary/common/unary_op_types.hpp>
#include <ttnn/operations/matmul/device/config/matmul_program_config_types.hpp>
#include <ttnn/operations/transformer/sdpa_config.hpp>
#include <ttnn/tensor/tensor.hpp>
#include <ttnn/types.hpp>
#include <vector>

#include "device/ttnn/shim/shim.h"

namespace pi0::shim {

ttnn::Shape to_ttnn(const Shape4& shape);
tt::tt_metal::MemoryConfig to_ttnn(Placement placement);
tt::tt_metal::DataType to_ttnn(DataType type);
tt::tt_metal::Layout to_ttnn(Layout layout);
ttnn::DeviceComputeKernelConfig to_ttnn(const ComputeKernelConfig& config);
ttnn::operations::matmul::MatmulProgramConfig to_ttnn(const MatmulProgramConfig& config,
                                                      Unary fused);
// None, or one.
std::vector<ttnn::operations::unary::EltwiseUnaryWithParam> to_ttnn(Unary unary);
ttnn::operations::transformer::SDPAProgramConfig program_config(const SdpaOptions& options);
// Without the padding that a layout does not ask for.
ttnn::TensorSpec to_ttnn(const TensorSpec& spec);

// Throws Error where the tensor has not four dimensions, or a type that no operation here gives.
TensorSpec from_ttnn(const ttnn::Tensor& tensor);

}  // namespace pi0::shim
