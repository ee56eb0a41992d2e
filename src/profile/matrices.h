// How fast the CPU device multiplies the network's matrices, beside other libraries.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "device/backend.h"
#include "model/config.h"
#include "pi0/network.h"
#include "profile/other_libraries.h"

namespace pi0 {

struct OtherRate {
  std::string name;
  std::string version;
  std::optional<double> flops_per_second;  // none where it has no fast kernel
};

struct MatrixTimes {
  MatrixShape shape;
  double flops_per_second = 0;
  double share_of_peak = 0;  // as measured before and after this shape: machines are shared
  std::vector<OtherRate> others;
};

// Those of the published networks that take most of the time.
std::span<const MatrixShape> published_matrices();
// Whether a network has them.
bool has_published_matrices(const ModelConfig& config);

// Ours through a device of this request, which has a peak: with the packing of the activations, and
// the finished rows in the type that the next layer reads.
std::vector<MatrixTimes> time_matrices(const DeviceRequest& request,
                                       std::span<const MatrixShape> shapes = published_matrices(),
                                       const std::function<void(const Progress&)>& progress = {});

}  // namespace pi0
