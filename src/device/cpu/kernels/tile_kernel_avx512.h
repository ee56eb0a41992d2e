// What the kernels with 512-bit registers share: 12 x 2 registers of sums, of 32; two of weights.
#pragma once

#include <immintrin.h>

#include "device/cpu/kernels/tile_kernel.h"

namespace pi0::cpu {
namespace {

struct Avx512F32Sums {
  using Sum = __m512;
  static constexpr int kColumns = 16, kRows = 12, kUnitBytes = 4;
  static Sum zero() { return _mm512_setzero_ps(); }
  static Sum load(const void* from) { return _mm512_loadu_ps(from); }
  static void store(void* to, Sum sum) { _mm512_storeu_ps(to, sum); }
  template <typename Register>
  static void keep(Register& value) {
    asm volatile("" : "+v"(value));
  }
};

struct Avx512IntegerSums {
  using Sum = __m512i;
  static constexpr int kColumns = 16, kRows = 12, kUnitBytes = 4;
  static Sum zero() { return _mm512_setzero_si512(); }
  static Sum load(const void* from) { return _mm512_loadu_si512(from); }
  static void store(void* to, Sum sum) { _mm512_storeu_si512(to, sum); }
  static __m512i weights(const void* from) { return load(from); }
  static __m512i unit(const void* from) {
    return _mm512_set1_epi32(*static_cast<const std::int32_t*>(from));
  }
  static void keep(__m512i& value) { asm volatile("" : "+v"(value)); }
};

}  // namespace
}  // namespace pi0::cpu
