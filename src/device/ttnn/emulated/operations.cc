// Operations that compute.
#include <algorithm>

#include "device/ttnn/emulated/api.h"
#include "device/ttnn/emulated/programs.h"
#include "device/ttnn/emulated/rules.h"

namespace pi0::emulated {
namespace {

using shim::DataType;
using shim::Shape4;
using shim::Tensor;
using shim::TensorSpec;

std::string config_key(const shim::MatmulProgramConfig& c) {
  return program_key(c.one_dimension, c.grid.x, c.grid.y, c.in0_block_w, c.out_subblock_h,
                     c.out_subblock_w, c.out_block_h, c.out_block_w, c.per_core_M, c.per_core_N);
}

}  // namespace

Tensor EmulatedApi::linear(const Tensor& a, const Tensor& weight, const Tensor* bias,
                           const shim::LinearOptions& options) {
  const std::string name = "ttnn.linear";
  std::vector<Operand> operands{machine_->operand(a, name), machine_->operand(weight, name)};
  if (bias != nullptr) operands.push_back(machine_->operand(*bias, name));
  const TensorSpec& x = operands[0].spec;
  const TensorSpec& w = operands[1].spec;
  const TensorSpec* b = bias == nullptr ? nullptr : &operands[2].spec;
  check_linear(x, w, b, options, card());
  TensorSpec out = x;
  out.shape[3] = w.shape[3];
  out.padded[3] = w.padded[3];
  out.dtype = options.dtype;
  out.placement = options.placement;
  const shim::ComputeKernelConfig config = options.compute;
  const shim::Unary activation = options.activation;
  // Without a bias the last block of the inner dimension is added to what the others came to.
  const std::int64_t reloaded =
      bias == nullptr ? options.program_config.in0_block_w * shim::kTile : 0;
  const auto compute = [config, activation, reloaded](const std::vector<Operand>& in) {
    Matrix input = read(in[0]);
    // The reader clears what lies beyond the logical width in the last tile (in0_last_ktile_w).
    for (std::int64_t r = 0; r < input.rows; ++r) {
      const auto row = input.row(r);
      std::fill(row.begin() + in[0].spec.shape[3], row.end(), 0.0f);
    }
    Matrix result = pi0::emulated::multiply(input, read(in[1]), config, reloaded);
    const Matrix bias_rows = in.size() > 2 ? read(in[2]) : Matrix();
    for (std::int64_t r = 0; r < result.rows; ++r) {
      const auto row = result.row(r);
      for (std::size_t j = 0; j < row.size(); ++j) {
        // The sums come back from L1 through the unpacker to meet the bias.
        if (in.size() > 2) {
          row[j] = added(row[j], bias_rows.values[j], config.fp32_dest_acc_en);
        }
        if (activation != shim::Unary::kNone) row[j] = apply(activation, row[j]);
      }
    }
    return result;
  };
  const std::string key =
      config_key(options.program_config) + program_key(config) + shim::name_of(activation);
  const std::int64_t buffers = linear_buffers(x, w, b, options);
  return run(name, key, std::move(operands), out, buffers, compute);
}

Tensor EmulatedApi::norm(const std::string& operation, const Tensor& x, const Tensor& weight,
                         const Tensor* bias, const shim::NormOptions& options, bool centred) {
  std::vector<Operand> operands{machine_->operand(x, operation),
                                machine_->operand(weight, operation)};
  if (bias != nullptr) operands.push_back(machine_->operand(*bias, operation));
  const TensorSpec& in_spec = operands[0].spec;
  const TensorSpec* bias_spec = bias == nullptr ? nullptr : &operands[2].spec;
  check_norm(in_spec, operands[1].spec, bias_spec, operation);
  TensorSpec out = in_spec;
  out.placement = options.placement;
  const shim::ComputeKernelConfig config = options.compute;
  const float epsilon = options.epsilon;
  // A sum that is to be exact in fp32 tells Wormhole's matrix unit that SrcA is Float32
  // (_llk_math_reduce_init_), of which it takes the bits of bfloat16; Blackhole's goes by what was
  // unpacked.
  const int summed_bits = card().arch == "wormhole_b0" ? 7 : 9;
  const auto compute = [config, epsilon, centred, summed_bits](const std::vector<Operand>& in) {
    Matrix result = read(in[0]);
    const Matrix weights = read(in[1]);
    const Matrix biases = in.size() > 2 ? read(in[2]) : Matrix();
    for (std::int64_t r = 0; r < result.rows; ++r) {
      normalise(result.row(r), in[0].spec.shape[3], centred, weights.row(0),
                in.size() > 2 ? biases.row(0) : std::span<const float>(), epsilon, summed_bits,
                config);
    }
    return result;
  };
  const std::int64_t buffers =
      norm_buffers(in_spec, operands[1].spec, bias_spec, centred, config, card());
  return run(operation, program_key(config) + program_key(epsilon), std::move(operands), out,
             buffers, compute);
}

Tensor EmulatedApi::layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias,
                               const shim::NormOptions& options) {
  return norm("ttnn.layer_norm", x, weight, &bias, options, true);
}

