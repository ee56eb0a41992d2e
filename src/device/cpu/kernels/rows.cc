// Rows, as plain loops that the compiler turns into vectors: compiled once for each level, into the
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

// 2^n times a polynomial of the rest, after Cephes' expf: within 2 units in the last place.
inline float exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
  const float rounded = x * 1.44269504f + kRound;
  const float n = rounded - kRound;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return float_of(bits_of(p) + (bits_of(rounded) << 23));
}

// x sigmoid(2 u) is 0.5 x (1 + tanh(u)).
inline float gelu(float x) {
  const float u = 0.7978845608028654f * (x + 0.044715f * x * x * x);
  return x / (1.0f + exponential(-2.0f * u));
}
inline float silu(float x) { return x / (1.0f + exponential(-x)); }

inline uint16_t bf16_of(float x) {  // to nearest, ties to even; finite
  const uint32_t bits = bits_of(x);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
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
  for (int64_t i = 0; i < count; ++i) out[i] = bf16_of(in[i]);
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

// To nearest, ties to even, without a call: the sum's low bits hold the whole number.
inline int32_t rounded(float x) {
  return static_cast<int32_t>(bits_of(x + 12582912.0f)) - 0x4b400000;
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

template <int kColumns>
void largest_of_columns(const float* x, int64_t rows, float* most) {
  float largest[kColumns];
  for (int j = 0; j < kColumns; ++j) largest[j] = most[j];
  for (int64_t r = 0; r < rows; ++r, x += kColumns) {
    for (int j = 0; j < kColumns; ++j) largest[j] = x[j] > largest[j] ? x[j] : largest[j];
  }
  for (int j = 0; j < kColumns; ++j) most[j] = largest[j];
}

void column_largest(const float* x, int64_t rows, int columns, float* most) {
  if (columns == 32) {
    largest_of_columns<32>(x, rows, most);
  } else {
    largest_of_columns<16>(x, rows, most);
  }
}

template <int kColumns>
void exponentials_of_columns(const float* x, int64_t rows, const float* most, float scale,
                             float* sums, float* out) {
  for (int64_t r = 0; r < rows; ++r, x += kColumns, out += kColumns) {
    for (int j = 0; j < kColumns; ++j) {
      out[j] = exponential((x[j] - most[j]) * scale);
      sums[j] += out[j];
    }
  }
}

template <int kColumns>
void exponentials_of_columns(const float* x, int64_t rows, const float* most, float scale,
                             float* sums, uint16_t* out) {
  int64_t r = 0;
  for (; r + 2 <= rows; r += 2, x += 2 * kColumns, out += 2 * kColumns) {
    uint32_t pairs[kColumns];
    for (int j = 0; j < kColumns; ++j) {
      const float first = exponential((x[j] - most[j]) * scale);
      const float second = exponential((x[kColumns + j] - most[j]) * scale);
      sums[j] += first + second;
      pairs[j] = uint32_t{bf16_of(first)} | uint32_t{bf16_of(second)} << 16;
    }
    __builtin_memcpy(out, pairs, sizeof pairs);
  }
  if (r == rows) return;
  uint32_t last[kColumns];
  for (int j = 0; j < kColumns; ++j) {
    const float one = exponential((x[j] - most[j]) * scale);
    sums[j] += one;
    last[j] = bf16_of(one);
  }
  __builtin_memcpy(out, last, sizeof last);
}

template <int kColumns>
void exponentials_as(const float* x, int64_t rows, const float* most, float scale, float* sums,
                     Number out_type, void* out) {
  if (out_type == Number::kBf16) {
    exponentials_of_columns<kColumns>(x, rows, most, scale, sums, static_cast<uint16_t*>(out));
  } else {
    exponentials_of_columns<kColumns>(x, rows, most, scale, sums, static_cast<float*>(out));
  }
}

void column_exponentials(const float* x, int64_t rows, int columns, const float* most, float scale,
                         float* sums, Number out_type, void* out) {
  if (columns == 32) {
    exponentials_as<32>(x, rows, most, scale, sums, out_type, out);
  } else {
    exponentials_as<16>(x, rows, most, scale, sums, out_type, out);
  }
}

void take_column(const float* in, int64_t rows, int columns, float factor, float* out) {
  for (int64_t r = 0; r < rows; ++r) out[r] = in[r * columns] * factor;
}

// One row of a tile as fp32, with its bias.
template <int kColumns>
void load_row(const void* tile, int r, bool integers, int64_t row, int64_t column,
              const FinishWork& work, float* y) {
  if (integers) {
    const int32_t* const sums = static_cast<const int32_t*>(tile) + r * kColumns;
    const float scale = work.row_scales[row];
    const float* const scales = work.column_scales + column;
    const int32_t* const offsets = work.column_sums + column;
    for (int j = 0; j < kColumns; ++j) {
      y[j] = static_cast<float>(sums[j] - work.offset * offsets[j]) * (scales[j] * scale);
    }
  } else {
    const float* const values = static_cast<const float*>(tile) + r * kColumns;
    for (int j = 0; j < kColumns; ++j) y[j] = values[j];
  }
  if (work.bias != nullptr) {
    for (int j = 0; j < kColumns; ++j) y[j] += work.bias[column + j];
  }
}

template <int kColumns>
void apply(Function function, float* y) {
  if (function == Function::kGelu) {
    for (int j = 0; j < kColumns; ++j) y[j] = gelu(y[j]);
  } else if (function == Function::kSilu) {
    for (int j = 0; j < kColumns; ++j) y[j] = silu(y[j]);
  }
}

inline void put(float y, float* out) { *out = y; }
inline void put(float y, uint16_t* out) { *out = bf16_of(y); }

// Writes `count` of the values, all kColumns but in a last panel.
template <int kColumns, typename Out>
void store(const float* y, int64_t count, Out* out) {
  if (count >= kColumns) {
    for (int j = 0; j < kColumns; ++j) put(y[j], out + j);
  } else {
    for (int64_t j = 0; j < count; ++j) put(y[j], out + j);
  }
}
// Inline, so that the values need not go through memory before.
template <int kColumns>
[[gnu::always_inline]] inline void store_as(Number type, const float* y, int64_t count, void* out,
                                            int64_t begin) {
  if (type == Number::kBf16) {
    store<kColumns>(y, count, static_cast<uint16_t*>(out) + begin);
  } else {
    store<kColumns>(y, count, static_cast<float*>(out) + begin);
  }
}

// The first half of the columns and the second, `count` of each.
template <int kHalf>
void rotate(float* y, int64_t count, const float* cosines, const float* sines) {
  const auto one = [&](int64_t j) {
    const float a = y[j], b = y[kHalf + j];
    y[j] = a * cosines[j] - b * sines[j];
    y[kHalf + j] = b * cosines[j] + a * sines[j];
  };
  if (count >= kHalf) {
    for (int j = 0; j < kHalf; ++j) one(j);
  } else {
    for (int64_t j = 0; j < count; ++j) one(j);
  }
}

template <int kColumns>
void finish_columns(const void* tile, int rows, bool integers, int64_t first_row, int64_t column,
                    const FinishWork& work) {
  constexpr int kHalf = kColumns / 2;
  const auto each = [&](const auto& finish) {
    for (int r = 0; r < rows; ++r) {
      float y[kColumns];
      load_row<kColumns>(tile, r, integers, first_row + r, column, work, y);
      finish(first_row + r, y);
    }
  };
  const int64_t left = work.columns - column;
  const int count = left < kColumns ? static_cast<int>(left) : kColumns;
  switch (work.finish) {
    case Finish::kStore:
      return each([&](int64_t row, float* y) {
        if (work.row != nullptr) {
          for (int j = 0; j < count; ++j) y[j] += work.row[column + j];
        }
        apply<kColumns>(work.function, y);
        store_as<kColumns>(work.out_type, y, left, work.out, row * work.stride + column);
      });
    case Finish::kAdd:
      return each([&](int64_t row, const float* y) {
        float* const out = static_cast<float*>(work.out) + row * work.stride + column;
        if (work.gate != nullptr) {
          for (int j = 0; j < count; ++j) out[j] += work.gate[column + j] * y[j];
        } else if (count == kColumns) {
          for (int j = 0; j < kColumns; ++j) out[j] += y[j];
        } else {
          for (int j = 0; j < count; ++j) out[j] += y[j];
        }
      });
    case Finish::kGate:
      return each([&](int64_t row, float* y) {
        for (int j = 0; j < kHalf; ++j) y[j] = gelu(y[j]) * y[kHalf + j];
        store_as<kHalf>(work.out_type, y, work.columns - column / 2, work.out,
                        row * work.stride + column / 2);
      });
    case Finish::kRotate: {
      const int64_t of_head = (work.half + kHalf - 1) / kHalf * kHalf;  // pairs, filled up
      const int64_t head = column / 2 / of_head, pair = column / 2 % of_head;
      const int64_t pairs = work.half - pair;
      return each([&](int64_t row, float* y) {
        const int64_t angle = row % work.tokens * work.half + pair;
        rotate<kHalf>(y, pairs, work.cosines + angle, work.sines + angle);
        const int64_t begin = row * work.stride + 2 * head * work.half + pair;
        store_as<kHalf>(work.out_type, y, pairs, work.out, begin);
        store_as<kHalf>(work.out_type, y + kHalf, pairs, work.out, begin + work.half);
      });
    }
  }
}

void finish_tile(const void* tile, int rows, int tile_columns, bool integers, int64_t first_row,
                 int64_t column, const FinishWork& work) {
  if (tile_columns == 32) {
    finish_columns<32>(tile, rows, integers, first_row, column, work);
  } else {
    finish_columns<16>(tile, rows, integers, first_row, column, work);
  }
}

}  // namespace

extern const RowKernels kRows = {
    to_bf16,     from_bf16,  largest,  to_int8,        to_int16,
    scatter,     layer_norm, rms_norm, column_largest, column_exponentials,
    take_column, finish_tile};

}  // namespace pi0::cpu::PI0_CPU_LEVEL
