#include "device/cpu/isa/amx_testing.h"

#if defined(__x86_64__)
#include <ucontext.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <iostream>

namespace pi0::cpu {
namespace {

[[noreturn]] void stop(const char* sentence) {
  for (const char* const text : {"AMX in software: ", sentence, "\n"}) {
    if (::write(STDERR_FILENO, text, std::strlen(text)) < 0) break;
  }
  std::abort();
}

void require(bool holds, const char* sentence) {
  if (!holds) stop(sentence);
}

// A thread's tile registers. Palette 1: 8 of them, of at most 16 rows of 64 bytes.
class Tiles {
 public:
  void configure(const void* memory) {
    std::memcpy(&configuration_, memory, sizeof configuration_);
    require(configuration_.palette == 1 && configuration_.start_row == 0, "ldtilecfg: palette");
    for (const std::uint8_t byte : configuration_.reserved) require(byte == 0, "ldtilecfg: zeros");
    for (int i = 0; i < 16; ++i) {
      const int rows = configuration_.rows[i], bytes = configuration_.bytes[i];
      require(i < kTiles ? rows <= kMostRows && bytes <= kMostBytes && (rows == 0) == (bytes == 0)
                         : rows == 0 && bytes == 0,
              "ldtilecfg: rows or bytes of a tile");
    }
    std::memset(tiles_, 0, sizeof tiles_);
    configured_ = true;
  }
  void release() { configured_ = false; }

