// Which kernel multiplies what: by instruction set and type.
#pragma once

#include "device/cpu/cpu.h"
#include "device/cpu/kernels/kernels.h"

namespace pi0::cpu {

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

// The device with these kernels; options.type and options.isa are not looked at.
std::unique_ptr<Device> make_cpu_device(const CpuOptions& options, const KernelTable& table);

}  // namespace pi0::cpu
