#include "device/ttnn/emulated/arithmetic.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <limits>

#include "device/ttnn/emulated/storage.h"

// The inner loop for the wider registers where the machine has them. Not under the thread
// sanitizer, which is not yet running when such a function is chosen.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__SANITIZE_THREAD__)
#define PI0_FOR_WIDE_REGISTERS __attribute__((target_clones("avx2", "default")))
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef PI0_FOR_WIDE_REGISTERS
#endif
#endif
#endif
#ifndef PI0_FOR_WIDE_REGISTERS
#define PI0_FOR_WIDE_REGISTERS
#endif

namespace pi0::emulated {
namespace {

using shim::ComputeKernelConfig;
using shim::kTile;
using shim::MathFidelity;

// Bits of a float's mantissa that are kept, hidden one apart.
float keep_mantissa(float value, int bits) {
  const std::uint32_t mask = ~((std::uint32_t{1} << (23 - bits)) - 1);
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & mask);
}

std::vector<float> keep_mantissas(std::span<const float> values, int bits) {
  std::vector<float> kept(values.size());
  const std::uint32_t mask = ~((std::uint32_t{1} << (23 - bits)) - 1);
  for (std::size_t i = 0; i < values.size(); ++i) {
    kept[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(values[i]) & mask);
  }
  return kept;
}

// The multiplier takes 5 bits of SrcA and 7 of SrcB, leading one included, and a pass a fidelity
// phase: LoFi the high bits of both; HiFi2 adds the rest of SrcA; HiFi3 the high bits of SrcA with
// the rest of SrcB; HiFi4 the rest of both (tt-metal, tech_reports/matrix_engine). A matrix
// multiplication unpacks in1 to SrcA and in0 to SrcB. Both registers hold 10 bits of mantissa at
// most (tf32), of which the passes take no more than 9 of SrcA's, and those of bfloat16, 7, where
// the destination is 16 bits wide. How the unit rounds inside a sum of products is not modelled: it
// brings eight of them to the largest one's exponent, with 11 bits behind the leading one.
constexpr int kHighBitsA = 4;
constexpr int kHighBitsB = 6;
int source_bits_b(const ComputeKernelConfig& compute) { return compute.fp32_dest_acc_en ? 10 : 7; }
int source_bits_a(const ComputeKernelConfig& compute) { return compute.fp32_dest_acc_en ? 9 : 7; }

// Eight floats in a register, or two where registers are narrower; anywhere in memory.
using Vector = float __attribute__((vector_size(32), aligned(4), may_alias));
constexpr std::int64_t kLanes = 8;

// c [rows, columns] += a [rows, 32] x b [32, columns]; rows are a multiple of 4, columns of 16.
// Written out so that the eight sums stay in registers.
PI0_FOR_WIDE_REGISTERS
void multiply_tiles(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
                    float* c, std::int64_t c_stride, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; r += 4) {
    const float* a0 = a + r * a_stride;
    const float* a1 = a0 + a_stride;
    const float* a2 = a1 + a_stride;
    const float* a3 = a2 + a_stride;
    for (std::int64_t n = 0; n < columns; n += 2 * kLanes) {
      Vector* c0 = reinterpret_cast<Vector*>(c + r * c_stride + n);
      Vector* c1 = reinterpret_cast<Vector*>(c + (r + 1) * c_stride + n);
      Vector* c2 = reinterpret_cast<Vector*>(c + (r + 2) * c_stride + n);
      Vector* c3 = reinterpret_cast<Vector*>(c + (r + 3) * c_stride + n);
      Vector s00 = c0[0], s01 = c0[1], s10 = c1[0], s11 = c1[1];
      Vector s20 = c2[0], s21 = c2[1], s30 = c3[0], s31 = c3[1];
      for (std::int64_t k = 0; k < kTile; ++k) {
        const Vector* line = reinterpret_cast<const Vector*>(b + k * b_stride + n);
        const Vector b0 = line[0];
        const Vector b1 = line[1];
        s00 += a0[k] * b0;
        s01 += a0[k] * b1;
        s10 += a1[k] * b0;
        s11 += a1[k] * b1;
        s20 += a2[k] * b0;
        s21 += a2[k] * b1;
        s30 += a3[k] * b0;
        s31 += a3[k] * b1;
      }
      c0[0] = s00, c0[1] = s01, c1[0] = s10, c1[1] = s11;
      c2[0] = s20, c2[1] = s21, c3[0] = s30, c3[1] = s31;
    }
  }
}

