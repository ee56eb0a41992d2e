#include "device/cpu/isa/isa.h"

#include <array>
#include <cstdlib>

#include "pi0/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace pi0::cpu {
namespace {

#if defined(__x86_64__)

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

// CPUID leaf 7: what __builtin_cpu_supports() of older compilers has no names for.

struct Leaf7 {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  explicit Leaf7(unsigned subleaf) { __get_cpuid_count(7, subleaf, &eax, &ebx, &ecx, &edx); }
};

bool has_avx512_bf16() { return has_avx512() && ((Leaf7(1).eax >> 5) & 1u) != 0; }

// Linux hands out the 8 KiB of tile registers only to processes that ask for them, and refuses them
// signal stacks too small for those from then on; where a thread has such a stack it refuses this.
bool may_use_tiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  static const bool permitted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return permitted;
}

bool has_amx() {
  const unsigned edx = Leaf7(0).edx;
  const bool bf16 = ((edx >> 22) & 1u) != 0, tile = ((edx >> 24) & 1u) != 0,
             int8 = ((edx >> 25) & 1u) != 0;
  return has_avx512_bf16() && bf16 && tile && int8 && may_use_tiles();
}

bool is_intel() { return __builtin_cpu_is("intel") != 0; }

#else

bool has_avx2() { return false; }
bool has_avx512() { return false; }
bool has_avx512_bf16() { return false; }
bool has_amx() { return false; }
bool is_intel() { return false; }

#endif

}  // namespace

const char* name_of(Isa isa) {
  switch (isa) {
    case Isa::kPortable:
      return "portable";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx512Bf16:
      return "avx512_bf16";
    case Isa::kAmx:
      return "amx";
  }
  return "";
}

std::optional<Isa> isa_named(std::string_view name) {
  for (const Isa isa : kEveryIsa) {
    if (name == name_of(isa)) return isa;
  }
  return std::nullopt;
}

bool is_supported(Isa isa) {
  switch (isa) {
    case Isa::kPortable:
      return true;
    case Isa::kAvx2:
      return has_avx2();
    case Isa::kAvx512:
      return has_avx512();
    case Isa::kAvx512Bf16:
      return has_avx512_bf16() && has_avx512_vnni();
    case Isa::kAmx:
      return has_amx() && has_avx512_vnni();
  }
  return false;
}

bool has_avx512_vnni() {
#if defined(__x86_64__)
  return has_avx512() && __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

std::vector<Isa> supported_isas() {
  std::vector<Isa> isas;
  for (const Isa isa : kEveryIsa) {
    if (is_supported(isa)) isas.push_back(isa);
  }
  return isas;
}

Isa choose_isa() {
  // Before the others are looked for: permission to use tiles changes what the process may do.
  if (const char* forced = std::getenv("PI0_CPU_ISA"); forced != nullptr && *forced != '\0') {
    const std::optional<Isa> isa = isa_named(forced);
    if (isa && is_supported(*isa)) return *isa;
    std::string here;
    for (const Isa one : supported_isas()) {
      here += (here.empty() ? "" : ", ") + std::string(name_of(one));
    }
    throw Error(ErrorCode::kUnsupported,
                std::string("PI0_CPU_ISA is ") + forced +
                    (isa ? ", which this machine does not run" : ", which is no instruction set") +
                    "; expected one of " + here);
  }
  const Isa best = supported_isas().back();
  return best == Isa::kAvx512Bf16 && is_intel() ? Isa::kAvx512 : best;
}

}  // namespace pi0::cpu
