// The tile instructions that amx.cc uses, as plain code after the operations that Intel's Software
// Developer's Manual gives for them: for tests, where the machine has none. What the manual answers
// with an exception ends the program. Tiles are only read and written through these.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

struct EmulatedTiles {
  static constexpr int kTiles = 8, kMostRows = 16, kMostBytes = 64;

  struct Configuration {
    std::uint8_t palette, start_row, reserved[14];
    std::uint16_t bytes[16];
    std::uint8_t rows[16];
  };
  bool configured = false;
  Configuration configuration;
  unsigned char tiles[kTiles][kMostRows][kMostBytes];

  static void require(bool condition) {
    if (!condition) std::abort();
  }

  void configure(const void* memory) {
    std::memcpy(&configuration, memory, sizeof configuration);
    require(configuration.palette == 1 && configuration.start_row == 0);
    for (const std::uint8_t byte : configuration.reserved) require(byte == 0);
    for (int i = 0; i < 16; ++i) {
      const int rows = configuration.rows[i], bytes = configuration.bytes[i];
      require(i < kTiles ? rows <= kMostRows && bytes <= kMostBytes && (rows == 0) == (bytes == 0)
                         : rows == 0 && bytes == 0);
    }
    std::memset(tiles, 0, sizeof tiles);
    configured = true;
  }
  void release() { configured = false; }

  void zero(int tile) {
    require(configured);
    std::memset(tiles[tile], 0, sizeof tiles[tile]);
  }
  void load(int tile, const void* memory, std::int64_t stride) {
    zero(tile);
    for (int row = 0; row < configuration.rows[tile]; ++row) {
      std::memcpy(tiles[tile][row], static_cast<const char*>(memory) + row * stride,
                  configuration.bytes[tile]);
    }
  }
  void store(int tile, void* memory, std::int64_t stride) const {
    require(configured);
    for (int row = 0; row < configuration.rows[tile]; ++row) {
      std::memcpy(static_cast<char*>(memory) + row * stride, tiles[tile][row],
                  configuration.bytes[tile]);
    }
  }

  // sums += a times b: each of 4 bytes is `Sum`, of a and b several values of `Value`.
  template <typename Sum, typename Value, typename Widen>
  void multiply(int sums, int a, int b, const Widen& widen) {
    require(configured && sums != a && sums != b && a != b);
    require(configuration.rows[sums] == configuration.rows[a]);
    require(configuration.bytes[sums] == configuration.bytes[b]);
    require(configuration.bytes[a] == 4 * configuration.rows[b]);
    constexpr int kGroup = 4 / sizeof(Value);
    for (int m = 0; m < configuration.rows[a]; ++m) {
      for (int k = 0; k < configuration.rows[b]; ++k) {
        for (int n = 0; n < configuration.bytes[b] / 4; ++n) {
          Sum sum;
          Value left[kGroup], right[kGroup];
          std::memcpy(&sum, tiles[sums][m] + 4 * n, 4);
          std::memcpy(left, tiles[a][m] + 4 * k, 4);
          std::memcpy(right, tiles[b][k] + 4 * n, 4);
          for (int i = 0; i < kGroup; ++i) sum += widen(left[i]) * widen(right[i]);
          std::memcpy(tiles[sums][m] + 4 * n, &sum, 4);
        }
      }
    }
  }
  void multiply_bf16(int sums, int a, int b) {
    multiply<float, std::uint16_t>(sums, a, b, [](std::uint16_t x) {
      return __builtin_bit_cast(float, std::uint32_t{x} << 16);
    });
  }
  void multiply_int8(int sums, int a, int b) {
    multiply<std::int32_t, std::int8_t>(sums, a, b, [](std::int8_t x) { return std::int32_t{x}; });
  }
};

inline EmulatedTiles& emulated_tiles() {
  thread_local EmulatedTiles tiles;
  return tiles;
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier): the intrinsics' own names
#define _tile_loadconfig(memory) emulated_tiles().configure(memory)
#define _tile_release() emulated_tiles().release()
#define _tile_zero(tile) emulated_tiles().zero(tile)
#define _tile_loadd(tile, memory, stride) emulated_tiles().load(tile, memory, stride)
#define _tile_stored(tile, memory, stride) emulated_tiles().store(tile, memory, stride)
#define _tile_dpbf16ps(sums, a, b) emulated_tiles().multiply_bf16(sums, a, b)
#define _tile_dpbssd(sums, a, b) emulated_tiles().multiply_int8(sums, a, b)
// NOLINTEND(bugprone-reserved-identifier)