struct Pass {
  std::vector<float> a, b;
};

std::vector<Pass> fidelity_passes(const Matrix& a, const Matrix& b,
                                  const ComputeKernelConfig& compute) {
  const int all_a = source_bits_a(compute), all_b = source_bits_b(compute);
  std::vector<Pass> passes;
  switch (compute.math_fidelity) {
    case MathFidelity::kLoFi:
      passes.push_back(
          {keep_mantissas(a.values, kHighBitsB), keep_mantissas(b.values, kHighBitsA)});
      break;
    case MathFidelity::kHiFi2:
      passes.push_back({keep_mantissas(a.values, kHighBitsB), keep_mantissas(b.values, all_a)});
      break;
    case MathFidelity::kHiFi3: {
      passes.push_back({keep_mantissas(a.values, kHighBitsB), keep_mantissas(b.values, all_a)});
      Pass rest{keep_mantissas(a.values, all_b), keep_mantissas(b.values, kHighBitsA)};
      for (std::size_t i = 0; i < rest.a.size(); ++i) rest.a[i] -= passes[0].a[i];
      passes.push_back(std::move(rest));
      break;
    }
    case MathFidelity::kHiFi4:
      passes.push_back({keep_mantissas(a.values, all_b), keep_mantissas(b.values, all_a)});
      break;
  }
  return passes;
}

// exp(x * scale) as the kernel of attention takes it of its scores, whatever exp_approx_mode says
// (sub_exp_block_bcast_cols_inplace): Schraudolph's, a line between powers of two, up to 3 % off.
// An integer of 16 bits becomes exponent and 8 bits of mantissa; what is negative the packer makes
// 0.
float exponential(float x, float scale) {
  constexpr float kSlope = 256 * 1.4426950408889634f, kOffset = 32500.818359375f;
  const float line = kSlope * scale * x + kOffset;
  if (!(line > 0)) return 0;
  const auto bits = static_cast<std::uint32_t>(std::min(std::round(line), 32767.0f));
  return bits < 256 ? 0.0f : std::bit_cast<float>(bits << 15);
}

int biased_exponent(float value) {
  return static_cast<int>(std::bit_cast<std::uint32_t>(value) >> 23 & 255);
}

// A pass's product, whose operands have the exponents `exponent` together, added to a destination
// of 16 bits: both are first rounded to 10 bits behind the larger exponent.
float accumulated(float sum, float term, int exponent) {
  if (term == 0 || !std::isfinite(term) || !std::isfinite(sum)) return sum + term;
  const int unit = std::max(exponent, biased_exponent(sum) - 127) - 10;
  const float whole =
      std::round(std::ldexp(sum, -unit)) + std::floor(std::ldexp(term, -unit) + 0.5f);
  return round_away_to_bfloat16(std::ldexp(whole, unit));
}

}  // namespace

float product(float a, float b, const ComputeKernelConfig& compute) {
  const float whole_a = keep_mantissa(a, source_bits_a(compute));
  const float whole_b = keep_mantissa(b, source_bits_b(compute));
  const float high_a = keep_mantissa(a, kHighBitsA);
  const float high_b = keep_mantissa(b, kHighBitsB);
  if (!compute.fp32_dest_acc_en && compute.math_fidelity == MathFidelity::kHiFi4) {
    const float low_a = whole_a - high_a, low_b = whole_b - high_b;
    const int exponent = biased_exponent(a) + biased_exponent(b) - 2 * 127;
    float sum = accumulated(0, high_a * high_b, exponent);
    sum = accumulated(sum, low_a * high_b, exponent - kHighBitsA - 1);
    sum = accumulated(sum, high_a * low_b, exponent - kHighBitsB - 1);
    return accumulated(sum, low_a * low_b, exponent - kHighBitsA - kHighBitsB - 2);
  }
  switch (compute.math_fidelity) {
    case MathFidelity::kLoFi:
      return high_a * high_b;
    case MathFidelity::kHiFi2:
      return whole_a * high_b;
    case MathFidelity::kHiFi3:
      return whole_a * high_b + high_a * (whole_b - high_b);
    case MathFidelity::kHiFi4:
      break;
  }
  return whole_a * whole_b;
}

