// Takes tensors from their source to a device, each checked on its way.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "device/device.h"
#include "model/weights.h"

namespace pi0 {

class Loader {
 public:
  // `progress` is called with the number of tensors taken so far; may be empty.
  Loader(Device& device, const WeightSource& source, std::function<void(int)> progress)
      : device_(device), source_(source), progress_(std::move(progress)) {}

  Device& device() const { return device_; }

  // Throws Error naming the tensor when a value is not finite.
  HostTensor tensor(const std::string& name) const;

  // `name`.weight and, where asked for, `name`.bias; the rest as Device::prepare_linear().
  std::unique_ptr<LinearWeights> linear(const std::string& name, bool bias,
                                        const HeadShape* joined = nullptr,
                                        WeightPrecision precision = WeightPrecision::kLayer) const;
  // One at the network's ends, with a bias.
  std::unique_ptr<LinearWeights> end_linear(const std::string& name) const {
    return linear(name, true, nullptr, WeightPrecision::kWide);
  }
  std::unique_ptr<LinearWeights> modulation(const std::string& name) const;
  std::unique_ptr<NormWeights> layer_norm(const std::string& name) const;
  std::unique_ptr<NormWeights> rms_norm(const std::string& name) const;

 private:
  Device& device_;
  const WeightSource& source_;
  std::function<void(int)> progress_;
  mutable int taken_ = 0;
};

}  // namespace pi0