Tensor EmulatedApi::rms_norm(const Tensor& x, const Tensor& weight, const Tensor* bias,
                             const shim::NormOptions& options) {
  return norm("ttnn.rms_norm", x, weight, bias, options, false);
}

// The vector unit multiplies, and adds where both are float32: exactly. Other sums go through the
// matrix unit, which sees tf32. A number is a bfloat16 unless `a` is float32.
Tensor EmulatedApi::binary(Binary operation, const Tensor& a, const Tensor* b, float number,
                           const shim::BinaryOptions& options) {
  const bool adds = operation == Binary::kAdd;
  const std::string name = adds ? "ttnn.add" : "ttnn.multiply";
  std::vector<Operand> operands{machine_->operand(a, name)};
  if (b != nullptr) operands.push_back(machine_->operand(*b, name));
  const TensorSpec& left = operands[0].spec;
  const TensorSpec* right = b == nullptr ? nullptr : &operands[1].spec;
  check_binary(left, right, options, name);

  const bool fp32 = left.dtype == DataType::kFloat32;
  const bool exact = !adds || (fp32 && (right == nullptr || right->dtype == DataType::kFloat32));
  const bool wide = fp32 || options.dtype == DataType::kFloat32 ||
                    (right != nullptr && right->dtype == DataType::kFloat32);
  if (!fp32) number = round_to_bfloat16(number);
  const shim::Unary activation = options.lhs_activation;
  const auto compute = [=](const std::vector<Operand>& in) {
    Matrix result = read(in[0]);
    const Matrix other = in.size() > 1 ? read(in[1]) : Matrix();
    const Shape4& shape = in[0].spec.padded;
    for (std::int64_t r = 0; r < result.rows; ++r) {
      const auto row = result.row(r);
      const float* values = nullptr;
      if (in.size() > 1) {
        const TensorSpec& spec = in[1].spec;
        const bool one_row = spec.shape[2] == 1 && in[0].spec.shape[2] > 1;
        const std::int64_t batch = spec.shape[0] == 1 ? 0 : r / shape[2] / shape[1];
        const std::int64_t c = r / shape[2] % shape[1];
        const std::int64_t h = one_row ? 0 : r % shape[2];
        values = other.row((batch * spec.padded[1] + c) * spec.padded[2] + h).data();
      }
      for (std::size_t j = 0; j < row.size(); ++j) {
        float x = apply(activation, row[j]);
        if (activation != shim::Unary::kNone && !fp32) x = round_to_bfloat16(x);
        const float y = values == nullptr ? number : values[j];
        row[j] = exact ? (adds ? x + y : x * y) : added(x, y, wide);
        if (exact && !wide) row[j] = round_to_bfloat16(row[j]);  // as the vector unit stores it
      }
    }
    return result;
  };

  TensorSpec out = left;
  out.dtype = options.dtype;
  out.placement = options.placement;
  const std::string key =
      program_key(b == nullptr ? std::to_string(number) : "", shim::name_of(activation));
  if (options.output == nullptr) {
    const std::int64_t buffers = binary_buffers(left, right, out, options);
    return run(name, key, std::move(operands), out, buffers, compute);
  }
  const Operand to = machine_->operand(*options.output, name);
  const std::int64_t buffers = binary_buffers(left, right, to.spec, options);
  machine_->run({name, key, operands, {to}, buffers, [operands, to, compute] {
                   write(to, compute(operands));
                 }});
  return *options.output;
}

