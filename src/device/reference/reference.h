// The truth that other devices are checked against: plain fp32 loops that a reader can hold
// against the formula in device.h. Weights stay in the caller's memory, in their own type, and
// are widened to fp32 a few rows at a time, so it needs no copy of a checkpoint.
#pragma once

#include <memory>

#include "device/backend.h"
#include "device/device.h"

namespace pi0 {

std::unique_ptr<Device> make_reference_device();
std::unique_ptr<Backend> make_reference_backend();

}  // namespace pi0
