// AVX2 and FMA: fp32, bf16 weights widened into it, and int8 as pairs of 16 bits: vpmaddwd sums two
// products in 32 bits exactly, where vpmaddubsw on 8 bits could saturate.
#include <immintrin.h>

#include "device/cpu/kernels/tile_kernel.h"

namespace pi0::cpu::avx2 {
namespace {

// 6 x 2 registers of sums, of 16; two of weights and one unit.
struct F32 {
  using Sum = __m256;
  static constexpr int kColumns = 8, kRows = 6, kGroup = 1, kUnitBytes = 4;
  static Sum zero() { return _mm256_setzero_ps(); }
  static Sum load(const void* from) { return _mm256_loadu_ps(static_cast<const float*>(from)); }
  static void store(void* to, Sum sum) { _mm256_storeu_ps(static_cast<float*>(to), sum); }
  static __m256 weights(const void* from) { return load(from); }
  static __m256 unit(const void* from) {
    return _mm256_broadcast_ss(static_cast<const float*>(from));
  }
  static Sum multiply_add(Sum sum, __m256 unit, __m256 weights) {
    return _mm256_fmadd_ps(unit, weights, sum);
  }
  static void keep(__m256& value) { asm volatile("" : "+x"(value)); }
};

struct Int16 {
  using Sum = __m256i;
  static constexpr int kColumns = 8, kRows = 6, kGroup = 2, kUnitBytes = 4;
  static Sum zero() { return _mm256_setzero_si256(); }
  static Sum load(const void* from) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(from));
  }
  static void store(void* to, Sum sum) { _mm256_storeu_si256(static_cast<__m256i*>(to), sum); }
  static __m256i weights(const void* from) { return load(from); }
  static __m256i unit(const void* from) {
    return _mm256_castps_si256(_mm256_broadcast_ss(static_cast<const float*>(from)));
  }
  static Sum multiply_add(Sum sum, __m256i unit, __m256i weights) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(unit, weights));
  }
  static void keep(__m256i& value) { asm volatile("" : "+x"(value)); }
};

void expand_bf16(const void* stored, void* weights, std::int64_t count) {
  kRows.from_bf16(static_cast<const std::uint16_t*>(stored), static_cast<float*>(weights), count);
}

void expand_int8(const void* stored, void* weights, std::int64_t count) {  // whole panels: of 16
  const auto* const in = static_cast<const __m128i*>(stored);
  auto* const out = static_cast<__m256i*>(weights);
  for (std::int64_t i = 0; i < count / 16; ++i) {
    _mm256_storeu_si256(out + i, _mm256_cvtepi8_epi16(_mm_loadu_si128(in + i)));
  }
}

}  // namespace

extern const MultiplyKernel kF32 =
    tile_kernel<F32>("vfmadd231ps", Number::kF32, Number::kF32, Number::kF32, 0, nullptr);
extern const MultiplyKernel kBf16 =
    tile_kernel<F32>("vfmadd231ps", Number::kF32, Number::kBf16, Number::kF32, 0, expand_bf16);
extern const MultiplyKernel kInt8 =
    tile_kernel<Int16>("vpmaddwd", Number::kInt16, Number::kInt8, Number::kInt16, 0, expand_int8);

}  // namespace pi0::cpu::avx2
