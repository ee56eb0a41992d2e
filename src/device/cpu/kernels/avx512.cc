// AVX512 without BF16 or VNNI: as AVX2, twice as wide.
#include <immintrin.h>

#include "device/cpu/kernels/tile_kernel_avx512.h"

namespace pi0::cpu::avx512 {
namespace {

struct F32 : Avx512F32Sums {
  static constexpr int kGroup = 1;
  static __m512 weights(const void* from) { return load(from); }
  static __m512 unit(const void* from) { return _mm512_set1_ps(*static_cast<const float*>(from)); }
  static Sum multiply_add(Sum sum, __m512 unit, __m512 weights) {
    return _mm512_fmadd_ps(unit, weights, sum);
  }
};

struct Int16 : Avx512IntegerSums {
  static constexpr int kGroup = 2;
  static constexpr int kRows = 11;  // a product has a register of its own before it is added
  static Sum multiply_add(Sum sum, __m512i unit, __m512i weights) {
    return _mm512_add_epi32(sum, _mm512_madd_epi16(unit, weights));
  }
};

void expand_bf16(const void* stored, void* weights, std::int64_t count) {
  kRows.from_bf16(static_cast<const std::uint16_t*>(stored), static_cast<float*>(weights), count);
}

void expand_int8(const void* stored, void* weights, std::int64_t count) {  // whole panels: of 32
  const auto* const in = static_cast<const __m256i*>(stored);
  auto* const out = static_cast<char*>(weights);
  for (std::int64_t i = 0; i < count / 32; ++i) {
    _mm512_storeu_si512(out + i * 64, _mm512_cvtepi8_epi16(_mm256_loadu_si256(in + i)));
  }
}

}  // namespace

extern const MultiplyKernel kF32 =
    tile_kernel<F32>("vfmadd231ps", Number::kF32, Number::kF32, Number::kF32, 0, nullptr);
extern const MultiplyKernel kBf16 =
    tile_kernel<F32>("vfmadd231ps", Number::kF32, Number::kBf16, Number::kF32, 0, expand_bf16);
extern const MultiplyKernel kInt8 =
    tile_kernel<Int16>("vpmaddwd", Number::kInt16, Number::kInt8, Number::kInt16, 0, expand_int8);

}  // namespace pi0::cpu::avx512
