// Intermediate results of a call, for whoever compares or records them.
#pragma once

#include <string_view>

#include "device/device.h"

namespace pi0 {

// Names are those of a recording (docs/recordings.md). Only valid tokens are there: masked cameras
// and padded tokens are never computed.
class StageObserver {
 public:
  virtual ~StageObserver() = default;

  // `index` is the layer (prefix_keys, prefix_values), the step (conditioning, v_t), else 0.
  virtual void observe(std::string_view stage, int index, const Shape& shape,
                       std::vector<float> values) = 0;
};

// Hands tensors to an observer, or does nothing where there is none.
class Stages {
 public:
  Stages(Device& device, StageObserver* observer) : device_(device), observer_(observer) {}

  bool observed() const { return observer_ != nullptr; }
  void operator()(std::string_view stage, int index, const Tensor& tensor) const {
    if (observer_ != nullptr) {
      observer_->observe(stage, index, tensor.shape(), device_.download(tensor));
    }
  }

 private:
  Device& device_;
  StageObserver* observer_;
};

}  // namespace pi0
