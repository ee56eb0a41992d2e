// Two devices side by side: each operation runs on both, and an observer is told how both came out.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "device/device.h"

namespace pi0 {

// A result of one operation on both devices, each from its own earlier results, so that
// differences add up as they do when the second runs alone.
struct LockstepResult {
  std::string_view operation;  // "linear"; "qkv.keys" where an operation has several results
  const Component& component;  // of the network, as Device::mark() named it last
  int index = 0;
  const Shape& shape;
  std::span<const float> first;
  std::span<const float> second;
};

class LockstepObserver {
 public:
  virtual ~LockstepObserver() = default;
  virtual void observe(const LockstepResult& result) = 0;
};

// Its name is "first against second". What a caller downloads is the first's. Nothing is replayed:
// results are looked at in the middle of the work. `observer` must outlive the device.
std::unique_ptr<Device> make_lockstep_device(std::unique_ptr<Device> first,
                                             std::unique_ptr<Device> second,
                                             LockstepObserver& observer);

}  // namespace pi0
