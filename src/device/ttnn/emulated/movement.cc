// Operations that move data and compute nothing.
#include <algorithm>

#include "device/ttnn/emulated/api.h"
#include "device/ttnn/emulated/programs.h"
#include "device/ttnn/emulated/rules.h"

namespace pi0::emulated {
namespace {

using shim::Layout;
using shim::Shape4;
using shim::Tensor;
using shim::TensorSpec;

// What a moving reshape leaves in the padding: TTNN's kernel does not write it.
constexpr float kUnspecified = 12345.0f;

Matrix matrix_of(const TensorSpec& spec, float value = 0) {
  Matrix matrix(spec.padded[0] * spec.padded[1] * spec.padded[2], spec.padded[3]);
  std::fill(matrix.values.begin(), matrix.values.end(), value);
  return matrix;
}

std::int64_t padded_row(const TensorSpec& spec, std::int64_t logical_row) {
  return logical_row / spec.shape[2] * spec.padded[2] + logical_row % spec.shape[2];
}

// Logical rows of equal width, one after another, from one tensor's padding into another's.
void copy_logical_rows(const TensorSpec& from, const Matrix& in, const TensorSpec& to,
                       Matrix& out) {
  const std::int64_t rows = from.shape[0] * from.shape[1] * from.shape[2];
  for (std::int64_t r = 0; r < rows; ++r) {
    std::copy_n(in.row(padded_row(from, r)).begin(), from.shape[3],
                out.row(padded_row(to, r)).begin());
  }
}

bool padded_along(const TensorSpec& spec, int dim) {
  return spec.padded[static_cast<std::size_t>(dim)] != spec.shape[static_cast<std::size_t>(dim)];
}

}  // namespace

Tensor EmulatedApi::view(const Tensor& x, const Shape4& shape, const Shape4& padded) {
  const Operand operand = machine_->operand(x, "ttnn.reshape (view)");
  check_view(operand.spec, shape, padded);
  TensorSpec spec = operand.spec;
  spec.shape = shape;
  spec.padded = padded;
  return {spec, x.buffer()};
}

Tensor EmulatedApi::reshape(const Tensor& x, const Shape4& shape, Placement placement) {
  const std::string name = "ttnn.reshape";
  const Operand operand = machine_->operand(x, name);
  check_reshape(operand.spec, shape);
  const TensorSpec out = make_spec(shape, operand.spec.dtype, Layout::kTile, placement);
  const auto compute = [out](const std::vector<Operand>& in) {
    Matrix result = matrix_of(out, kUnspecified);
    copy_logical_rows(in[0].spec, read(in[0]), out, result);
    return result;
  };
  return run(name, "", {operand}, out, copy_buffers(operand.spec, card()), compute);
}

Tensor EmulatedApi::to_layout(const Tensor& x, Layout layout, Placement placement) {
  const std::string name = "ttnn.to_layout";
  const Operand operand = machine_->operand(x, name);
  check_to_layout(operand.spec, layout);
  const TensorSpec out = make_spec(operand.spec.shape, operand.spec.dtype, layout, placement);
  const auto compute = [out](const std::vector<Operand>& in) {
    Matrix result = matrix_of(out);
    copy_logical_rows(in[0].spec, read(in[0]), out, result);
    return result;
  };
  const TensorSpec& tiled = layout == Layout::kTile ? out : operand.spec;
  return run(name, "", {operand}, out, layout_buffers(tiled), compute);
}

Tensor EmulatedApi::fold(const Tensor& x, int stride_h, int stride_w) {
  const std::string name = "ttnn.fold";
  const Operand operand = machine_->operand(x, name);
  check_fold(operand.spec, stride_h, stride_w);
  const Shape4& s = operand.spec.shape;
  const Shape4 folded{s[0], s[1] / stride_h, s[2] / stride_w, s[3] * stride_h * stride_w};
  const TensorSpec out =
      make_spec(folded, operand.spec.dtype, Layout::kRowMajor, operand.spec.placement);
  const auto compute = [out, s, stride_h, stride_w](const std::vector<Operand>& in) {
    const Matrix pixels = read(in[0]);
    Matrix result = matrix_of(out);
    for (std::int64_t row = 0; row < pixels.rows; ++row) {
      const std::int64_t w = row % s[2];
      const std::int64_t h = row / s[2] % s[1];
      const std::int64_t n = row / s[2] / s[1];
      const std::int64_t patch = (n * out.shape[1] + h / stride_h) * out.shape[2] + w / stride_w;
      const std::int64_t within = (h % stride_h * stride_w + w % stride_w) * s[3];
      std::copy_n(pixels.row(row).begin(), s[3], result.row(patch).begin() + within);
    }
    return result;
  };
  return run(name, program_key(stride_h, stride_w), {operand}, out,
             fold_buffers(operand.spec, stride_h, stride_w, card()), compute);
}

Tensor EmulatedApi::concat(std::span<const Tensor> parts, int dim, Placement placement) {
  const std::string name = "ttnn.concat";
  std::vector<Operand> operands;
  std::vector<TensorSpec> specs;
  for (const Tensor& part : parts) {
    operands.push_back(machine_->operand(part, name));
    specs.push_back(operands.back().spec);
  }
  check_concat(specs, dim);
  const auto axis = static_cast<std::size_t>(dim);
  const bool tiles = specs[0].layout == Layout::kTile;
  if (tiles && std::any_of(specs.begin(), specs.end(),
                           [&](const TensorSpec& s) { return padded_along(s, dim); })) {
    // TTNN's way where padding would come to lie between the parts, or behind the last.
    std::vector<Tensor> rows;
    for (const Tensor& part : parts) {
      rows.push_back(to_layout(part, Layout::kRowMajor, part.spec().placement));
    }
    const Tensor joined = concat(rows, dim, placement);
    return to_layout(joined, Layout::kTile, placement);
  }
  Shape4 shape = specs[0].shape;
  shape[axis] = 0;
  for (const TensorSpec& spec : specs) shape[axis] += spec.shape[axis];
  const TensorSpec out = make_spec(shape, specs[0].dtype, specs[0].layout, placement);
  const auto compute = [out, axis](const std::vector<Operand>& in) {
    Matrix result = matrix_of(out);
    std::int64_t outer = 1;
    for (std::size_t d = 0; d < axis; ++d) outer *= out.padded[d];
    const std::int64_t all = static_cast<std::int64_t>(result.values.size()) / outer;
    std::int64_t at = 0;
    for (const Operand& part : in) {
      const Matrix values = read(part);
      const std::int64_t block = static_cast<std::int64_t>(values.values.size()) / outer;
      for (std::int64_t o = 0; o < outer; ++o) {
        std::copy_n(values.values.begin() + o * block, block, result.values.begin() + o * all + at);
      }
      at += block;
    }
    return result;
  };
  const std::int64_t buffers = copy_buffers(tiles ? specs[0] : out, card());
  return run(name, program_key(dim), std::move(operands), out, buffers, compute);
}

Tensor EmulatedApi::slice(const Tensor& x, const Shape4& begin, const Shape4& end,
                          Placement placement) {
  const std::string name = "ttnn.slice";
  const Operand operand = machine_->operand(x, name);
  check_slice(operand.spec, begin, end);
  Shape4 shape{};
  for (std::size_t d = 0; d < 4; ++d) shape[d] = end[d] - begin[d];
  const TensorSpec out = make_spec(shape, operand.spec.dtype, operand.spec.layout, placement);
  // Whole tiles: what follows the slice in its last tiles becomes padding.
  const auto compute = [out, begin](const std::vector<Operand>& in) {
    const Shape4& from = in[0].spec.padded;
    const Matrix values = read(in[0]);
    Matrix result = matrix_of(out);
    for (std::int64_t row = 0; row < result.rows; ++row) {
      const std::int64_t h = row % out.padded[2];
      const std::int64_t c = row / out.padded[2] % out.padded[1];
      const std::int64_t n = row / out.padded[2] / out.padded[1];
      const std::int64_t source =
          ((n + begin[0]) * from[1] + c + begin[1]) * from[2] + h + begin[2];
      std::copy_n(values.row(source).begin() + begin[3], out.padded[3], result.row(row).begin());
    }
    return result;
  };
  return run(name, program_key(describe(begin), describe(end)), {operand}, out,
             copy_buffers(operand.spec, card()), compute);
}

shim::Heads EmulatedApi::nlp_create_qkv_heads(const Tensor& x, const Tensor* kv, int num_q_heads,
                                              int num_kv_heads, Placement placement) {
  const std::string name = "ttnn.experimental.nlp_create_qkv_heads";
  std::vector<Operand> operands{machine_->operand(x, name)};
  if (kv != nullptr) operands.push_back(machine_->operand(*kv, name));
  const TensorSpec& spec = operands[0].spec;
  check_create_heads(spec, kv == nullptr ? nullptr : &operands[1].spec, num_q_heads, num_kv_heads);
  const std::int64_t head_dim =
      spec.shape[3] / (kv == nullptr ? num_q_heads + 2 * num_kv_heads : num_q_heads);
  const auto heads = [&](int count) {
    TensorSpec out = make_spec({spec.shape[0], count, spec.shape[2], head_dim}, spec.dtype,
                               Layout::kTile, placement);
    return machine_->allocate(out, name);
  };
  shim::Heads result{heads(num_q_heads), heads(num_kv_heads), heads(num_kv_heads)};
  std::vector<Operand> to;
  for (const Tensor* part : {&result.q, &result.k, &result.v}) {
    to.push_back(machine_->operand(*part, name));
  }
  const auto compute = [operands, to, head_dim] {
    const Matrix first = read(operands[0]);
    const Matrix second = operands.size() > 1 ? read(operands[1]) : Matrix();
    const Matrix* from = &first;
    std::int64_t column = 0;
    for (const Operand& part : to) {
      if (&part != to.data() && operands.size() > 1 && from == &first) {
        from = &second;
        column = 0;
      }
      const Shape4& padded = part.spec.padded;
      Matrix out = matrix_of(part.spec);
      for (std::int64_t row = 0; row < out.rows; ++row) {
        const std::int64_t t = row % padded[2];
        const std::int64_t head = row / padded[2] % padded[1];
        const std::int64_t n = row / padded[2] / padded[1];
        std::copy_n(from->row(n * padded[2] + t).begin() + column + head * head_dim, head_dim,
                    out.row(row).begin());
      }
      column += padded[1] * head_dim;
      write(part, out);
    }
  };
  machine_->run({name, program_key(num_q_heads, num_kv_heads), operands, to,
                 create_heads_buffers(spec), compute});
  return result;
}

Tensor EmulatedApi::nlp_concat_heads(const Tensor& x, Placement placement) {
  const std::string name = "ttnn.experimental.nlp_concat_heads";
  const Operand operand = machine_->operand(x, name);
  check_concat_heads(operand.spec);
  const Shape4& s = operand.spec.shape;
  const TensorSpec out =
      make_spec({s[0], 1, s[2], s[1] * s[3]}, operand.spec.dtype, Layout::kTile, placement);
  const auto compute = [out](const std::vector<Operand>& in) {
    const Shape4& padded = in[0].spec.padded;
    const Matrix values = read(in[0]);
    Matrix result = matrix_of(out);
    for (std::int64_t row = 0; row < values.rows; ++row) {
      const std::int64_t t = row % padded[2];
      const std::int64_t head = row / padded[2] % padded[1];
      const std::int64_t n = row / padded[2] / padded[1];
      std::copy_n(values.row(row).begin(), padded[3],
                  result.row(n * padded[2] + t).begin() + head * padded[3]);
    }
    return result;
  };
  return run(name, "", {operand}, out, concat_heads_buffers(operand.spec), compute);
}

}  // namespace pi0::emulated
