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

void rotate(float* x, const float* cosines, const float* sines, int64_t half) {
  float* const second = x + half;
  for (int64_t i = 0; i < half; ++i) {
    const float a = x[i], b = second[i];
    x[i] = a * cosines[i] - b * sines[i];
    second[i] = b * cosines[i] + a * sines[i];
  }
}

float exponentials(float* x, float scale, int64_t count) {
  float most = x[0];
  for (int64_t i = 0; i < count; ++i) most = x[i] > most ? x[i] : most;
  Sums sums;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const float e = exponential((x[i + lane] - most) * scale);
      x[i + lane] = e;
      sums.lane[lane] += e;
    }
  }
  for (; i < count; ++i) {
    x[i] = exponential((x[i] - most) * scale);
    sums.lane[0] += x[i];
  }
  return sums.total();
}

void multiply_by(float* x, float factor, int64_t count) {
  for (int64_t i = 0; i < count; ++i) x[i] *= factor;
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

// Writes `count` of the values, all kColumns but in a last panel.
template <int kColumns>
void store(const float* y, int64_t count, float* out) {
  if (count >= kColumns) {
    for (int j = 0; j < kColumns; ++j) out[j] = y[j];
  } else {
    for (int64_t j = 0; j < count; ++j) out[j] = y[j];
  }
}

template <int kColumns>
void store_bf16(const float* y, int64_t count, uint16_t* out) {
  if (count >= kColumns) {
    for (int j = 0; j < kColumns; ++j) out[j] = bf16_of(y[j]);
  } else {
    for (int64_t j = 0; j < count; ++j) out[j] = bf16_of(y[j]);
  }
}

template <int kColumns>
void finish_columns(const void* tile, int rows, bool integers, int64_t first_row, int64_t column,
                    const FinishWork& work) {
  constexpr int kHalf = kColumns / 2;
  for (int r = 0; r < rows; ++r) {
    const int64_t row = first_row + r;
    float y[kColumns];
    load_row<kColumns>(tile, r, integers, row, column, work, y);
    if (work.finish == Finish::kGate) {
      for (int j = 0; j < kHalf; ++j) y[j] = gelu(y[j]) * y[kHalf + j];
      const int64_t begin = row * work.stride + column / 2, left = work.columns - column / 2;
      if (work.out_type == Number::kBf16) {
        store_bf16<kHalf>(y, left, static_cast<uint16_t*>(work.out) + begin);
      } else {
        store<kHalf>(y, left, static_cast<float*>(work.out) + begin);
      }
      continue;
    }
    float* const out = static_cast<float*>(work.out) + row * work.stride + column;
    const int64_t left = work.columns - column;
    const int count = left < kColumns ? static_cast<int>(left) : kColumns;
    if (work.row != nullptr) {
      for (int j = 0; j < count; ++j) y[j] += work.row[column + j];
    }
    if (work.finish == Finish::kStore) {
      apply<kColumns>(work.function, y);
      store<kColumns>(y, left, out);
    } else if (work.gate != nullptr) {
      for (int j = 0; j < count; ++j) out[j] += work.gate[column + j] * y[j];
    } else if (count == kColumns) {
      for (int j = 0; j < kColumns; ++j) out[j] += y[j];
    } else {
      for (int j = 0; j < count; ++j) out[j] += y[j];
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

extern const RowKernels kRows = {to_bf16,  from_bf16,    largest,     to_int8,
                                 to_int16, scatter,      layer_norm,  rms_norm,
                                 rotate,   exponentials, multiply_by, finish_tile};

}  // namespace pi0::cpu::PI0_CPU_LEVEL