float added(float a, float b, bool fp32_dest_acc_en) {
  a = truncate_to_tf32(a), b = truncate_to_tf32(b);
  if (std::abs(a) < std::abs(b)) std::swap(a, b);
  const int exponent = biased_exponent(a), apart = exponent - biased_exponent(b);
  if (apart > 0 && exponent < 255) {
    const std::uint32_t mantissa = (std::bit_cast<std::uint32_t>(b) >> 13 & 0x3ff) | 0x400;
    const std::uint32_t kept =
        apart > 11 ? 0 : (mantissa + (std::uint32_t{1} << (apart - 1))) >> apart;
    const auto unit = static_cast<std::uint32_t>(std::max(exponent - 10, 0)) << 23;
    b = std::copysign(static_cast<float>(kept) * std::bit_cast<float>(unit), b);
  }
  return fp32_dest_acc_en ? a + b : round_away_to_bfloat16(a + b);
}

Matrix multiply(const Matrix& a, const Matrix& b, const ComputeKernelConfig& compute,
                std::int64_t reloaded) {
  assert(a.columns == b.rows);
  Matrix c(a.rows, b.columns);
  const std::vector<Pass> passes = fidelity_passes(a, b, compute);
  // Blocks whose part of `b` (64 KiB) and of `c` stay in the cache.
  constexpr std::int64_t kBlockRows = 128;
  constexpr std::int64_t kBlockColumns = 512;
  for (std::int64_t n = 0; n < b.columns; n += kBlockColumns) {
    const std::int64_t columns = std::min(kBlockColumns, b.columns - n);
    for (std::int64_t m = 0; m < a.rows; m += kBlockRows) {
      const std::int64_t rows = std::min(kBlockRows, a.rows - m);
      float* block = c.values.data() + m * c.columns + n;
      for (std::int64_t k = 0; k < a.columns; k += kTile) {
        if (k > 0 && k == a.columns - reloaded) {
          for (std::int64_t r = 0; r < rows; ++r) {
            for (std::int64_t j = 0; j < columns; ++j) {
              block[r * c.columns + j] = truncate_to_tf32(block[r * c.columns + j]);
            }
          }
        }
        for (const Pass& pass : passes) {
          multiply_tiles(pass.a.data() + m * a.columns + k, a.columns,
                         pass.b.data() + k * b.columns + n, b.columns, block, c.columns, rows,
                         columns);
        }
        if (compute.fp32_dest_acc_en) continue;
        for (std::int64_t r = 0; r < rows; ++r) {
          for (std::int64_t j = 0; j < columns; ++j) {
            block[r * c.columns + j] = round_away_to_bfloat16(block[r * c.columns + j]);
          }
        }
      }
    }
  }
  return c;
}

float apply(shim::Unary unary, float value) {
  switch (unary) {
    case shim::Unary::kNone:
      return value;
    case shim::Unary::kGelu:
      return value >= 2.78125f ? value : 0.5f * value * std::erfc(-value * 0.70710678f);
    case shim::Unary::kSilu:
      return value / (1 + std::exp(-value));
  }
  return value;
}

// As kernels/compute/layernorm.cpp: sums over the logical width (the last tile's scaler is zero
// beyond it), the mean by 1/width in fp32, results between the steps in fp32, or bfloat16 without
// fp32_dest_acc_en. Whatever is in the padding is normalised too, and stays there.
void normalise(std::span<float> row, std::int64_t width, bool centred,
               std::span<const float> weight, std::span<const float> bias, float epsilon,
               int summed_bits, const ComputeKernelConfig& compute) {
  const auto keep = [&](float v) {
    return compute.fp32_dest_acc_en ? v : round_away_to_bfloat16(v);
  };
  const auto logical = row.first(static_cast<std::size_t>(width));
  const float share = 1.0f / static_cast<float>(width);
  if (centred) {
    float sum = 0;
    for (float v : logical) sum += keep_mantissa(v, summed_bits);
    const float mean = keep(sum * share);
    for (float& v : row) v = added(v, -mean, compute.fp32_dest_acc_en);
  }
  float squares = 0;
  for (float v : logical) {
    squares += keep_mantissa(keep(product(v, v, compute)), summed_bits);
  }
  const float variance = keep(squares * share);
  const float factor =
      keep(1.0f / std::sqrt(added(variance, round_to_bfloat16(epsilon), compute.fp32_dest_acc_en)));
  for (std::size_t i = 0; i < row.size(); ++i) {
    row[i] = keep(product(row[i], factor, compute));
    row[i] = keep(product(row[i], weight[i], compute));
    if (!bias.empty()) row[i] = added(row[i], bias[i], compute.fp32_dest_acc_en);
  }
}

