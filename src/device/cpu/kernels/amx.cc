// AMX: tile registers of 16 rows x 64 bytes. A tile of sums is 2 x 2 of them: rows in two halves,
// 32 columns. Activations lie as [depth / 64 bytes][rows][64 bytes], which is what a tile register
// loads; weights as the other kernels have them, [depth / group][32 columns][group], whose rows of
// 128 bytes are two registers side by side.
#include <immintrin.h>

#include "device/cpu/kernels/kernels.h"

namespace pi0::cpu::amx {
namespace {

using std::int64_t;

constexpr int kRows = 32, kColumns = 32;
constexpr int kRegisterRows = 16, kRegisterBytes = 64;
constexpr int kWeightStride = 2 * kRegisterBytes;
constexpr int kTileStride = kColumns * 4;  // bytes of a row of sums

// Registers 0-3: sums, of the first and second half of the rows; 4, 5: activations of each half;
// 6, 7: weights of each half of the columns.
struct alignas(64) Configuration {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t bytes[16] = {};
  std::uint8_t rows[16] = {};
};

int first_half(int rows) { return (rows + 1) / 2; }

// The rows that this thread's registers are configured for, from one tile to the next, which mostly
// has as many; 0 between two pieces of work, where the host program may use them.
thread_local int configured = 0;

// Gives the registers back: 8 KiB that would be saved at each switch to another thread.
void end() {
  _tile_release();
  configured = 0;
}

void configure(int rows) {
  if (configured == rows) return;
  Configuration configuration;
  const int first = first_half(rows), second = rows - first > 0 ? rows - first : 1;
  const int register_rows[8] = {first, first, second, second, first, second, 16, 16};
  for (int i = 0; i < 8; ++i) {
    configuration.bytes[i] = kRegisterBytes;
    configuration.rows[i] = static_cast<std::uint8_t>(register_rows[i]);
  }
  // g++ 12 takes the instruction to read 8 bytes of the 64, and drops what was written to others.
  asm volatile("" : : "r"(&configuration) : "memory");
  _tile_loadconfig(&configuration);
  configured = rows;
}

template <typename Multiply>
void multiply_tile(const void* activations, const void* weights, void* tile, int64_t steps,
                   int rows, bool add, Multiply multiply) {
  configure(rows);
  const int first = first_half(rows);
  const bool two = rows > 1;
  const auto* a = static_cast<const char*>(activations);
  const auto* b = static_cast<const char*>(weights);
  char* const upper = static_cast<char*>(tile);
  char* const lower = upper + first * kTileStride;
  if (add) {
    _tile_loadd(0, upper, kTileStride);
    _tile_loadd(1, upper + kRegisterBytes, kTileStride);
    if (two) {
      _tile_loadd(2, lower, kTileStride);
      _tile_loadd(3, lower + kRegisterBytes, kTileStride);
    }
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t step = 0; step < steps; ++step) {
    _tile_loadd(6, b, kWeightStride);
    _tile_loadd(7, b + kRegisterBytes, kWeightStride);
    _tile_loadd(4, a, kRegisterBytes);
    if (two) _tile_loadd(5, a + first * kRegisterBytes, kRegisterBytes);
    multiply(two);
    a += rows * kRegisterBytes;
    b += kRegisterRows * kWeightStride;
  }
  _tile_stored(0, upper, kTileStride);
  _tile_stored(1, upper + kRegisterBytes, kTileStride);
  if (two) {
    _tile_stored(2, lower, kTileStride);
    _tile_stored(3, lower + kRegisterBytes, kTileStride);
  }
}

void multiply_bf16(const void* activations, const void* weights, void* tile, int64_t depth,
                   int rows, bool add) {
  multiply_tile(activations, weights, tile, depth / 32, rows, add, [](bool two) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if (!two) return;
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  });
}

void multiply_int8(const void* activations, const void* weights, void* tile, int64_t depth,
                   int rows, bool add) {
  multiply_tile(activations, weights, tile, depth / 64, rows, add, [](bool two) {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    if (!two) return;
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  });
}

void zero_all() {
  configure(kRows);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
}

void peak_bf16(int64_t times) {
  zero_all();
  for (int64_t time = 0; time < times; ++time) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  end();
}

void peak_int8(int64_t times) {
  zero_all();
  for (int64_t time = 0; time < times; ++time) {
    _tile_dpbssd(0, 4, 6);
    _tile_dpbssd(1, 4, 7);
    _tile_dpbssd(2, 5, 6);
    _tile_dpbssd(3, 5, 7);
  }
  end();
}

}  // namespace

extern const MultiplyKernel kBf16 = {
    .name = "tdpbf16ps",
    .activations = Number::kBf16,
    .weights = Number::kBf16,
    .rows = kRows,
    .columns = kColumns,
    .activation_group = 32,
    .weight_group = 2,
    .offset = 0,
    .multiply = multiply_bf16,
    .end = end,
    .peak = peak_bf16,
    .peak_operations = 4 * 2.0 * 16 * 16 * 32,
};
extern const MultiplyKernel kInt8 = {
    .name = "tdpbssd",
    .activations = Number::kInt8,
    .weights = Number::kInt8,
    .rows = kRows,
    .columns = kColumns,
    .activation_group = 64,
    .weight_group = 4,
    .offset = 0,
    .multiply = multiply_int8,
    .end = end,
    .peak = peak_int8,
    .peak_operations = 4 * 2.0 * 16 * 16 * 64,
};

}  // namespace pi0::cpu::amx
