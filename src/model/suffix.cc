#include "model/suffix.h"

#include <cmath>
#include <cstring>
#include <numbers>

namespace pi0 {
namespace {

// Columns [begin, begin + count) of a matrix [rows, columns], copied.
HostTensor columns(const HostTensor& matrix, std::int64_t begin, std::int64_t count) {
  const std::size_t size = size_of(matrix.dtype);
  const std::int64_t rows = matrix.shape[0];
  if (matrix.data == nullptr) return {matrix.name, matrix.dtype, {rows, count}, nullptr, nullptr};
  auto bytes =
      std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(rows * count) * size);
  for (std::int64_t row = 0; row < rows; ++row) {
    std::memcpy(bytes->data() + static_cast<std::size_t>(row * count) * size,
                matrix.data + static_cast<std::size_t>(row * matrix.shape[1] + begin) * size,
                static_cast<std::size_t>(count) * size);
  }
  return {matrix.name, matrix.dtype, {rows, count}, bytes->data(), bytes};
}

}  // namespace

std::vector<float> time_embedding(float t, int width, double min_period, double max_period) {
  const int half = width / 2;
  std::vector<float> embedding(static_cast<std::size_t>(width));
  for (int i = 0; i < half; ++i) {
    const double fraction = half == 1 ? 0.0 : static_cast<double>(i) / (half - 1);
    const double period = min_period * std::pow(max_period / min_period, fraction);
    const double angle = 1.0 / period * 2.0 * std::numbers::pi * static_cast<double>(t);
    embedding[i] = static_cast<float>(std::sin(angle));
    embedding[half + i] = static_cast<float>(std::cos(angle));
  }
  return embedding;
}

Suffix::Suffix(const ModelConfig& config, const Loader& loader)
    : kind_(config.kind),
      width_(config.expert.width),
      min_period_(config.min_period),
      max_period_(config.max_period) {
  action_in_ = loader.end_linear("action_in_proj");
  if (kind_ == ModelKind::kPi05) {
    time_in_ = loader.end_linear("time_mlp_in");
    mlp_out_ = loader.end_linear("time_mlp_out");
    return;
  }
  state_ = loader.end_linear("state_proj");
  // action_time_mlp_in reads [action, time]: the time's half is the same for every action.
  const HostTensor weight = loader.tensor("action_time_mlp_in.weight");
  const HostTensor bias = loader.tensor("action_time_mlp_in.bias");
  mlp_actions_ = loader.device().prepare_linear(columns(weight, 0, width_), nullptr, nullptr,
                                                WeightPrecision::kWide);
  time_in_ = loader.device().prepare_linear(columns(weight, width_, width_), &bias, nullptr,
                                            WeightPrecision::kWide);
  mlp_out_ = loader.end_linear("action_time_mlp_out");
}

Tensor Suffix::time(Device& device, float t) const {
  return device.upload({1, width_}, time_embedding(t, width_, min_period_, max_period_));
}

Tensor Suffix::time_row(Device& device, float t) const {
  return device.linear(time(device, t), *time_in_);
}

Tensor Suffix::condition(Device& device, float t) const {
  return device.linear(device.linear(time(device, t), *time_in_, Activation::kSilu), *mlp_out_,
                       Activation::kSilu);
}

Tensor Suffix::embed_state(Device& device, const Tensor& state) const {
  return device.linear(state, *state_);
}

Tensor Suffix::embed_actions(Device& device, const Tensor& x_t, const Tensor& time_row) const {
  Tensor actions = device.linear(x_t, *action_in_);
  if (kind_ == ModelKind::kPi05) return actions;
  return device.linear(device.linear(actions, *mlp_actions_, Activation::kSilu, &time_row),
                       *mlp_out_);
}

}  // namespace pi0
