#include "device/ttnn/emulated/emulated_shim.h"

#include <fmt/format.h>

#include <algorithm>

#include "device/ttnn/emulated/api.h"
#include "device/ttnn/emulated/rules.h"
#include "pi0/error.h"

namespace pi0 {
namespace emulated {
namespace {

using shim::Shape4;
using shim::TensorSpec;
using shim::volume;

// Logical values among padded ones, row by row: calls f(logical row, padded row).
template <typename F>
void for_each_row(const TensorSpec& spec, F f) {
  const std::int64_t batches = spec.shape[0] * spec.shape[1];
  for (std::int64_t b = 0; b < batches; ++b) {
    for (std::int64_t r = 0; r < spec.shape[2]; ++r) {
      f(b * spec.shape[2] + r, b * spec.padded[2] + r);
    }
  }
}

// From the host, with zeros for padding.
void fill(Values& stored, const TensorSpec& spec, std::span<const float> values) {
  const auto width = static_cast<std::size_t>(spec.shape[3]);
  std::vector<float> row(static_cast<std::size_t>(spec.padded[3]));
  for (std::int64_t r = 0; r < stored.rows(); ++r) stored.write(r, row);
  for_each_row(spec, [&](std::int64_t from, std::int64_t to) {
    std::copy_n(values.begin() + from * spec.shape[3], width, row.begin());
    stored.write(to, row);
  });
}

void check_count(std::span<const float> values, const TensorSpec& spec,
                 const std::string& operation) {
  require(static_cast<std::int64_t>(values.size()) == volume(spec.shape), operation,
          fmt::format("{} values for {}", values.size(), describe(spec)));
}

}  // namespace

Matrix read(const Operand& operand) {
  Matrix matrix;
  matrix.rows = operand.rows();
  matrix.columns = operand.width();
  matrix.values = operand.contents->values().read_all();
  return matrix;
}

void write(const Operand& operand, Matrix values) {
  Values& stored = operand.contents->values();
  if (stored.dtype() == shim::DataType::kBfloat16) {
    for (float& value : values.values) value = round_away_to_bfloat16(value);
  }
  stored.write(0, values.values);
}

std::string program_key(const shim::ComputeKernelConfig& compute) {
  return program_key(shim::name_of(compute.math_fidelity), compute.math_approx_mode,
                     compute.fp32_dest_acc_en, compute.packer_l1_acc);
}

shim::Tensor EmulatedApi::to_device(std::span<const float> values, const Shape4& shape,
                                    shim::DataType dtype, shim::Layout layout,
                                    Placement placement) {
  const std::string name = "ttnn.to_device";
  const TensorSpec spec = make_spec(shape, dtype, layout, placement);
  check_to_device(spec);
  if (!values.empty()) check_count(values, spec, name);
  Tensor tensor = machine_->allocate(spec, name);
  std::function<void(Values&)> put;
  if (!values.empty()) put = [&](Values& stored) { fill(stored, spec, values); };
  machine_->write_from_host(machine_->operand(tensor, name), 0, put, name);
  return tensor;
}

void EmulatedApi::copy_to_device(std::span<const float> values, const Tensor& tensor, int queue) {
  const std::string name = "ttnn.copy_host_to_device_tensor";
  const Operand operand = machine_->operand(tensor, name);
  check_count(values, operand.spec, name);
  machine_->write_from_host(
      operand, queue, [&](Values& stored) { fill(stored, operand.spec, values); }, name);
}

std::vector<float> EmulatedApi::to_host(const Tensor& tensor) {
  const std::string name = "ttnn.to_host";
  const Operand operand = machine_->operand(tensor, name);
  machine_->read_to_host(operand, name);
  const TensorSpec& spec = operand.spec;
  std::vector<float> values(static_cast<std::size_t>(volume(spec.shape)));
  if (!machine_->arithmetic()) return values;
  std::vector<float> row(static_cast<std::size_t>(spec.padded[3]));
  for_each_row(spec, [&](std::int64_t to, std::int64_t from) {
    operand.contents->values().read(from, row);
    std::copy_n(row.begin(), spec.shape[3], values.begin() + to * spec.shape[3]);
  });
  return values;
}

}  // namespace emulated

std::unique_ptr<shim::Api> make_emulated_shim(const Card& card, bool arithmetic) {
  return std::make_unique<emulated::EmulatedApi>(card, arithmetic);
}

}  // namespace pi0