  void zero(int tile) {
    require_valid(tile);
    std::memset(tiles_[tile], 0, sizeof tiles_[tile]);
  }
  void load(int tile, const char* memory, std::int64_t stride) {
    zero(tile);
    for (int row = 0; row < configuration_.rows[tile]; ++row) {
      std::memcpy(tiles_[tile][row], memory + row * stride, configuration_.bytes[tile]);
    }
  }
  void store(int tile, char* memory, std::int64_t stride) const {
    require_valid(tile);
    for (int row = 0; row < configuration_.rows[tile]; ++row) {
      std::memcpy(memory + row * stride, tiles_[tile][row], configuration_.bytes[tile]);
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

 private:
  static constexpr int kTiles = 8, kMostRows = 16, kMostBytes = 64;

  void require_valid(int tile) const {
    require(configured_, "an instruction before ldtilecfg");
    require(tile < kTiles && configuration_.rows[tile] > 0, "a tile that is not configured");
  }

  // sums += a times b: each of 4 bytes is `Sum`, of a and b several values of `Value`.
  template <typename Sum, typename Value, typename Widen>
  void multiply(int sums, int a, int b, const Widen& widen) {
    require_valid(sums);
    require_valid(a);
    require_valid(b);
    const auto& rows = configuration_.rows;
    const auto& bytes = configuration_.bytes;
    require(sums != a && sums != b && a != b, "a product: one tile twice");
    require(rows[sums] == rows[a] && bytes[sums] == bytes[b] && bytes[a] == 4 * rows[b],
            "a product: tiles of sizes that do not fit");
    constexpr int kGroup = 4 / sizeof(Value);
    for (int m = 0; m < rows[a]; ++m) {
      for (int k = 0; k < rows[b]; ++k) {
        for (int n = 0; n < bytes[b] / 4; ++n) {
          Sum sum;
          Value left[kGroup], right[kGroup];
          std::memcpy(&sum, tiles_[sums][m] + 4 * n, 4);
          std::memcpy(left, tiles_[a][m] + 4 * k, 4);
          std::memcpy(right, tiles_[b][k] + 4 * n, 4);
          for (int i = 0; i < kGroup; ++i) sum += widen(left[i]) * widen(right[i]);
          std::memcpy(tiles_[sums][m] + 4 * n, &sum, 4);
        }
      }
    }
  }

  struct {
    std::uint8_t palette, start_row, reserved[14];
    std::uint16_t bytes[16];
    std::uint8_t rows[16];
  } configuration_;
  bool configured_ = false;
  unsigned char tiles_[kTiles][kMostRows][kMostBytes];
};

thread_local Tiles tiles;

// One instruction with a VEX prefix of three bytes, map 0F38, W and L 0, as all of AMX have.
class Instruction {
 public:
  Instruction(const unsigned char* code, const greg_t* registers)
      : code_(code), registers_(registers) {
    if (code[0] != 0xc4 || (code[1] & 0x1f) != 2 || (code[2] & 0x84) != 0) return;
    opcode = code[3];
    prefix = code[2] & 3;
    third = ~code[2] >> 3 & 15;
    mod = code[4] >> 6;
    reg = (code[4] >> 3 & 7) | (code[1] & 0x80 ? 0 : 8);
    rm = (code[4] & 7) | (code[1] & 0x20 ? 0 : 8);
    length = 5;
    if (mod != 3) find_memory();
  }

  int opcode = 0;           // 0: none of these
  int prefix = 0;           // 0: none, 1: 66, 2: F3, 3: F2
  int mod = 0;              // 3: registers alone
  int reg = 0, rm = 0;      // of ModRM
  int third = 0;            // VEX.vvvv
  int length = 0;           // in bytes
  char* memory = nullptr;   // what ModRM says beside the index
  std::int64_t stride = 0;  // the index, scaled
  bool has_index = false;   // an SIB byte is there

 private:
  std::int64_t value(int number) const {
    constexpr int kNames[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                              REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};
    return registers_[kNames[number]];
  }

  void find_memory() {
    int base = rm;
    has_index = (rm & 7) == 4;
    if (has_index) {
      const int sib = code_[length++];
      base = (sib & 7) | (rm & 8);
      const int index = (sib >> 3 & 7) | (code_[1] & 0x40 ? 0 : 8);
      stride = index == 4 ? 0 : value(index) << (sib >> 6);
    }
    const bool no_base = mod == 0 && (base & 7) == 5;
    std::int64_t address = no_base ? 0 : value(base);
    if (mod == 1) {
      address += static_cast<signed char>(code_[length++]);
    } else if (mod == 2 || no_base) {
      std::int32_t displacement;
      std::memcpy(&displacement, code_ + length, 4);
      length += 4;
      address += displacement;
    }
    if (no_base && !has_index) address += reinterpret_cast<std::int64_t>(code_) + length;
    memory = reinterpret_cast<char*>(address);
  }

  const unsigned char* code_;
  const greg_t* registers_;
};

// Does its work; false where it is none that amx.cc uses.
bool carry_out(const Instruction& one) {
  constexpr int kNone = 0, kF3 = 2, kF2 = 3;
  const bool registers = one.mod == 3;
  switch (one.opcode << 2 | one.prefix) {
    case 0x49 << 2 | kNone:
      if (registers) {
        tiles.release();
      } else {
        tiles.configure(one.memory);
      }
      return true;
    case 0x49 << 2 | kF2:
      if (registers) tiles.zero(one.reg);
      return registers;
    case 0x4b << 2 | kF2:
      if (one.has_index) tiles.load(one.reg, one.memory, one.stride);
      return one.has_index;
    case 0x4b << 2 | kF3:
      if (one.has_index) tiles.store(one.reg, one.memory, one.stride);
      return one.has_index;
    case 0x5c << 2 | kF3:
      if (registers) tiles.multiply_bf16(one.reg, one.rm, one.third);
      return registers;
    case 0x5e << 2 | kF2:
      if (registers) tiles.multiply_int8(one.reg, one.rm, one.third);
      return registers;
    default:
      return false;
  }
}

void on_trap(int, siginfo_t*, void* context) {
  greg_t* const registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const auto* const code = reinterpret_cast<const unsigned char*>(registers[REG_RIP]);
  const Instruction one(code, registers);
  if (!carry_out(one)) stop("an instruction that is unknown here too");
  registers[REG_RIP] += one.length;
}

}  // namespace

bool emulate_amx() {
  struct sigaction action {};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  require(sigaction(SIGILL, &action, nullptr) == 0, "no handler can be set");
  std::cout << "amx: in software, this machine has none\n";
  return true;
}

}  // namespace pi0::cpu
#else
bool pi0::cpu::emulate_amx() { return false; }
#endif

pi0::cpu::KernelTable pi0::cpu::amx_in_software(CpuType type) {
  KernelTable table = kernel_table(type, Isa::kAmx);
  table.rows = kernel_table(type, Isa::kPortable).rows;
  return table;
}
