// What is compiled once for each instruction set: plain functions over plain memory, found through
// tables, so that nothing else is compiled with instructions that the machine may lack.
//
// Their sources include no header with inline functions but the compiler's intrinsics and this one:
// of a function that several files define inline, the linker keeps one copy, which might be theirs.
#pragma once

#include <cstdint>

namespace pi0::cpu {

enum class Number : std::uint8_t { kF32, kBf16, kInt8, kInt16 };

constexpr int size_of(Number number) {
  return number == Number::kF32 ? 4 : number == Number::kInt8 ? 1 : 2;
}

// One inner kernel: a tile of rows x columns of a product, all of its depth (or a part of it).
//
// Packed, both operands lie so that the kernel reads on and on. Values of depth are grouped:
//   activations, a tile   [depth / activation_group][rows of the tile][activation_group]
//   weights, a panel      [depth / weight_group][columns][weight_group]
// with zeros up to a whole number of groups; activation_group is a multiple of weight_group.
struct MultiplyKernel {
  const char* name;  // its instruction
  Number activations;
  Number weights;  // narrower than `activations`, they are widened as they are read
  int rows;        // of a tile, at most
  int columns;     // of a tile: 32, or 16 where rows are not compiled for AVX512
  int activation_group;
  int weight_group;
  int offset;  // that int8 activations are stored with, for instructions that take them unsigned

  // tile (fp32, or int32 where activations are integers) [rows][columns] = or += the product of
  // `depth` values, a multiple of activation_group.
  void (*multiply)(const void* activations, const void* weights, void* tile, std::int64_t depth,
                   int rows, bool add);
  // After the tiles of one piece of work on one thread; null where nothing is kept between them.
  void (*end)();
  // The instruction on registers alone, and how many operations (two a multiply-add) one time is.
  void (*peak)(std::int64_t times);
  double peak_operations;
};

// What becomes of a finished tile.
enum class Finish : std::uint8_t {
  kStore,  // out = f(y)
  kAdd,    // out += gate * y
  kGate,   // out = gelu(y of the first half of the columns) * y of the second, half as wide
  // Heads with RoPE: the columns of a tile are as many of a head's first half and of its second,
  // which are rotated together; the tiles of a head have its whole half, the last one filled up.
  kRotate,
};
enum class Function : std::uint8_t { kNone, kGelu, kSilu };

struct FinishWork {
  Finish finish = Finish::kStore;
  Function function = Function::kNone;
  Number out_type = Number::kF32;  // or kBf16, but of kAdd
  void* out = nullptr;             // [rows][stride]
  std::int64_t stride = 0;         // in values
  std::int64_t columns = 0;        // of `out`
  // By column, each up to a whole number of panels, or null.
  const float* bias = nullptr;
  const float* row = nullptr;  // up to `columns`
  const float* gate = nullptr;
  std::int64_t gate_stride = 0;  // from a row's gates to the next row's; 0: all rows have the same
  // kRotate: of the positions of a sequence, [tokens][half] each; row r has position r % tokens.
  const float* cosines = nullptr;
  const float* sines = nullptr;
  std::int64_t tokens = 0, half = 0;
  // Integers: y = (tile - column_offset) * column_scale * row_scale.
  const float* row_scales = nullptr;
  const float* column_scales = nullptr;
  const std::int32_t* column_offsets = nullptr;
};

// Work on whole rows; all but the matrices. Lengths are any from 1 on.
struct RowKernels {
  void (*to_bf16)(const float* in, std::uint16_t* out, std::int64_t count);
  void (*from_bf16)(const std::uint16_t* in, float* out, std::int64_t count);
  float (*largest)(const float* in, std::int64_t count);  // magnitude
  // round(in * factor) + offset; |in * factor| is at most 127.
  void (*to_int8)(const float* in, float factor, int offset, std::uint8_t* out, std::int64_t count);
  void (*to_int16)(const float* in, float factor, std::int16_t* out, std::int64_t count);
  // Units of 4 or 64 bytes to places `stride` units apart.
  void (*scatter)(const void* in, void* out, std::int64_t units, std::int64_t stride,
                  int unit_bytes);
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, float* out,
                     std::int64_t count);
  // x / sqrt(mean(x²) + eps) * (1 + scale) + shift; shift may be null.
  void (*rms_norm)(const float* x, const float* scale, const float* shift, float eps, float* out,
                   std::int64_t count);
  // Tiles have 32 columns; at levels below AVX512, 16 or 32.
  // Softmax of columns, [rows][columns]: the largest of a column, where it is above `most`; then
  // exp(scale * (x - most)), which is added to `sums` and stored as fp32, or as bf16 like a panel
  // of weights, [rows / 2][columns][2], a last row of an odd number with zeros.
  void (*column_largest)(const float* x, std::int64_t rows, int columns, float* most);
  void (*column_exponentials)(const float* x, std::int64_t rows, int columns, const float* most,
                              float scale, float* sums, Number out_type, void* out);
  // out = in * factor of one column of [rows][columns].
  void (*take_column)(const float* in, std::int64_t rows, int columns, float factor, float* out);
  // A tile of `rows` x `tile_columns` whose first is `column`; its row r is row `first_row` + r of
  // what is finished.
  void (*finish_tile)(const void* tile, int rows, int tile_columns, bool integers,
                      std::int64_t first_row, std::int64_t column, const FinishWork& work);
};

// The tables, one of rows for each level of compilation.
namespace portable {
extern const RowKernels kRows;
extern const MultiplyKernel kF32, kBf16, kInt8;
}  // namespace portable

#if defined(__x86_64__)
namespace avx2 {
extern const RowKernels kRows;
extern const MultiplyKernel kF32, kBf16, kInt8;
}  // namespace avx2
namespace avx512 {
extern const RowKernels kRows;
extern const MultiplyKernel kF32, kBf16, kInt8;
}  // namespace avx512
namespace avx512_vnni {
extern const MultiplyKernel kInt8;
}
namespace avx512_bf16 {
extern const MultiplyKernel kBf16;
}
namespace amx {
extern const MultiplyKernel kBf16, kInt8;
}
#endif

}  // namespace pi0::cpu
