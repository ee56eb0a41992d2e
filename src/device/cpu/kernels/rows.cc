// Rows, as plain loops that the compiler turns into vectors, or in its vector types where they
// would go through memory between one loop and the next. Compiled once for each level, into the
// namespace PI0_CPU_LEVEL.
#include "device/cpu/kernels/kernels.h"

namespace pi0::cpu::PI0_CPU_LEVEL {
namespace {

using std::int32_t;
using std::int64_t;
using std::uint16_t;
using std::uint32_t;
using std::uint8_t;

inline uint32_t bits_of(float x) { return __builtin_bit_cast(uint32_t, x); }
inline float float_of(uint32_t bits) { return __builtin_bit_cast(float, bits); }

// A register of values.
#if defined(__AVX512F__)
constexpr int kWidth = 16;
#elif defined(__AVX2__)
constexpr int kWidth = 8;
#else
constexpr int kWidth = 4;
#endif
using Floats [[gnu::vector_size(4 * kWidth)]] = float;
using Integers [[gnu::vector_size(4 * kWidth)]] = int32_t;
using Words [[gnu::vector_size(4 * kWidth)]] = uint32_t;
using Halves [[gnu::vector_size(2 * kWidth)]] = uint16_t;

template <typename Vector>
[[gnu::always_inline]] inline Vector load(const void* from) {
  Vector x;
  __builtin_memcpy(&x, from, sizeof x);
  return x;
}
template <typename Vector>
[[gnu::always_inline]] inline void store(Vector x, void* to) {
  __builtin_memcpy(to, &x, sizeof x);
}
[[gnu::always_inline]] inline Floats all(float x) { return x - Floats{}; }
[[gnu::always_inline]] inline Words bits_of(Floats x) { return reinterpret_cast<Words>(x); }

// 1.5 * 2^23: adding it rounds to a whole number, to nearest, ties to even, which the sum's low
// bits hold.
constexpr float kRound = 12582912.0f;

// 2^n times a polynomial of the rest, after Cephes' expf: within 2 units in the last place.
[[gnu::always_inline]] inline Floats exponential(Floats x) {
  x = x < all(-87.0f) ? all(-87.0f) : x;
  x = x > all(88.0f) ? all(88.0f) : x;
  const Floats rounded = x * 1.44269504f + kRound;
  const Floats n = rounded - kRound;
  const Floats r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return reinterpret_cast<Floats>(bits_of(p) + (bits_of(rounded) << 23));
}

// x sigmoid(2 u) is 0.5 x (1 + tanh(u)).
[[gnu::always_inline]] inline Floats gelu(Floats x) {
  const Floats u = 0.7978845608028654f * (x + 0.044715f * x * x * x);
  return x / (1.0f + exponential(-2.0f * u));
}
[[gnu::always_inline]] inline Floats silu(Floats x) { return x / (1.0f + exponential(-x)); }

// To nearest, ties to even; finite. Of one value or of a register of them.
template <typename Bits>
[[gnu::always_inline]] inline Bits bf16_of(Bits bits) {
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}

// Partial sums: a fixed order, which the compiler can keep in vectors.
constexpr int kLanes = 32;
struct Sums {
  float lane[kLanes] = {};
  float total() const {
    float sum = 0;
    for (const float partial : lane) sum += partial;
    return sum;
  }
};

void to_bf16(const float* in, uint16_t* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<uint16_t>(bf16_of(bits_of(in[i])));
}

void from_bf16(const uint16_t* in, float* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = float_of(static_cast<uint32_t>(in[i]) << 16);
}

// Compared as whole numbers, among which what is not a number is the largest: it is not passed
// over.
float largest(const float* in, int64_t count) {
  uint32_t most[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const uint32_t x = bits_of(in[i + lane]) & 0x7fffffffu;
      most[lane] = x > most[lane] ? x : most[lane];
    }
  }
  uint32_t result = 0;
  for (const uint32_t x : most) result = x > result ? x : result;
  for (; i < count; ++i) {
    const uint32_t x = bits_of(in[i]) & 0x7fffffffu;
    result = x > result ? x : result;
  }
  return float_of(result);
}

// Without a call.
inline int32_t rounded(float x) {
  return static_cast<int32_t>(bits_of(x + kRound) - bits_of(kRound));
}

void to_int8(const float* in, float factor, int offset, uint8_t* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<uint8_t>(rounded(in[i] * factor) + offset);
  }
}