// As sdpa's compute_common.hpp (sdpa_inner_loop): scores, their exponentials, running sums and
// outputs are kept in bfloat16; scaling happens in the exponent, exp((score + mask - max) * scale),
// and where a later chunk of keys has a larger maximum, earlier sums are multiplied by
// exp((old - new) * scale), with the scale cut to bfloat16. The keys of each column of a tile have
// a sum of their own, and the 32 meet at the end. Without a mask, keys beyond the logical ones get
// minus infinity; with one, its own padding decides inside the last tile.
Matrix attend(const Matrix& q, const Matrix& k, const Matrix& v, const Attention& attention) {
  const std::int64_t padded_keys = k.rows;
  const float minus_infinity = -std::numeric_limits<float>::infinity();
  const float cut_scale = keep_mantissa(attention.scale, 7);
  const ComputeKernelConfig& compute = attention.compute;
  const auto packed_sum = [&](float a, float b) {
    return round_away_to_bfloat16(added(a, b, compute.fp32_dest_acc_en));
  };
  const auto packed_product = [&](float a, float b) {
    return round_away_to_bfloat16(product(a, b, compute));
  };
  Matrix out(q.rows, v.columns);
  Matrix sums(q.rows, kTile);
  std::vector<float> maximum(static_cast<std::size_t>(q.rows), minus_infinity);
  for (std::int64_t first = 0; first < padded_keys; first += attention.k_chunk) {
    const std::int64_t count = std::min(attention.k_chunk, padded_keys - first);
    Matrix keys(k.columns, count);
    Matrix part(count, v.columns);
    for (std::int64_t key = 0; key < count; ++key) {
      const auto from = k.row(first + key);
      for (std::int64_t d = 0; d < k.columns; ++d) keys.row(d)[key] = from[d];
      std::copy_n(v.row(first + key).begin(), v.columns, part.row(key).begin());
    }
    Matrix scores = multiply(q, keys, compute);
    for (std::int64_t r = 0; r < q.rows; ++r) {
      const auto score = scores.row(r);
      float largest = maximum[r];
      for (std::int64_t key = 0; key < count; ++key) {
        float s = round_away_to_bfloat16(score[key]);
        if (attention.mask != nullptr) {
          s = packed_sum(s, attention.mask->row(r)[first + key]);
        } else if (first + key >= attention.keys) {
          s = minus_infinity;
        }
        score[key] = s;
        largest = std::max(largest, s);
      }
      // The packer adds up a chunk's tiles in L1.
      std::array<float, kTile> chunk{};
      for (std::int64_t key = 0; key < count; ++key) {
        const float apart = added(score[key], -largest, compute.fp32_dest_acc_en);
        score[key] = round_away_to_bfloat16(exponential(apart, attention.scale));
        float& sum = chunk[static_cast<std::size_t>(key % kTile)];
        sum = round_to_bfloat16(sum + score[key]);
      }
      const auto sum = sums.row(r);
      if (first == 0) {
        std::copy(chunk.begin(), chunk.end(), sum.begin());
      } else {
        const float correction = round_away_to_bfloat16(
            std::exp(added(maximum[r], -largest, compute.fp32_dest_acc_en) * cut_scale));
        for (std::size_t c = 0; c < chunk.size(); ++c) {
          sum[c] = packed_sum(chunk[c], packed_product(sum[c], correction));
        }
        for (float& o : out.row(r)) o = packed_product(o, correction);
      }
      maximum[r] = largest;
    }
    const Matrix weighted = multiply(scores, part, compute);
    for (std::size_t i = 0; i < out.values.size(); ++i) {
      const float o = round_away_to_bfloat16(weighted.values[i]);
      out.values[i] = first == 0 ? o : round_to_bfloat16(o + out.values[i]);
    }
  }
  for (std::int64_t r = 0; r < q.rows; ++r) {
    float total = 0;
    for (const float sum : sums.row(r)) total += sum;
    const float inverse = round_away_to_bfloat16(1.0f / round_away_to_bfloat16(total));
    for (float& o : out.row(r)) o = product(o, inverse, compute);
  }
  return out;
}

}  // namespace pi0::emulated
