// Intermediate results of a call, for whoever compares or records them.
#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include "device/device.h"
#include "model/components.h"

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

// How far a call has come: "vision" layers, "prefix" layers, "denoising" steps.
using StageProgress = std::function<void(std::string_view stage, int done, int total)>;

// Hands tensors to an observer and tells how far the work is, where anybody asked.
class Stages {
 public:
  Stages(Device& device, StageObserver* observer, StageProgress progress)
      : device_(device), observer_(observer), progress_(std::move(progress)) {}

  bool observed() const { return observer_ != nullptr; }
  void operator()(std::string_view stage, int index, const Tensor& tensor) const {
    if (observer_ != nullptr) {
      observer_->observe(stage, index, tensor.shape(), device_.download(tensor));
    }
  }
  void progress(std::string_view stage, std::size_t done, std::size_t total) const {
    if (progress_) progress_(stage, static_cast<int>(done), static_cast<int>(total));
  }

 private:
  Device& device_;
  StageObserver* observer_;
  StageProgress progress_;
};

}  // namespace pi0
