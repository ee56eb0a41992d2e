// AVX2 and FMA: fp32, bf16 weights widened into it, and int8 as pairs of 16 bits: vpmaddwd sums two
// products in 32 bits exactly, where vpmaddubsw on 8 bits could saturate. Widening costs nothing
// next to the multiplications, which leave units and loads of the core free.
#include <immintrin.h>

#include "device/cpu/kernels/tile_kernel.h"

namespace pi0::cpu::avx2 {
namespace {

// 6 x 2 registers of sums, of 16; two of weights and one unit.
struct F32 {
  using Sum = __m256;
  struct Sums {
    Sum first, second;
  };
  static constexpr int kColumns = 8, kRows = 6, kGroup = 1, kUnitBytes = 4, kWeightBytes = 64;
  static Sum zero() { return _mm256_setzero_ps(); }
  static Sums load(const void* from) {
    const auto* const values = static_cast<const float*>(from);
    return {_mm256_loadu_ps(values), _mm256_loadu_ps(values + 8)};
  }
  static void store(void* to, Sums sums) {
    auto* const values = static_cast<float*>(to);
    _mm256_storeu_ps(values, sums.first);
    _mm256_storeu_ps(values + 8, sums.second);
  }
  static Sums weights(const void* from) { return load(from); }
  static __m256 unit(const void* from) {
    return _mm256_broadcast_ss(static_cast<const float*>(from));
  }
  static Sum multiply_add(Sum sum, __m256 unit, __m256 weights) {
    return _mm256_fmadd_ps(unit, weights, sum);
  }
  static void keep(__m256& value) { asm volatile("" : "+x"(value)); }
};

// A bf16 is the upper half of an fp32: of 16 that lie side by side, those at even places are a
// shift away from it and those at odd places a mask. So one register has the even columns and the
// other the odd ones, until the tile is done.
struct Bf16 : F32 {
  static constexpr int kWeightBytes = 32;
  static Sums weights(const void* from) {
    const __m256i values = _mm256_loadu_si256(static_cast<const __m256i*>(from));
    const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(values, 16)),
            _mm256_castsi256_ps(_mm256_and_si256(values, upper))};
  }
  static Sums load(const void* from) {
    const Sums sums = F32::load(from);                                          // 0 … 7, 8 … 15
    const __m256 low = _mm256_permute2f128_ps(sums.first, sums.second, 0x20);   // 0-3, 8-11
    const __m256 high = _mm256_permute2f128_ps(sums.first, sums.second, 0x31);  // 4-7, 12-15
    return {_mm256_shuffle_ps(low, high, 0x88), _mm256_shuffle_ps(low, high, 0xdd)};
  }
  static void store(void* to, Sums sums) {
    const __m256 low = _mm256_unpacklo_ps(sums.first, sums.second);   // 0-3, 8-11
    const __m256 high = _mm256_unpackhi_ps(sums.first, sums.second);  // 4-7, 12-15
    F32::store(to,
               {_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31)});
  }
};

struct Int8 {
  using Sum = __m256i;
  struct Sums {
    Sum first, second;
  };
  static constexpr int kColumns = 8, kRows = 6, kGroup = 2, kUnitBytes = 4, kWeightBytes = 32;
  static Sum zero() { return _mm256_setzero_si256(); }
  static Sums load(const void* from) {
    const auto* const sums = static_cast<const __m256i*>(from);
    return {_mm256_loadu_si256(sums), _mm256_loadu_si256(sums + 1)};
  }
  static void store(void* to, Sums sums) {
    _mm256_storeu_si256(static_cast<__m256i*>(to), sums.first);
    _mm256_storeu_si256(static_cast<__m256i*>(to) + 1, sums.second);
  }
  static Sums weights(const void* from) {
    const auto* const values = static_cast<const __m128i*>(from);
    return {_mm256_cvtepi8_epi16(_mm_loadu_si128(values)),
            _mm256_cvtepi8_epi16(_mm_loadu_si128(values + 1))};
  }
  static __m256i unit(const void* from) {
    return _mm256_castps_si256(_mm256_broadcast_ss(static_cast<const float*>(from)));
  }
  static Sum multiply_add(Sum sum, __m256i unit, __m256i weights) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(unit, weights));
  }
  static void keep(__m256i& value) { asm volatile("" : "+x"(value)); }
};

}  // namespace

extern const MultiplyKernel kF32 = tile_kernel<F32>("vfmadd231ps", Number::kF32, Number::kF32);
extern const MultiplyKernel kBf16 = tile_kernel<Bf16>("vfmadd231ps", Number::kF32, Number::kBf16);
extern const MultiplyKernel kInt8 = tile_kernel<Int8>("vpmaddwd", Number::kInt16, Number::kInt8);

}  // namespace pi0::cpu::avx2
