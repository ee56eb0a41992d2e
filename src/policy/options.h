// What a caller asks of a checkpoint and of a device, in their terms.
#pragma once

#include "checkpoint/checkpoint.h"
#include "device/backend.h"
#include "pi0/policy.h"

namespace pi0 {

// Throws Error (kInvalidInput) when prompt_format is neither "pi0" nor "pi05".
CheckpointOverrides overrides_of(const CheckpointOptions& options);

// But for a cache, which depends on the checkpoint.
DeviceRequest device_request(const DeviceOptions& options);

}  // namespace pi0
