#include <cassert>

#include "device/ttnn/config/matmul_config.h"
#include "device/ttnn/ttnn_device.h"

namespace pi0::ttnn {

using shim::DataType;
using shim::Layout;
using shim::Placement;
using shim::Shape4;
using shim::Unary;

namespace {

Unary unary(Activation activation) {
  switch (activation) {
    case Activation::kGelu:
      return Unary::kGelu;
    case Activation::kSilu:
      return Unary::kSilu;
    case Activation::kNone:
      break;
  }
  return Unary::kNone;
}

shim::BinaryOptions in_place(const shim::Tensor& output) {
  return {.dtype = output.spec().dtype,
          .placement = output.spec().placement,
          .lhs_activation = Unary::kNone,
          .output = &output};
}

}  // namespace

Tensor TtnnDevice::patch_embedding(const Tensor& images, const PatchEmbeddingWeights& weights) {
  const auto& embedding = static_cast<const PatchEmbedding&>(weights);
  assert(images.as<Stored>().patch == embedding.patch);
  shim::Tensor x = api_->fold(operand(images), embedding.patch, 1);  // [b, side, side, 3 patch²]
  const auto [batch, rows, columns, pixels] = x.shape();
  const Shape4 flat{batch, 1, rows * columns, pixels};
  x = api_->view(x, flat, flat);
  x = api_->to_layout(x, Layout::kTile, place(TensorRole::kNormed, flat));
  x = multiply(x, embedding.linear, &embedding.linear.bias, Unary::kNone, TensorRole::kResidual);
  const Shape positions{batch * rows * columns, x.shape()[3]};
  return stored(positions, api_->add(x, embedding.positions, in_place(x)));
}

Tensor TtnnDevice::layer_norm(const Tensor& x, const NormWeights& weights, float eps) {
  const auto& norm = static_cast<const Norm&>(weights);
  const shim::Tensor& in = operand(x);
  return stored_rows(x, x.shape(),
                     api_->layer_norm(in, norm.weight, norm.bias, norm_options(in, eps)));
}

Tensor TtnnDevice::rms_norm(const Tensor& x, const NormWeights& weights, float eps) {
  const shim::Tensor& in = operand(x);
  return stored_rows(
      x, x.shape(),
      api_->rms_norm(in, static_cast<const Norm&>(weights).weight, nullptr, norm_options(in, eps)));
}

Tensor TtnnDevice::rms_norm(const Tensor& x, const Modulation& modulation, float eps) {
  const shim::Tensor& in = operand(x);
  assert(modulation.scale.as<Stored>().offset == 1);
  return stored_rows(x, x.shape(),
                     api_->rms_norm(in, operand(modulation.scale), &operand(modulation.shift),
                                    norm_options(in, eps)));
}

Tensor TtnnDevice::linear(const Tensor& x, const LinearWeights& weights, Activation activation,
                          const Tensor* row, Precision precision) {
  const auto& linear = static_cast<const Linear&>(weights);
  shim::Tensor bias = linear.bias;
  if (row != nullptr) {
    bias = bias ? api_->add(bias, operand(*row), {.placement = Placement::kDram}) : operand(*row);
  }
  const bool exact = precision == Precision::kFp32;
  // A large one without an activation is the projector, whose rows each session keeps.
  const TensorRole role = activation == Activation::kGelu        ? TensorRole::kHidden
                          : exact                                ? TensorRole::kSmall
                          : linear.role == MathRole::kProjection ? TensorRole::kCache
                                                                 : TensorRole::kResidual;
  shim::Tensor y = multiply(operand(x), linear, bias ? &bias : nullptr, unary(activation), role,
                            exact ? DataType::kFloat32 : DataType::kBfloat16);
  const Shape shape{x.dim(0), y.shape()[3]};
  return stored_rows(x, shape, std::move(y));
}

Tensor TtnnDevice::linear_residual(const Tensor& x, const LinearWeights& weights, Tensor residual,
                                   const Tensor* gate) {
  const auto& linear = static_cast<const Linear&>(weights);
  return add_gated(multiply(operand(x), linear, linear.bias ? &linear.bias : nullptr, Unary::kNone,
                            TensorRole::kResidual),
                   std::move(residual), gate);
}

Tensor TtnnDevice::gated_mlp(const Tensor& x, const GatedMlpWeights& weights, Tensor residual,
                             const Tensor* gate) {
  const shim::Tensor& in = operand(x);
  for (const GatedMlp::Part& part : static_cast<const GatedMlp&>(weights).parts) {
    shim::Tensor hidden = multiply(in, part.gate, nullptr, Unary::kGelu, TensorRole::kHidden);
    {
      const shim::Tensor up = multiply(in, part.up, nullptr, Unary::kNone, TensorRole::kHidden);
      hidden = api_->multiply(hidden, up, in_place(hidden));
    }
    shim::Tensor y = multiply(hidden, part.down, nullptr, Unary::kNone, TensorRole::kResidual);
    hidden = {};
    residual = add_gated(std::move(y), std::move(residual), gate);
  }
  return residual;
}

Modulation TtnnDevice::modulation(const Tensor& condition, const LinearWeights& dense) {
  const auto& linear = static_cast<const Linear&>(dense);
  const shim::Tensor thirds =
      multiply(operand(condition), linear, &linear.bias, Unary::kNone, TensorRole::kWeights);
  const std::int64_t stride = thirds.shape()[3] / 3;
  const std::int64_t width = condition.dim(1);
  const auto third = [&](std::int64_t index) {
    return stored({1, width}, api_->slice(thirds, {0, 0, 0, index * stride},
                                          {1, 1, 1, index * stride + width}, Placement::kDram));
  };
  Modulation result{third(0), third(1), third(2)};
  result.scale.as<Stored>().offset = 1;
  return result;
}

// Products with ones and zeros, and sums with zeros, are exact.
Tensor TtnnDevice::choose_rows(const Tensor& a, const Tensor& rows_of_a, const Tensor& b,
                               const Tensor& rows_of_b) {
  const shim::Tensor& by_a = operand(rows_of_a);
  const DataType type = by_a.spec().dtype;
  const TensorRole role = type == DataType::kFloat32 ? TensorRole::kSmall : TensorRole::kNormed;
  const shim::BinaryOptions made{.dtype = type, .placement = place(role, by_a.shape(), type)};
  const shim::Tensor of_a = api_->multiply(by_a, operand(a), made);
  const shim::Tensor of_b = api_->multiply(operand(rows_of_b), operand(b), made);
  return stored(rows_of_a.shape(), api_->add(of_a, of_b, in_place(of_a)));
}

Tensor TtnnDevice::guided_velocity(const Tensor& x, const Tensor& v, const Tensor& target,
                                   const Tensor& weights, float t, float gain) {
  const shim::Tensor &from = operand(x), &by = operand(v);
  const shim::BinaryOptions fp32{
      .dtype = DataType::kFloat32,
      .placement = place(TensorRole::kSmall, from.shape(), DataType::kFloat32)};
  // -gain w (target - x + t v), then added to v.
  shim::Tensor error = api_->multiply(from, -1.0f, fp32);
  error = api_->add(error, operand(target), in_place(error));
  const shim::Tensor part = api_->multiply(by, t, fp32);
  error = api_->add(error, part, in_place(error));
  error = api_->multiply(error, operand(weights), in_place(error));
  error = api_->multiply(error, -gain, in_place(error));
  return stored(x.shape(), api_->add(by, error, in_place(error)));
}

Tensor TtnnDevice::euler_step(const Tensor& x, const Tensor& v, float dt) {
  const shim::Tensor& in = operand(x);
  const Placement placement = place(TensorRole::kSmall, in.shape(), DataType::kFloat32);
  const shim::Tensor change =
      api_->multiply(operand(v), dt, {.dtype = DataType::kFloat32, .placement = placement});
  return stored(x.shape(), api_->add(in, change, in_place(change)));
}

shim::Tensor TtnnDevice::multiply(const shim::Tensor& x, const Linear& linear,
                                  const shim::Tensor* bias, Unary activation, TensorRole result,
                                  DataType type) {
  const Shape4 shape{x.shape()[0], 1, x.shape()[2], linear.weight.shape()[3]};
  const Shape4& in = x.spec().padded;
  const PrecisionRow& precision = policies_.of(linear.role);
  const MatmulShape tiles{.rows = static_cast<int>(in[0] * in[2] / shim::kTile),
                          .inner = static_cast<int>(in[3] / shim::kTile),
                          .columns = static_cast<int>(linear.weight.spec().padded[3] / shim::kTile),
                          .in0_tile_bytes = tile_bytes(x.spec().dtype),
                          .in1_tile_bytes = tile_bytes(linear.weight.spec().dtype),
                          .out_tile_bytes = tile_bytes(type),
                          .fp32_dest_acc_en = precision.compute.fp32_dest_acc_en,
                          .bias = bias != nullptr};
  return api_->linear(
      x, linear.weight, bias,
      {.activation = activation,
       .dtype = type,
       .placement = place(result, shape, type),
       .program_config = matmul_config(tiles, api_->card(), policies_.circular_buffer_budget),
       .compute = precision.compute});
}

shim::NormOptions TtnnDevice::norm_options(const shim::Tensor& x, float eps) const {
  return {.epsilon = eps,
          .placement = place(TensorRole::kNormed, x.shape()),
          .compute = policies_.of(MathRole::kNorm).compute};
}

Tensor TtnnDevice::add_gated(shim::Tensor y, Tensor residual, const Tensor* gate) {
  if (gate != nullptr) y = api_->multiply(y, operand(*gate), in_place(y));
  Stored& stored = residual.as<Stored>();
  const shim::Tensor& x = operand(residual);
  if (x.shape() != y.shape()) y = api_->reshape(y, x.shape(), y.spec().placement);
  const bool own =
      !stored.input && x.buffer().use_count() == 1 && x.spec().dtype == DataType::kBfloat16;
  stored.tensor = api_->add(x, y, in_place(own ? x : y));
  stored.input = false;
  return residual;
}

}  // namespace pi0::ttnn
