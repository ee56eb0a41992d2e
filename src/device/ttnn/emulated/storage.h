// How a tensor's values are kept on a card: rounded to their type, padding included.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "device/ttnn/shim/shim.h"

namespace pi0::emulated {

// To nearest, ties to even.
float round_to_bfloat16(float value);
// As the matrix unit rounds into a destination of 16 bits, and the packer out of one of 32: ties
// away from zero.
float round_away_to_bfloat16(float value);
// What the unpacker hands to the matrix unit of a float32: 10 bits of mantissa, the rest cut off.
float truncate_to_tf32(float value);

// The padded values of a tensor in row-major order, whatever its layout: tiles only matter for
// which values exist and for which 16 share an exponent, and those follow each other in a row.
class Values {
 public:
  Values(shim::DataType dtype, std::int64_t rows, std::int64_t width);

  std::int64_t rows() const { return rows_; }
  std::int64_t width() const { return width_; }
  shim::DataType dtype() const { return dtype_; }

  // Rows [first, first + out.size() / width).
  void read(std::int64_t first, std::span<float> out) const;
  void write(std::int64_t first, std::span<const float> in);
  std::vector<float> read_all() const;
  // What memory holds after something else was written there.
  void poison();

 private:
  shim::DataType dtype_;
  std::int64_t rows_, width_;
  std::vector<float> fp32_;
  std::vector<std::uint16_t> bf16_;
  std::vector<std::uint8_t> mantissas_;  // sign and up to 7 bits, of block floats
  std::vector<std::uint8_t> exponents_;  // of 16 values each
};

}  // namespace pi0::emulated
