#include "device/cpu/isa/kernel_table.h"

#include <fmt/format.h>

namespace pi0 {

const char* name_of(CpuType type) {
  return type == CpuType::kBf16 ? "bf16" : type == CpuType::kInt8 ? "int8" : "fp32";
}

namespace cpu {
namespace {

// What one instruction set offers.
struct Offer {
  const RowKernels* rows;
  const MultiplyKernel *fp32, *bf16, *int8;
};

Offer offer(Isa isa) {
#if defined(__x86_64__)
  const MultiplyKernel* const vnni = &avx512_vnni::kInt8;
  switch (isa) {
    case Isa::kAvx2:
      return {&avx2::kRows, &avx2::kF32, &avx2::kBf16, &avx2::kInt8};
    case Isa::kAvx512:
      return {&avx512::kRows, &avx512::kF32, &avx512::kBf16,
              has_avx512_vnni() ? vnni : &avx512::kInt8};
    case Isa::kAvx512Bf16:
      return {&avx512::kRows, &avx512::kF32, &avx512_bf16::kBf16, vnni};
    case Isa::kAmx:
      return {&avx512::kRows, &avx512::kF32, &amx::kBf16, &amx::kInt8};
    case Isa::kPortable:
      break;
  }
#else
  (void)isa;
#endif
  return {&portable::kRows, &portable::kF32, &portable::kBf16, &portable::kInt8};
}

}  // namespace

KernelTable kernel_table(CpuType type, Isa isa) {
  const Offer offered = offer(isa);
  KernelTable table;
  table.rows = offered.rows;
  table.exact = type == CpuType::kFp32 ? offered.fp32 : offered.bf16;
  table.layers = type == CpuType::kInt8 ? offered.int8 : table.exact;
  // Keys and values are packed for one call: narrower, they would only have to be widened again.
  const bool widens = table.exact->weights != table.exact->activations;
  table.attention = widens ? offered.fp32 : table.exact;
  return table;
}

std::string prepared_form(CpuType type, Isa isa) {
  constexpr int kVersion = 3;  // another whenever prepared weights become other bytes
  const KernelTable table = kernel_table(type, isa);
  std::string form = fmt::format("{}: ", kVersion);
  for (const MultiplyKernel* kernel : {table.layers, table.exact}) {
    form += fmt::format("{}-{}-{}-{} ", static_cast<int>(kernel->weights), kernel->columns,
                        kernel->weight_group, kernel->activation_group);
  }
  return form;
}

}  // namespace cpu
}  // namespace pi0
