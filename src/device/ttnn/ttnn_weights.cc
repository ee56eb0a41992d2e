#include <cmath>

#include "device/ttnn/ttnn_device.h"

namespace pi0::ttnn {

using shim::DataType;
using shim::Layout;
using shim::Placement;
using shim::Shape4;

namespace {

std::vector<float> values_of(const HostTensor& tensor) {
  return tensor.data == nullptr ? std::vector<float>() : tensor.to_floats();
}

}  // namespace

std::unique_ptr<LinearWeights> TtnnDevice::prepare_linear(const HostTensor& weight,
                                                          const HostTensor* bias,
                                                          const HeadShape* joined,
                                                          WeightPrecision) {
  const std::int64_t outputs = weight.shape[0];
  const std::int64_t inputs = weight.shape[1];
  const bool large = joined != nullptr || outputs * inputs >= policies_.large_linear;
  const IndexMap in = joined == nullptr ? in_order(inputs)
                                        : in_heads(joined->num_heads,
                                                   head_layout(joined->head_dim, joined->rotary));
  return std::make_unique<Linear>(make_linear(
      weight, bias, in, in_order(outputs), large ? MathRole::kProjection : MathRole::kSmallLinear));
}

// 1 + scale is what the norm multiplies by: the 1 joins the bias.
std::unique_ptr<LinearWeights> TtnnDevice::prepare_modulation(const HostTensor& weight,
                                                              const HostTensor& bias) {
  const std::int64_t width = weight.shape[0] / 3;
  const IndexMap thirds = in_thirds(width);
  PackedMatrix matrix(weight.shape[1], thirds.size);
  matrix.place(weight, in_order(weight.shape[1]), thirds);
  PackedMatrix row(1, thirds.size);
  row.place_row(bias, thirds);
  if (!row.values().empty()) {
    for (std::int64_t i = 0; i < width; ++i) row.values()[i] += 1;
  }
  return std::make_unique<Linear>(put_linear(matrix, &row, MathRole::kSmallLinear));
}

std::unique_ptr<NormWeights> TtnnDevice::prepare_layer_norm(const HostTensor& weight,
                                                            const HostTensor& bias) {
  auto norm = std::make_unique<Norm>();
  norm->weight = put_row(weight, policies_.of(MathRole::kNorm).weights);
  norm->bias = put_row(bias, policies_.of(MathRole::kNorm).weights);
  return norm;
}

std::unique_ptr<NormWeights> TtnnDevice::prepare_rms_norm(const HostTensor& weight) {
  auto norm = std::make_unique<Norm>();
  std::vector<float> values = values_of(weight);
  for (float& value : values) value += 1;
  norm->weight = put(values, {1, 1, 1, weight.shape[0]}, policies_.of(MathRole::kNorm).weights);
  return norm;
}

std::unique_ptr<PatchEmbeddingWeights> TtnnDevice::prepare_patch_embedding(
    const HostTensor& weight, const HostTensor& bias, const HostTensor& positions) {
  auto embedding = std::make_unique<PatchEmbedding>();
  const std::int64_t width = weight.shape[0];
  embedding->patch = static_cast<int>(weight.shape[2]);
  embedding->linear.role = MathRole::kPatchEmbedding;
  embedding->linear.weight =
      put(pack_patches(weight), {1, 1, weight.shape[2] * weight.shape[3] * 3, width},
          policies_.of(MathRole::kPatchEmbedding).weights);
  embedding->linear.bias = put_row(bias, DataType::kBfloat16);
  embedding->positions =
      put(values_of(positions), {1, 1, positions.shape[0], width}, DataType::kBfloat16);
  return embedding;
}

std::unique_ptr<QkvWeights> TtnnDevice::prepare_qkv(const QkvSource& source) {
  auto weights = std::make_unique<QkvProjection>();
  const HeadShape& heads = source.heads;
  weights->heads = heads;
  weights->layout = head_layout(heads.head_dim, heads.rotary);
  weights->has_queries = source.q.has_value();
  const IndexMap queries = in_heads(source.q ? heads.num_heads : 0, weights->layout);
  const IndexMap others = in_heads(heads.num_kv_heads, weights->layout);
  const IndexMap in = in_order(source.k.shape[1]);
  const std::int64_t outputs = queries.size + 2 * others.size;
  PackedMatrix matrix(in.size, outputs);
  PackedMatrix row(1, outputs);
  // The attention scale joins the queries' weights, so that SDPA need not scale its mask.
  const float scale = 1.0f / std::sqrt(static_cast<float>(heads.head_dim));
  if (source.q) matrix.place(*source.q, in, queries, 0, scale);
  matrix.place(source.k, in, others, queries.size);
  matrix.place(source.v, in, others, queries.size + others.size);
  const bool bias = source.k_bias.has_value();
  if (bias) {
    if (source.q) row.place_row(*source.q_bias, queries, 0, scale);
    row.place_row(*source.k_bias, others, queries.size);
    row.place_row(*source.v_bias, others, queries.size + others.size);
  }
  weights->linear = put_linear(matrix, bias ? &row : nullptr,
                               heads.rotary ? MathRole::kProjection : MathRole::kVisionQkv);
  return weights;
}

std::unique_ptr<GatedMlpWeights> TtnnDevice::prepare_gated_mlp(const HostTensor& gate,
                                                               const HostTensor& up,
                                                               const HostTensor& down,
                                                               WeightPrecision precision) {
  const MathRole role =
      precision == WeightPrecision::kCoarse ? MathRole::kCoarse : MathRole::kExpertMlp;
  auto mlp = std::make_unique<GatedMlp>();
  const std::int64_t hidden = gate.shape[0];
  const std::int64_t width = gate.shape[1];
  const std::int64_t parts = hidden_parts(hidden);
  const std::int64_t part = hidden / parts;
  // Rows [begin, begin + part) of a matrix, without a copy.
  const auto rows = [&](const HostTensor& matrix, std::int64_t begin) {
    HostTensor view = matrix;
    view.shape[0] = part;
    if (view.data != nullptr) {
      view.data += static_cast<std::size_t>(begin * width) * size_of(view.dtype);
    }
    return view;
  };
  for (std::int64_t begin = 0; begin < hidden; begin += part) {
    GatedMlp::Part made;
    made.gate = make_linear(rows(gate, begin), nullptr, in_order(width), in_order(part), role);
    made.up = make_linear(rows(up, begin), nullptr, in_order(width), in_order(part), role);
    PackedMatrix matrix(part, down.shape[0]);
    matrix.place_columns(down, begin);
    made.down = put_linear(matrix, nullptr, role);
    mlp->parts.push_back(std::move(made));
  }
  return mlp;
}

shim::Tensor TtnnDevice::put(std::span<const float> values, const Shape4& shape, DataType type) {
  forget_traces();
  return api_->to_device(values, shape, type, Layout::kTile, Placement::kDram);
}

shim::Tensor TtnnDevice::put_row(const HostTensor& tensor, DataType type) {
  return put(values_of(tensor), {1, 1, 1, tensor.shape[0]}, type);
}

Linear TtnnDevice::put_linear(PackedMatrix& matrix, PackedMatrix* bias, MathRole role) {
  Linear linear;
  linear.role = role;
  // bfloat4_b has fewer bits than LoFi takes, and rounding twice would be worse.
  if (policies_.of(role).compute.math_fidelity == shim::MathFidelity::kLoFi &&
      policies_.of(role).weights != DataType::kBfloat4B) {
    round_to_lofi(matrix.values());
  }
  linear.weight =
      put(matrix.values(), {1, 1, matrix.inputs(), matrix.outputs()}, policies_.of(role).weights);
  if (bias != nullptr) {
    linear.bias = put(bias->values(), {1, 1, 1, bias->outputs()}, DataType::kBfloat16);
  }
  return linear;
}

Linear TtnnDevice::make_linear(const HostTensor& weight, const HostTensor* bias, const IndexMap& in,
                               const IndexMap& out, MathRole role) {
  PackedMatrix matrix(in.size, out.size);
  matrix.place(weight, in, out);
  if (bias == nullptr) return put_linear(matrix, nullptr, role);
  PackedMatrix row(1, out.size);
  row.place_row(*bias, out);
  return put_linear(matrix, &row, role);
}

std::int64_t TtnnDevice::hidden_parts(std::int64_t width) const {
  std::int64_t parts = 1;
  while (width % (2 * parts * shim::kTile) == 0 &&
         l1_bytes_per_core({1, 1, policies_.planned_rows, width / parts}, DataType::kBfloat16,
                           api_->card()) > policies_.of(TensorRole::kHidden).l1_limit) {
    parts *= 2;
  }
  return parts;
}

}  // namespace pi0::ttnn
