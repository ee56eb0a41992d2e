// Intermediate results of a call, for whoever compares or records them.
#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include "device/device.h"
#include "model/components.h"
#include "pi0/network.h"

namespace pi0 {

using StageObserver = std::function<void(const Stage&)>;

// How far a call has come: "vision" layers, "prefix" layers, "denoising" steps.
using StageProgress = std::function<void(std::string_view stage, int done, int total)>;

// Hands tensors to an observer and tells how far the work is, where anybody asked.
class Stages {
 public:
  Stages(Device& device, StageObserver observe, StageProgress progress)
      : device_(device), observe_(std::move(observe)), progress_(std::move(progress)) {}

  bool observed() const { return observe_ != nullptr; }
  void operator()(std::string_view stage, int index, const Tensor& tensor) const {
    if (!observe_) return;
    const std::vector<float> values = device_.download(tensor);
    observe_({stage, index, tensor.shape(), values});
  }
  void progress(std::string_view stage, std::size_t done, std::size_t total) const {
    if (progress_) progress_(stage, static_cast<int>(done), static_cast<int>(total));
  }

 private:
  Device& device_;
  StageObserver observe_;
  StageProgress progress_;
};

}  // namespace pi0
