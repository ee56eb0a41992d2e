// The instruction sets that kernels are written for, and which of them this machine runs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pi0::cpu {

// From the plainest on. Each has what those before it have.
enum class Isa {
  kPortable,    // what the compiler makes of plain loops
  kAvx2,        // AVX2, FMA
  kAvx512,      // AVX512 F, BW, DQ, VL; its VNNI where there
  kAvx512Bf16,  // AVX512 BF16 and VNNI
  kAmx,         // tiles of bf16 and int8
};
inline constexpr Isa kEveryIsa[] = {Isa::kPortable, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16,
                                    Isa::kAmx};

// "portable", "avx2", "avx512", "avx512_bf16", "amx".
const char* name_of(Isa isa);
std::optional<Isa> isa_named(std::string_view name);

// Asks the operating system for the tile registers where the processor has them, so before the
// process starts threads that use them.
bool is_supported(Isa isa);
// VNNI may be there without BF16 (Ice Lake).
bool has_avx512_vnni();

// All that this machine runs, the plainest first.
std::vector<Isa> supported_isas();

// The one to use: PI0_CPU_ISA where it is set, else what is fastest here, which need not be the
// last: Intel's vdpbf16ps does half of what its fp32 does, so there it takes AMX to beat AVX512.
// Throws Error (kUnsupported) when PI0_CPU_ISA names none, or one that this machine does not run.
Isa choose_isa();

}  // namespace pi0::cpu
