#include "profile/matrices.h"

#include <algorithm>
#include <array>

#include "device/registry/registry.h"

namespace pi0 {
namespace {

double our_seconds(Device& device, const MatrixShape& shape) {
  std::vector<std::uint16_t> values(static_cast<std::size_t>(shape.depth * shape.columns));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = operand_bf16(static_cast<std::int64_t>(i));
  }
  const HostTensor weight{.name = shape.name,
                          .dtype = DType::kBF16,
                          .shape = {shape.columns, shape.depth},
                          .data = reinterpret_cast<const std::byte*>(values.data()),
                          .owner = nullptr};
  const std::unique_ptr<LinearWeights> weights = device.prepare_linear(weight, nullptr);
  std::vector<float> rows(static_cast<std::size_t>(shape.rows * shape.depth));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<float>(operand_value(static_cast<std::int64_t>(i)));
  }
  const Tensor x = device.upload({shape.rows, shape.depth}, rows);
  return best_seconds([&] {
    const Tensor y = device.linear(x, *weights);
    device.synchronize();
  });
}

}  // namespace

std::span<const MatrixShape> published_matrices() {
  static const std::array<MatrixShape, 6> kShapes = {{{"A", 816, 2048, 16384},
                                                      {"B", 816, 16384, 2048},
                                                      {"C", 816, 2048, 2560},
                                                      {"D", 768, 1152, 4304},
                                                      {"E", 51, 1024, 4096},
                                                      {"F", 51, 4096, 1024}}};
  return kShapes;
}

bool has_published_matrices(const ModelConfig& config) {
  const ModelConfig published;
  const auto same = [](const auto& a, const auto& b) {
    return a.width == b.width && a.mlp_dim == b.mlp_dim;
  };
  return same(config.vision, published.vision) && same(config.language, published.language) &&
         same(config.expert, published.expert);
}

std::vector<MatrixTimes> time_matrices(const DeviceRequest& request,
                                       std::span<const MatrixShape> shapes,
                                       const std::function<void(const Progress&)>& progress) {
  const std::vector<std::unique_ptr<OtherLibrary>> libraries = other_libraries();
  std::vector<MatrixTimes> times;
  for (const MatrixShape& shape : shapes) {
    if (progress) progress({"matrices", times.size(), shapes.size()});
    const OpenDevice own = open_device(request);  // for each: its weights go with it
    const double before = own.peak->measure();
    const double ours = shape.operations() / our_seconds(*own.device, shape);
    const double peak = std::max(before, own.peak->measure());
    times.push_back({shape, ours, ours / peak, {}});
    for (const std::unique_ptr<OtherLibrary>& library : libraries) {
      std::optional<double> rate = library->seconds(shape, own.peak->dtype, own.peak->threads);
      if (rate) rate = shape.operations() / *rate;
      times.back().others.push_back({library->name(), library->version(), rate});
    }
  }
  return times;
}

}  // namespace pi0
