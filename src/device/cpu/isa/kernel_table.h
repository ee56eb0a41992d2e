// Which kernel multiplies what: by instruction set and type.
#pragma once

#include <string>

#include "device/cpu/isa/isa.h"
#include "device/cpu/kernels/kernels.h"

namespace pi0 {

enum class CpuType {
  kBf16,  // weights in bf16, sums in fp32; activations in bf16 where the machine multiplies it
  kInt8,  // weights by output channel, activations by token, exact 32-bit sums; see KernelTable
  kFp32,
};
const char* name_of(CpuType type);  // "bf16", "int8", "fp32"
inline constexpr CpuType kEveryType[] = {CpuType::kBf16, CpuType::kInt8, CpuType::kFp32};

namespace cpu {

// What int8 is too coarse for keeps bf16. Each is a small part of the work.
//   attention's products      queries and keys are activations both, with no channel to scale by
//   patch embedding           pixels of 8 bits, and positions added: everything after depends on it
//   state, action, time       few values in or out, of which each matters: state_proj,
//   projections               action_in_proj, action_out_proj, action_time_mlp, time_mlp
//   modulations of π0.5       multiply a whole layer's activations; computed once a model
struct KernelTable {
  const RowKernels* rows = nullptr;
  const MultiplyKernel* layers = nullptr;     // projections of the layers
  const MultiplyKernel* exact = nullptr;      // what is too sensitive for int8
  const MultiplyKernel* attention = nullptr;  // weights as the kernel reads them
};
KernelTable kernel_table(CpuType type, Isa isa);

// How the weights that are prepared for these kernels lie in memory: where the text is the same,
// they can be used as they are.
std::string prepared_form(CpuType type, Isa isa);

}  // namespace cpu
}  // namespace pi0