Tensor EmulatedApi::add(const Tensor& a, const Tensor& b, const shim::BinaryOptions& options) {
  return binary(Binary::kAdd, a, &b, 0, options);
}
Tensor EmulatedApi::add(const Tensor& a, float b, const shim::BinaryOptions& options) {
  return binary(Binary::kAdd, a, nullptr, b, options);
}
Tensor EmulatedApi::multiply(const Tensor& a, const Tensor& b, const shim::BinaryOptions& options) {
  return binary(Binary::kMultiply, a, &b, 0, options);
}
Tensor EmulatedApi::multiply(const Tensor& a, float b, const shim::BinaryOptions& options) {
  return binary(Binary::kMultiply, a, nullptr, b, options);
}

Tensor EmulatedApi::rotary_embedding(const Tensor& x, const Tensor& cos, const Tensor& sin,
                                     Placement placement, const shim::ComputeKernelConfig& config) {
  const std::string name = "ttnn.experimental.rotary_embedding";
  std::vector<Operand> operands{machine_->operand(x, name), machine_->operand(cos, name),
                                machine_->operand(sin, name)};
  const TensorSpec& spec = operands[0].spec;
  const TensorSpec table = operands[1].spec;
  check_rotary(spec, table, operands[2].spec);
  TensorSpec out = spec;
  out.shape = spec.padded;
  out.placement = placement;
  // Both products are stored, in the type of the tables, before they are added.
  const bool rounded = table.dtype != DataType::kFloat32;
  // TTNN 0.71.2 gives the configuration to the cores with less to do alone; the others, all where
  // the rows of tiles divide evenly, take HiFi4 in a destination of 16 bits. Not with one tile of
  // columns, which is another program (rotary_embedding_program_factory.cpp).
  shim::ComputeKernelConfig first = config;
  const std::int64_t tiles = shim::volume(spec.padded) / spec.padded[3] / shim::kTile,
                     cores = card().cores();
  const std::int64_t more =
      tiles <= cores || tiles % cores == 0 ? tiles : tiles % cores * (tiles / cores + 1);
  if (spec.padded[3] > shim::kTile) {
    first.math_fidelity = shim::MathFidelity::kHiFi4;
    first.fp32_dest_acc_en = false;
  }
  const auto compute = [config, first, more, rounded](const std::vector<Operand>& in) {
    Matrix result = read(in[0]);
    const Matrix cosines = read(in[1]);
    const Matrix sines = read(in[2]);
    const auto keep = [&](float v) { return rounded ? round_away_to_bfloat16(v) : v; };
    const auto half = static_cast<std::size_t>(result.columns / 2);
    std::vector<float> turned(2 * half);
    for (std::int64_t r = 0; r < result.rows; ++r) {
      const auto row = result.row(r);
      const auto c = cosines.row(r % in[0].spec.padded[2]);
      const auto s = sines.row(r % in[0].spec.padded[2]);
      for (std::size_t j = 0; j < half; ++j) {
        turned[j] = -row[half + j];
        turned[half + j] = row[j];
      }
      const shim::ComputeKernelConfig& used = r / shim::kTile < more ? first : config;
      for (std::size_t j = 0; j < row.size(); ++j) {
        row[j] = added(keep(product(row[j], c[j], used)), keep(product(turned[j], s[j], used)),
                       used.fp32_dest_acc_en);
      }
    }
    return result;
  };
  const std::int64_t buffers = rotary_buffers(spec, table);
  return run(name, program_key(config), std::move(operands), out, buffers, compute);
}

