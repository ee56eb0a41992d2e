#include "device/ttnn/emulated/rules.h"

#include <fmt/format.h>

#include "device/ttnn/emulated/machine.h"
#include "pi0/error.h"

namespace pi0::emulated {
namespace {

using shim::divide_up;
using shim::kTile;
using shim::Layout;
using shim::Placement;
using shim::Shape4;
using shim::TensorSpec;
using shim::volume;

void require_tiles(const TensorSpec& spec, const std::string& operation, const std::string& what) {
  require(spec.layout == Layout::kTile, operation,
          what + " must be in tile layout, and is " + describe(spec));
}

std::string times(std::int64_t a, std::int64_t b) { return fmt::format("{} x {}", a, b); }

void check_matmul_config(const shim::MatmulProgramConfig& config, std::int64_t rows,
                         std::int64_t inner, std::int64_t columns, bool fp32, const Card& card) {
  const std::string name = "ttnn.linear";
  const auto divides = [&](int part, std::int64_t whole, const std::string& what) {
    require(part > 0 && whole % part == 0, name,
            fmt::format("{} does not divide: {} by {}", what, whole, part));
  };
  require(config.grid.x >= 1 && config.grid.x <= card.grid_x && config.grid.y >= 1 &&
              config.grid.y <= card.grid_y,
          name,
          fmt::format("the program's grid is {}, the card's {}",
                      times(config.grid.x, config.grid.y), times(card.grid_x, card.grid_y)));
  require(config.per_core_M > 0 && config.per_core_N > 0, name,
          "per_core_M and per_core_N must be at least 1");
  divides(config.in0_block_w, inner, "in0_block_w (of the inner dimension in tiles)");
  divides(config.out_block_h, config.per_core_M, "out_block_h (of per_core_M)");
  divides(config.out_block_w, config.per_core_N, "out_block_w (of per_core_N)");
  divides(config.out_subblock_h, config.out_block_h, "out_subblock_h (of out_block_h)");
  divides(config.out_subblock_w, config.out_block_w, "out_subblock_w (of out_block_w)");
  const int registers = fp32 ? 4 : 8;
  require(config.out_subblock_h * config.out_subblock_w <= registers, name,
          fmt::format("a sub-block of {} tiles is more than the {} that the destination "
                      "registers hold{}",
                      times(config.out_subblock_h, config.out_subblock_w), registers,
                      fp32 ? " with fp32_dest_acc_en" : ""));
  const std::int64_t down = divide_up(rows, config.per_core_M);
  const std::int64_t across = divide_up(columns, config.per_core_N);
  if (config.one_dimension) {
    require(down == 1, name,
            fmt::format("the one-dimensional program wants all {} rows of tiles in per_core_M, "
                        "which is {}",
                        rows, config.per_core_M));
    require(across <= config.grid.x * config.grid.y, name,
            fmt::format("{} blocks of columns on a grid of {} cores", across,
                        times(config.grid.x, config.grid.y)));
  } else {
    require(down <= config.grid.y && across <= config.grid.x, name,
            fmt::format("{} blocks (columns x rows) on a grid of {} cores", times(across, down),
                        times(config.grid.x, config.grid.y)));
  }
}

}  // namespace

void require(bool holds, const std::string& operation, const std::string& sentence) {
  if (!holds) throw Error(ErrorCode::kUnsupported, operation + ": " + sentence);
}

void check_shape(const Shape4& shape, const std::string& operation) {
  for (std::int64_t size : shape) {
    require(size >= 0, operation, "the shape " + describe(shape) + " has a negative dimension");
  }
}

void check_to_device(const TensorSpec& spec) {
  check_shape(spec.shape, "ttnn.to_device");
  require(
      !is_block_float(spec.dtype) || spec.layout == Layout::kTile, "ttnn.to_device",
      std::string(name_of(spec.dtype)) + " exists in tiles alone, asked for was " + describe(spec));
}

void check_view(const TensorSpec& x, const Shape4& shape, const Shape4& padded) {
  const std::string name = "ttnn.reshape (view)";
  const std::string sizes = describe(x) + " as " + describe(shape) + " in " + describe(padded);
  require(volume(padded) == volume(x.padded), name, "another amount of memory: " + sizes);
  require(padded[3] == x.padded[3], name, "the last dimension must stay: " + sizes);
  for (std::size_t d = 0; d < 4; ++d) {
    require(shape[d] >= 0 && shape[d] <= padded[d], name,
            "the logical shape is beyond the padded one: " + sizes);
  }
  require(shape[0] == padded[0] && shape[1] == padded[1], name,
          "only the last two dimensions are padded: " + sizes);
  if (x.layout == Layout::kTile) {
    require(padded[2] % kTile == 0, name, "rows of a tensor in tiles are whole tiles: " + sizes);
  } else {
    require(shape == padded, name, "row-major tensors have no padding: " + sizes);
  }
}

void check_reshape(const TensorSpec& x, const Shape4& shape) {
  const std::string name = "ttnn.reshape";
  require_tiles(x, name, "its operand");
  require(volume(shape) == volume(x.shape), name,
          fmt::format("{} and {} have different sizes", describe(x.shape), describe(shape)));
  require(shape[3] == x.shape[3], name,
          "the last dimension must stay: " + describe(x.shape) + " as " + describe(shape));
  require(!is_block_float(x.dtype), name,
          std::string(name_of(x.dtype)) + " would be converted to bfloat16 first");
}

void check_to_layout(const TensorSpec& x, Layout layout) {
  require(!is_block_float(x.dtype) || layout == Layout::kTile, "ttnn.to_layout",
          std::string(name_of(x.dtype)) + " exists in tiles alone: " + describe(x));
}

void check_fold(const TensorSpec& x, int stride_h, int stride_w) {
  const std::string name = "ttnn.fold";
  require(x.layout == Layout::kRowMajor, name, "its operand must be row-major, is " + describe(x));
  require(
      x.placement == Placement::kDram, name,
      "its operand must lie in DRAM (elsewhere the result has another shape), is " + describe(x));
  require(stride_h > 0 && x.shape[1] % stride_h == 0, name,
          fmt::format("the height of {} is no multiple of {}", describe(x), stride_h));
  require(stride_w > 0 && x.shape[2] % stride_w == 0, name,
          fmt::format("the width of {} is no multiple of {}", describe(x), stride_w));
}

void check_concat(std::span<const TensorSpec> parts, int dim) {
  const std::string name = "ttnn.concat";
  require(!parts.empty(), name, "there are no parts");
  require(dim >= 0 && dim < 4, name, fmt::format("there is no dimension {}", dim));
  for (const TensorSpec& part : parts) {
    require(part.layout == parts[0].layout && part.dtype == parts[0].dtype, name,
            fmt::format("parts must have one layout and type: {} and {}", describe(parts[0]),
                        describe(part)));
    for (int d = 0; d < 4; ++d) {
      require(d == dim || part.shape[d] == parts[0].shape[d], name,
              fmt::format("parts differ beside dimension {}: {} and {}", dim,
                          describe(parts[0].shape), describe(part.shape)));
    }
  }
}

void check_slice(const TensorSpec& x, const Shape4& begin, const Shape4& end) {
  const std::string name = "ttnn.slice";
  const std::string range = describe(begin) + " to " + describe(end) + " of " + describe(x);
  for (std::size_t d = 0; d < 4; ++d) {
    require(begin[d] >= 0 && begin[d] < end[d] && end[d] <= x.shape[d], name,
            "nothing or too much is asked for: " + range);
  }
  if (x.layout == Layout::kTile) {
    require(begin[2] % kTile == 0 && begin[3] % kTile == 0, name,
            "a slice of tiles begins at a tile: " + range);
  }
}

void check_linear(const TensorSpec& a, const TensorSpec& weight, const TensorSpec* bias,
                  const shim::LinearOptions& options, const Card& card) {
  const std::string name = "ttnn.linear";
  require_tiles(a, name, "its input");
  require_tiles(weight, name, "its weight");
  require(a.shape[1] == 1, name, "its input must be [batch, 1, rows, width]: " + describe(a));
  require(weight.shape[0] == 1 && weight.shape[1] == 1, name,
          "its weight must have no batch: " + describe(weight));
  require(a.shape[3] == weight.shape[2] && a.padded[3] == weight.padded[2], name,
          fmt::format("the input's width is not the weight's height: {} x {}", describe(a),
                      describe(weight)));
  if (bias != nullptr) {
    require_tiles(*bias, name, "its bias");
    require(bias->shape[0] == 1 && bias->shape[1] == 1 && bias->padded[2] == kTile, name,
            "the bias must be one row: " + describe(*bias));
    require(bias->padded[3] == weight.padded[3] && bias->shape[3] >= weight.shape[3], name,
            "the bias is not as wide as the weight: " + describe(*bias) + ", " + describe(weight));
  }
  check_matmul_config(options.program_config, a.padded[0] * a.padded[2] / kTile,
                      a.padded[3] / kTile, weight.padded[3] / kTile,
                      options.compute.fp32_dest_acc_en, card);
}

void check_norm(const TensorSpec& x, const TensorSpec& weight, const TensorSpec* bias,
                const std::string& operation) {
  require_tiles(x, operation, "its input");
  for (const TensorSpec* row : {&weight, bias}) {
    if (row == nullptr) continue;
    require_tiles(*row, operation, "its weight");
    require(row->shape[3] == x.shape[3] && row->padded[3] == x.padded[3], operation,
            "weight or bias is not as wide as the input: " + describe(*row) + ", " + describe(x));
    require(row->padded[0] == 1 && row->padded[1] == 1 && row->padded[2] == kTile, operation,
            "weight and bias must be one row: " + describe(*row));
  }
}

void check_binary(const TensorSpec& a, const TensorSpec* b, const shim::BinaryOptions& options,
                  const std::string& operation) {
  require_tiles(a, operation, "its left operand");
  if (b != nullptr) {
    require_tiles(*b, operation, "its right operand");
    const std::string shapes = describe(a) + " and " + describe(*b);
    require(a.shape[3] == b->shape[3] && a.padded[3] == b->padded[3] && a.shape[1] == b->shape[1],
            operation, "operands of different widths: " + shapes);
    require(b->shape[2] == a.shape[2] || b->shape[2] == 1, operation,
            "rows that do not broadcast: " + shapes);
    require(b->shape[0] == a.shape[0] || b->shape[0] == 1, operation,
            "batches that do not broadcast: " + shapes);
  }
  if (options.output == nullptr) return;
  const TensorSpec& output = options.output->spec();
  require(output.dtype == options.dtype, operation,
          fmt::format("the output tensor is {}, the result's type is {}", describe(output),
                      name_of(options.dtype)));
  require(output.shape == a.shape && output.padded == a.padded && output.layout == Layout::kTile,
          operation, "the output tensor is " + describe(output) + ", the result as " + describe(a));
}

}  // namespace pi0::emulated
