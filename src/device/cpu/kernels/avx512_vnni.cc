// vpdpbusd: four products of unsigned activations and signed weights a sum, exact in 32 bits. So
// activations are stored with 128 added, and finishing subtracts 128 times the column's weights.
#include "device/cpu/kernels/tile_kernel_avx512.h"

namespace pi0::cpu::avx512_vnni {
namespace {

struct Int8 : Avx512IntegerSums {
  static constexpr int kGroup = 4;
  static Integers512 weights(const void* from) { return two_registers(from); }
  static Sum multiply_add(Sum sum, __m512i unit, __m512i weights) {
    return _mm512_dpbusd_epi32(sum, unit, weights);
  }
};

}  // namespace

extern const MultiplyKernel kInt8 =
    tile_kernel<Int8>("vpdpbusd", Number::kInt8, Number::kInt8, 128);

}  // namespace pi0::cpu::avx512_vnni