void to_int16(const float* in, float factor, std::int16_t* out, int64_t count) {
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<std::int16_t>(rounded(in[i] * factor));
}

struct Unit64 {
  uint32_t words[16];
};

template <typename Unit>
void scatter_units(const void* in, void* out, int64_t units, int64_t stride) {
  for (int64_t i = 0; i < units; ++i) {
    __builtin_memcpy(static_cast<char*>(out) + i * stride * static_cast<int64_t>(sizeof(Unit)),
                     static_cast<const char*>(in) + i * static_cast<int64_t>(sizeof(Unit)),
                     sizeof(Unit));
  }
}

void scatter(const void* in, void* out, int64_t units, int64_t stride, int unit_bytes) {
  if (unit_bytes == 4) {
    scatter_units<uint32_t>(in, out, units, stride);
  } else {
    scatter_units<Unit64>(in, out, units, stride);
  }
}

void layer_norm(const float* x, const float* weight, const float* bias, float eps, float* out,
                int64_t count) {
  Sums sums;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) sums.lane[lane] += x[i + lane];
  }
  for (; i < count; ++i) sums.lane[0] += x[i];
  const float mean = sums.total() / static_cast<float>(count);
  Sums squares;
  for (i = 0; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const float d = x[i + lane] - mean;
      squares.lane[lane] += d * d;
    }
  }
  for (; i < count; ++i) squares.lane[0] += (x[i] - mean) * (x[i] - mean);
  const float variance = squares.total() / static_cast<float>(count);
  const float inverse = 1.0f / __builtin_sqrtf(variance + eps);
  for (i = 0; i < count; ++i) out[i] = (x[i] - mean) * inverse * weight[i] + bias[i];
}

void rms_norm(const float* x, const float* scale, const float* shift, float eps, float* out,
              int64_t count) {
  Sums squares;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) squares.lane[lane] += x[i + lane] * x[i + lane];
  }
  for (; i < count; ++i) squares.lane[0] += x[i] * x[i];
  const float mean = squares.total() / static_cast<float>(count);
  const float inverse = 1.0f / __builtin_sqrtf(mean + eps);
  if (shift == nullptr) {
    for (i = 0; i < count; ++i) out[i] = x[i] * inverse * (1.0f + scale[i]);
  } else {
    for (i = 0; i < count; ++i) out[i] = x[i] * inverse * (1.0f + scale[i]) + shift[i];
  }
}

[[gnu::always_inline]] inline void put_part(Floats x, float* to) { store(x, to); }
[[gnu::always_inline]] inline void put_part(Floats x, uint16_t* to) {
  store(__builtin_convertvector(bf16_of(bits_of(x)), Halves), to);
}

// kColumns values side by side; at() and put() may be of the `count` first of them.
template <int kColumns>
struct Row {
  static constexpr int kVectors = kColumns / kWidth;
  static_assert(kVectors * kWidth == kColumns);
  Floats part[kVectors];

