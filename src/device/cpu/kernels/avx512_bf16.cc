// vdpbf16ps: two products of bf16 a sum in fp32.
#include "device/cpu/kernels/tile_kernel_avx512.h"

namespace pi0::cpu::avx512_bf16 {
namespace {

struct Bf16 : Avx512F32Sums {
  static constexpr int kGroup = 2;
  static Integers512 weights(const void* from) { return two_registers(from); }
  static __m512i unit(const void* from) {
    return _mm512_set1_epi32(*static_cast<const std::int32_t*>(from));
  }
  static Sum multiply_add(Sum sum, __m512i unit, __m512i weights) {
    return _mm512_dpbf16_ps(sum, (__m512bh)unit, (__m512bh)weights);
  }
};

}  // namespace

extern const MultiplyKernel kBf16 = tile_kernel<Bf16>("vdpbf16ps", Number::kBf16, Number::kBf16);

}  // namespace pi0::cpu::avx512_bf16
