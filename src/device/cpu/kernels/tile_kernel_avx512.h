// What the kernels with 512-bit registers share: 12 x 2 registers of sums, of 32; two of weights.
#pragma once

#include <immintrin.h>

#include "device/cpu/kernels/tile_kernel.h"

namespace pi0::cpu {
namespace {

struct Floats512 {
  __m512 first, second;
};
struct Integers512 {
  __m512i first, second;
};

inline Integers512 two_registers(const void* from) {
  const auto* const bytes = static_cast<const char*>(from);
  return {_mm512_loadu_si512(bytes), _mm512_loadu_si512(bytes + 64)};
}

struct Avx512F32Sums {
  using Sum = __m512;
  using Sums = Floats512;
  static constexpr int kColumns = 16, kRows = 12, kUnitBytes = 4, kWeightBytes = 128;
  static Sum zero() { return _mm512_setzero_ps(); }
  static Sums load(const void* from) {
    const auto* const values = static_cast<const float*>(from);
    return {_mm512_loadu_ps(values), _mm512_loadu_ps(values + 16)};
  }
  static void store(void* to, Sums sums) {
    auto* const values = static_cast<float*>(to);
    _mm512_storeu_ps(values, sums.first);
    _mm512_storeu_ps(values + 16, sums.second);
  }
  template <typename Register>
  static void keep(Register& value) {
    asm volatile("" : "+v"(value));
  }
};

struct Avx512IntegerSums {
  using Sum = __m512i;
  using Sums = Integers512;
  static constexpr int kColumns = 16, kRows = 12, kUnitBytes = 4, kWeightBytes = 128;
  static Sum zero() { return _mm512_setzero_si512(); }
  static Sums load(const void* from) { return two_registers(from); }
  static void store(void* to, Sums sums) {
    _mm512_storeu_si512(to, sums.first);
    _mm512_storeu_si512(static_cast<char*>(to) + 64, sums.second);
  }
  static __m512i unit(const void* from) {
    return _mm512_set1_epi32(*static_cast<const std::int32_t*>(from));
  }
  static void keep(__m512i& value) { asm volatile("" : "+v"(value)); }
};

}  // namespace
}  // namespace pi0::cpu