  // Part v is work(v).
  template <typename Work>
  [[gnu::always_inline]] static Row of(const Work& work) {
    Row row;
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) row.part[v] = work(v);
    return row;
  }
  [[gnu::always_inline]] static Row at(const float* from, int64_t count = kColumns) {
    if (count < kColumns) {
      float some[kColumns] = {};
      for (int64_t j = 0; j < count; ++j) some[j] = from[j];
      return at(some);
    }
    return of([&](int v) { return load<Floats>(from + v * kWidth); });
  }
  template <typename Out>
  [[gnu::always_inline]] void put(Out* to, int64_t count = kColumns) const {
    if (count < kColumns) {
      Out some[kColumns];
      put(some);
      for (int64_t j = 0; j < count; ++j) to[j] = some[j];
      return;
    }
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) put_part(part[v], to + v * kWidth);
  }
  [[gnu::always_inline]] void put(Number type, void* out, int64_t begin, int64_t count) const {
    if (type == Number::kBf16) {
      put(static_cast<uint16_t*>(out) + begin, count);
    } else {
      put(static_cast<float*>(out) + begin, count);
    }
  }
  [[gnu::always_inline]] Row operator+(const Row& other) const {
    return of([&](int v) { return part[v] + other.part[v]; });
  }
};

template <int kColumns>
void largest_of_columns(const float* x, int64_t rows, float* most) {
  auto largest = Row<kColumns>::at(most);
  for (int64_t r = 0; r < rows; ++r) {
    const auto row = Row<kColumns>::at(x + r * kColumns);
    largest = Row<kColumns>::of(
        [&](int v) { return row.part[v] > largest.part[v] ? row.part[v] : largest.part[v]; });
  }
  largest.put(most);
}

template <int kColumns>
void exponentials_of_columns(const float* x, int64_t rows, const float* most, float scale,
                             float* sums, Number out_type, void* out) {
  const auto top = Row<kColumns>::at(most);
  auto sum = Row<kColumns>::at(sums);
  const auto exponentials = [&](int64_t r) __attribute__((always_inline)) {
    const auto y = Row<kColumns>::at(x + r * kColumns);
    const auto row =
        Row<kColumns>::of([&](int v) { return exponential((y.part[v] - top.part[v]) * scale); });
    sum = sum + row;
    return row;
  };
  if (out_type == Number::kF32) {
    for (int64_t r = 0; r < rows; ++r) exponentials(r).put(static_cast<float*>(out) + r * kColumns);
  } else {
    auto* const pairs = static_cast<uint32_t*>(out);
    for (int64_t r = 0; r < rows; r += 2) {
      const auto first = exponentials(r);
      const auto second = r + 1 < rows ? exponentials(r + 1) : Row<kColumns>{};
#pragma GCC unroll 8
      for (int v = 0; v < Row<kColumns>::kVectors; ++v) {
        store(bf16_of(bits_of(first.part[v])) | bf16_of(bits_of(second.part[v])) << 16,
              pairs + r / 2 * kColumns + v * kWidth);
      }
    }
  }
  sum.put(sums);
}

void take_column(const float* in, int64_t rows, int columns, float factor, float* out) {
  for (int64_t r = 0; r < rows; ++r) out[r] = in[r * columns] * factor;
}

// Row r of a tile as fp32, with its bias.
template <int kColumns, bool kIntegers>
[[gnu::always_inline]] inline Row<kColumns> row_of_tile(const void* tile, int r, int64_t row,
                                                        int64_t column, const FinishWork& work) {
  auto y = Row<kColumns>::at(static_cast<const float*>(tile) + r * kColumns);
  if constexpr (kIntegers) {
    const float scale = work.row_scales[row];
    y = Row<kColumns>::of([&](int v) {
      const int64_t at = column + v * kWidth;
      const Integers sums =
          reinterpret_cast<Integers>(y.part[v]) - load<Integers>(work.column_offsets + at);
      return __builtin_convertvector(sums, Floats) *
             (load<Floats>(work.column_scales + at) * scale);
    });
  }
  return work.bias == nullptr ? y : y + Row<kColumns>::at(work.bias + column);
}

