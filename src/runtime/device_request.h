// What a caller asks of a device, in its terms.
#pragma once

#include "device/backend.h"
#include "pi0/network.h"

namespace pi0 {

// But for a cache, which depends on the checkpoint.
DeviceRequest device_request(const DeviceOptions& options);

}  // namespace pi0
