// AVX512 without BF16 or VNNI: as AVX2, twice as wide.
#include <immintrin.h>

#include "device/cpu/kernels/tile_kernel_avx512.h"

namespace pi0::cpu::avx512 {
namespace {

struct F32 : Avx512F32Sums {
  static constexpr int kGroup = 1;
  static Floats512 weights(const void* from) { return load(from); }
  static __m512 unit(const void* from) { return _mm512_set1_ps(*static_cast<const float*>(from)); }
  static Sum multiply_add(Sum sum, __m512 unit, __m512 weights) {
    return _mm512_fmadd_ps(unit, weights, sum);
  }
};

// Even columns in one register, odd ones in the other.
struct Bf16 : F32 {
  static constexpr int kWeightBytes = 64;
  static Floats512 weights(const void* from) {
    const __m512i values = _mm512_loadu_si512(from);
    const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
    constexpr __mmask16 kAll = 0xffff;  // g++ 12 warns of the plain form's own source
    return {_mm512_castsi512_ps(_mm512_maskz_slli_epi32(kAll, values, 16)),
            _mm512_castsi512_ps(_mm512_and_si512(values, upper))};
  }
  static Sums load(const void* from) {
    const Sums sums = F32::load(from);
    const __m512i even =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    return {_mm512_permutex2var_ps(sums.first, even, sums.second),
            _mm512_permutex2var_ps(sums.first, odd, sums.second)};
  }
  static void store(void* to, Sums sums) {
    const __m512i lower = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i upper = _mm512_add_epi32(lower, _mm512_set1_epi32(8));
    F32::store(to, {_mm512_permutex2var_ps(sums.first, lower, sums.second),
                    _mm512_permutex2var_ps(sums.first, upper, sums.second)});
  }
};

struct Int8 : Avx512IntegerSums {
  static constexpr int kGroup = 2, kWeightBytes = 64;
  static constexpr int kRows = 11;  // a product has a register of its own before it is added
  static Integers512 weights(const void* from) {
    const auto* const values = static_cast<const __m256i*>(from);
    return {_mm512_cvtepi8_epi16(_mm256_loadu_si256(values)),
            _mm512_cvtepi8_epi16(_mm256_loadu_si256(values + 1))};
  }
  static Sum multiply_add(Sum sum, __m512i unit, __m512i weights) {
    return _mm512_add_epi32(sum, _mm512_madd_epi16(unit, weights));
  }
};

}  // namespace

extern const MultiplyKernel kF32 = tile_kernel<F32>("vfmadd231ps", Number::kF32, Number::kF32);
extern const MultiplyKernel kBf16 = tile_kernel<Bf16>("vfmadd231ps", Number::kF32, Number::kBf16);
extern const MultiplyKernel kInt8 = tile_kernel<Int8>("vpmaddwd", Number::kInt16, Number::kInt8);

}  // namespace pi0::cpu::avx512