template <int kColumns, bool kIntegers>
void finish_columns(const void* tile, int rows, int64_t first_row, int64_t column,
                    const FinishWork& work) {
  constexpr int kHalf = kColumns / 2, kVectors = kHalf / kWidth;
  const auto each = [&](const auto& finish) {
    for (int r = 0; r < rows; ++r) {
      finish(first_row + r, row_of_tile<kColumns, kIntegers>(tile, r, first_row + r, column, work));
    }
  };
  const int64_t left = work.columns - column;
  switch (work.finish) {
    case Finish::kStore:
      return each([&](int64_t row, Row<kColumns> y) {
        if (work.row != nullptr) y = y + Row<kColumns>::at(work.row + column, left);
        if (work.function == Function::kGelu) {
          y = Row<kColumns>::of([&](int v) { return gelu(y.part[v]); });
        } else if (work.function == Function::kSilu) {
          y = Row<kColumns>::of([&](int v) { return silu(y.part[v]); });
        }
        y.put(work.out_type, work.out, row * work.stride + column, left);
      });
    case Finish::kAdd:
      return each([&](int64_t row, Row<kColumns> y) {
        if (work.gate != nullptr) {
          const auto gate = Row<kColumns>::at(work.gate + row * work.gate_stride + column, left);
          y = Row<kColumns>::of([&](int v) { return gate.part[v] * y.part[v]; });
        }
        float* const out = static_cast<float*>(work.out) + row * work.stride + column;
        (Row<kColumns>::at(out, left) + y).put(out, left);
      });
    case Finish::kGate:
      return each([&](int64_t row, const Row<kColumns>& y) {
        const auto gated =
            Row<kHalf>::of([&](int v) { return gelu(y.part[v]) * y.part[kVectors + v]; });
        gated.put(work.out_type, work.out, row * work.stride + column / 2,
                  work.columns - column / 2);
      });
    case Finish::kRotate: {
      const int64_t of_head = (work.half + kHalf - 1) / kHalf * kHalf;  // pairs, filled up
      const int64_t head = column / 2 / of_head, pair = column / 2 % of_head;
      const int64_t pairs = work.half - pair;
      return each([&](int64_t row, const Row<kColumns>& y) {
        const int64_t angle = row % work.tokens * work.half + pair;
        const auto cosines = Row<kHalf>::at(work.cosines + angle, pairs);
        const auto sines = Row<kHalf>::at(work.sines + angle, pairs);
        const auto first = Row<kHalf>::of([&](int v) {
          return y.part[v] * cosines.part[v] - y.part[kVectors + v] * sines.part[v];
        });
        const auto second = Row<kHalf>::of([&](int v) {
          return y.part[kVectors + v] * cosines.part[v] + y.part[v] * sines.part[v];
        });
        const int64_t begin = row * work.stride + 2 * head * work.half + pair;
        first.put(work.out_type, work.out, begin, pairs);
        second.put(work.out_type, work.out, begin + work.half, pairs);
      });
    }
  }
}

// work.operator()<columns>(): of the widths that the level's kernels have, and those on its tiles
// in software.
template <typename Work>
void with_columns(int columns, const Work& work) {
  if constexpr (kWidth <= 8) {
    if (columns == 16) return work.template operator()<16>();
  }
  work.template operator()<32>();
}

void column_largest(const float* x, int64_t rows, int columns, float* most) {
  with_columns(columns, [&]<int kColumns>() { largest_of_columns<kColumns>(x, rows, most); });
}

void column_exponentials(const float* x, int64_t rows, int columns, const float* most, float scale,
                         float* sums, Number out_type, void* out) {
  with_columns(columns, [&]<int kColumns>() {
    exponentials_of_columns<kColumns>(x, rows, most, scale, sums, out_type, out);
  });
}

void finish_tile(const void* tile, int rows, int tile_columns, bool integers, int64_t first_row,
                 int64_t column, const FinishWork& work) {
  with_columns(tile_columns, [&]<int kColumns>() {
    if (integers) {
      finish_columns<kColumns, true>(tile, rows, first_row, column, work);
    } else {
      finish_columns<kColumns, false>(tile, rows, first_row, column, work);
    }
  });
}

}  // namespace

extern const RowKernels kRows = {
    to_bf16,     from_bf16,  largest,  to_int8,        to_int16,
    scatter,     layer_norm, rms_norm, column_largest, column_exponentials,
    take_column, finish_tile};

}  // namespace pi0::cpu::PI0_CPU_LEVEL