Tensor EmulatedApi::scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                                 const Tensor* mask,
                                                 const shim::SdpaOptions& options) {
  const std::string name = "ttnn.transformer.scaled_dot_product_attention";
  std::vector<Operand> operands{machine_->operand(q, name), machine_->operand(k, name),
                                machine_->operand(v, name)};
  if (mask != nullptr) operands.push_back(machine_->operand(*mask, name));
  const TensorSpec& spec = operands[0].spec;
  const TensorSpec* mask_spec = mask == nullptr ? nullptr : &operands[3].spec;
  check_sdpa(spec, operands[1].spec, operands[2].spec, mask_spec, options, card());

  // The kernel scales in the exponent, after the mask has been added, so TTNN divides the mask by
  // the scale first: one more operation and, while it lasts, one more tensor.
  Tensor divided;
  if (mask != nullptr && options.scale != 1.0f) {
    shim::BinaryOptions divide;
    divide.dtype = mask_spec->dtype;
    divide.placement = mask_spec->placement;
    divided = multiply(*mask, 1.0f / options.scale, divide);
    operands[3] = machine_->operand(divided, name);
  }

  TensorSpec out = spec;
  out.placement = options.placement;
  Attention attention;
  attention.scale = options.scale;
  attention.keys = operands[1].spec.shape[2];
  attention.k_chunk = options.k_chunk_size;
  attention.compute = options.compute;
  const auto compute = [attention](const std::vector<Operand>& in) {
    const auto head_of = [](const Matrix& all, std::int64_t index, std::int64_t rows) {
      Matrix head(rows, all.columns);
      std::copy_n(all.values.begin() + index * rows * all.columns, rows * all.columns,
                  head.values.begin());
      return head;
    };
    const Shape4& qs = in[0].spec.padded;
    const Shape4& ks = in[1].spec.padded;
    const Matrix queries = read(in[0]);
    const Matrix keys = read(in[1]);
    const Matrix values = read(in[2]);
    const Matrix masks = in.size() > 3 ? read(in[3]) : Matrix();
    Matrix result(queries.rows, queries.columns);
    for (std::int64_t b = 0; b < qs[0]; ++b) {
      for (std::int64_t h = 0; h < qs[1]; ++h) {
        const std::int64_t kv = b * ks[1] + h * ks[1] / qs[1];
        Attention one = attention;
        Matrix mask_of_head;
        if (in.size() > 3) {
          const Shape4& ms = in[3].spec.padded;
          mask_of_head = head_of(masks, (ms[0] == 1 ? 0 : b) * ms[1] + (ms[1] == 1 ? 0 : h), ms[2]);
          one.mask = &mask_of_head;
        }
        const Matrix head = attend(head_of(queries, b * qs[1] + h, qs[2]), head_of(keys, kv, ks[2]),
                                   head_of(values, kv, ks[2]), one);
        std::copy(head.values.begin(), head.values.end(),
                  result.values.begin() + (b * qs[1] + h) * qs[2] * qs[3]);
      }
    }
    return result;
  };
  const std::string key =
      program_key(options.scale, options.grid.x, options.grid.y, options.q_chunk_size,
                  options.k_chunk_size, options.exp_approx_mode) +
      program_key(options.compute);
  const std::int64_t buffers = sdpa_buffers(spec, operands[1].spec, mask_spec, options);
  return run(name, key, std::move(operands), out, buffers, compute);
}

}  // namespace pi0::emulated
